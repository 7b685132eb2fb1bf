// `npm run check`: what it makes of its parts, and the parts that are our own.

import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'

const root = resolve(__dirname, '..')
const script = (name: string): string => resolve(root, 'scripts', name)

function run(name: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script(name), ...args], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

t.test('a part that fails is told of with what it said, and stops no other', (t) => {
  const parts = {
    good: [process.execPath, '-e', 'console.log("not to be seen")'],
    bad: [process.execPath, '-e', 'console.error("on standard error"); process.exitCode = 3'],
    dies: [process.execPath, '-e', 'console.log("on standard output"); process.kill(process.pid, "SIGKILL")'],
    missing: ['no-such-program'],
    other: [process.execPath, '-e', ''],
  }
  const code = `require(${JSON.stringify(script('check.cjs'))}).runAll(${JSON.stringify(parts)}, 1).then((failed) => console.log(failed.join()))`
  const { status, stdout } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
  t.equal(status, 0)
  t.equal(
    stdout.replace(/ +\d+\.\d s$/gm, ''),
    [
      'ok     good',
      'on standard error',
      'FAILED bad',
      'on standard output',
      'ended by SIGKILL',
      'FAILED dies',
      'spawn no-such-program ENOENT',
      'FAILED missing',
      'ok     other',
      'bad,dies,missing',
      '',
    ].join('\n'),
  )
  t.end()
})

t.test('some parts by name', (t) => {
  const { status, stdout } = run('check.cjs', 'rooms')
  t.match(stdout, /^ok {5}rooms +\d+\.\d s\ncheck: all is well\n$/)
  t.equal(status, 0)
  const wrong = run('check.cjs', 'rooms', 'room')
  t.equal(wrong.status, 1)
  t.match(wrong.stderr, /no such check: room\nusage: npm run check \[-- eslint\|/)
  t.equal(wrong.stdout, '', 'nothing was run')
  t.end()
})

t.test('licences', (t) => {
  const mit = { license: 'MIT' }
  const shipped = { 'd3-scale': mit, 'd3-shape': mit, 'node-addon-api': mit }
  /** What is said of a package-lock.json; the licences' texts are there but for `textless`. */
  const judge = (packages: Record<string, object>, root: object = {}, textless?: string) => {
    const all = { ...shipped, ...packages }
    const places = Object.fromEntries(Object.entries(all).map(([name, one]) => [`node_modules/${name}`, one]))
    const dir = t.testdir({
      'package-lock.json': JSON.stringify({ packages: { '': root, ...places } }),
      node_modules: Object.fromEntries(
        Object.keys(all).map((name) => [name, name === textless ? { 'package.json': '{}' } : { LICENSE: 'text' }]),
      ),
    })
    const { status, stdout, stderr } = run('check-licences.cjs', dir)
    t.equal(status, stderr === '' ? 0 : 1)
    return stderr === '' ? stdout : stderr
  }
  const requires = { dependencies: { required: '^1.0.0' } }

  t.match(
    judge({ required: { ...mit, dependencies: { inner: '1' } }, inner: { license: '(GPL-3.0 OR ISC)' } }, requires),
    'licences: 5 packages, of these 2 required and 3 shipped, nothing amiss',
  )
  t.match(judge({ tool: { license: 'MPL-2.0' } }), 'nothing amiss', 'a tool may ask for more')
  t.equal(judge({ tool: { license: 'GPL-3.0' } }), 'licences: tool is under GPL-3.0, which no tool here may be\n')
  t.equal(judge({ tool: {} }), 'licences: tool names no licence\n')
  t.equal(
    judge({ required: { license: 'MPL-2.0' } }, requires),
    'licences: required is under MPL-2.0, which nothing that is shipped or required may be\n',
  )
  t.equal(
    judge({ required: { ...mit, dependencies: { inner: '1' } }, inner: { license: 'MIT AND MPL-2.0' } }, requires),
    'licences: inner is under MIT AND MPL-2.0, which nothing that is shipped or required may be\n',
    'nor what that brings along',
  )
  t.match(
    judge({ peer: { license: 'MPL-2.0' } }, { peerDependencies: { peer: '1' } }),
    'licences: peer is under MPL-2.0',
    'nor what a host installs for us',
  )
  const within = {
    'd3-scale': { ...mit, dependencies: { inner: '1' } },
    'd3-scale/node_modules/inner': { license: 'GPL-2.0' },
  }
  t.match(judge(within), 'licences: inner is under GPL-2.0, which nothing that is shipped', 'the one that it finds')
  t.equal(judge({}, {}, 'd3-shape'), 'licences: d3-shape is shipped, and brings no text of its licence\n')
  t.end()
})

t.test('files', (t) => {
  const design = [
    '# Design',
    '',
    '## Files',
    '',
    'Why.',
    '',
    '- `src/a.ts` — for a',
    '- `native/base/b.{h,cc}` — for b',
  ]
  /** What is said of these lines, where these files are. */
  const judge = (lines: string[]) => {
    const dir = t.testdir({
      'DESIGN.md': [...design, ...lines, '', '## Next', '', '- `no/file` — of another section', ''].join('\n'),
      src: { 'a.ts': '' },
      native: { base: { 'b.h': '', 'b.cc': '' }, test: { 'b_test.cc': '' }, fuzz: { 'b_fuzz.cc': '' } },
      scripts: { demo: { 'c.cjs': '' } },
    })
    const { status, stdout, stderr } = run('check-files.cjs', dir)
    t.equal(status, stderr === '' ? 0 : 1)
    return stderr === '' ? stdout : stderr
  }
  const c = '- `scripts/demo/c.cjs` — for c'
  t.equal(judge([c]), 'files: 4, and each has its line\n')
  t.equal(
    judge([]),
    'files: scripts/demo/c.cjs has no line under "## Files" of DESIGN.md: say why it is there, or remove it\n',
  )
  t.equal(judge([c, '- `src/gone.ts` — for d']), 'files: DESIGN.md:10: there is no src/gone.ts\n')
  t.equal(judge([c, '- `native/base/b.h` — again']), 'files: DESIGN.md:10: native/base/b.h has a line already\n')
  t.equal(judge(['- `scripts/demo/c.cjs`']), 'files: DESIGN.md:9: does not say why scripts/demo/c.cjs is there\n')
  t.equal(judge([c, '- other — why']), 'files: DESIGN.md:10: not "- `file` — why": - other — why\n')
  t.end()
})

t.test('the API reference has all that the package exports', (t) => {
  const read = (name: string): string => readFileSync(resolve(root, name), 'utf8')
  const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, { default?: string }> }
  const { entryPoints } = JSON.parse(read('typedoc.json').replace(/^ *\/\/.*$/gm, '')) as { entryPoints: string[] }
  const sources = Object.values(exports).flatMap(
    (one) => one.default?.replace(/^\.\/lib\/(.*)\.js$/, 'src/$1.ts') ?? [],
  )
  t.strictSame([...entryPoints].sort(), sources.sort())
  t.end()
})
