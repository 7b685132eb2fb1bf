// Bundles what lib/report uses of d3 into lib/report/d3.js, with the licences of all that is in it: so the package
// needs no dependency for it. Nothing is known here of what d3 is made of; the bundler says it.
'use strict'

const fs = require('node:fs')
const path = require('node:path')

exports.bundleReport = (root) => {
  const { buildSync } = require(path.join(root, 'node_modules/esbuild'))
  const out = path.join(root, 'lib/report')
  const { metafile } = buildSync({
    absWorkingDir: root,
    entryPoints: ['src/report/d3.ts'],
    outfile: 'lib/report/d3.js',
    allowOverwrite: true,
    bundle: true,
    minifySyntax: true,
    minifyWhitespace: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    metafile: true,
    logLevel: 'warning',
  })
  // Its types are those of packages that nobody but us has.
  fs.rmSync(path.join(out, 'd3.d.ts'))
  const packages = new Set(
    Object.keys(metafile.inputs).flatMap((file) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []),
  )
  const licences = [...packages].sort().map((name) => {
    const home = path.join(root, 'node_modules', name)
    const { version } = JSON.parse(fs.readFileSync(path.join(home, 'package.json'), 'utf8'))
    return `${name} ${version}\n\n${fs.readFileSync(path.join(home, 'LICENSE'), 'utf8').trim()}\n`
  })
  fs.writeFileSync(path.join(out, 'd3.LICENSE.txt'), licences.join('\n---\n\n'))
}
