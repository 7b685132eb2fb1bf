// Draws what Vega-Lite describes (https://vega.github.io/vega-lite/docs/spec.html), without a browser.

/** What is used of vega and vega-lite, which are installed beside the bench (bench/install.ts). */
interface Vega {
  parse(spec: object): object
  View: new (runtime: object, options: { renderer: 'none' }) => { toSVG(): Promise<string> }
}
interface VegaLite {
  compile(spec: object): { spec: object }
}

export async function svg(spec: object): Promise<string> {
  // Not known to the compiler: neither is a dependency of this package.
  const [vega, lite] = (await Promise.all(['vega', 'vega-lite'].map((name) => import(name)))) as [Vega, VegaLite]
  return new vega.View(vega.parse(lite.compile(spec).spec), { renderer: 'none' }).toSVG()
}
