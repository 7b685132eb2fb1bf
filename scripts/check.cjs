// `npm run check [-- PART...]`: everything that is judged without being run, all of it or some parts, as many at once as there are
// cores. A part that fails stops no other. Exit status 1: one failed, and what it said stands above its name.
'use strict'

const { spawn } = require('node:child_process')
const os = require('node:os')
const { at, fail, needNodeModules, root } = require('./bootstrap.cjs')

const node = (script, ...args) => [process.execPath, at(script), ...args]

/** What takes longest first. */
const parts = {
  eslint: node('node_modules/eslint/bin/eslint.js', 'src', 'test', 'bench', 'soak'),
  types: node('node_modules/typescript/bin/tsc', '-p', 'tsconfig.test.json'),
  docs: node('node_modules/typedoc/bin/typedoc', '--emit', 'none'),
  knip: node('node_modules/knip/bin/knip.js'),
  biome: node('node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings'),
  'clang-format': node('scripts/clang-format.cjs'),
  licences: node('scripts/check-licences.cjs'),
  files: node('scripts/check-files.cjs'),
  rooms: node('scripts/check-rooms.cjs'),
  pages: node(
    'node_modules/tap/dist/esm/run.mjs',
    '--reporter=tap',
    ...['links', 'words', 'reference', 'ranges', 'figures', 'data', 'troubleshooting'].map(
      (name) => `test/docs/${name}.test.ts`,
    ),
  ),
}
/** Takes all cores, so it comes last. native/test and native/fuzz would take as long again: `npm run tidy` has them. */
const last = { tidy: node('scripts/tidy.cjs', '--core') }

/** What it says in the end: whether it went well, and all that it wrote. */
function run([command, ...args]) {
  const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      said += text
    })
  }
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ ok: false, said: `${error.message}\n` }))
    child.on('close', (code, signal) => {
      resolve({ ok: code === 0, said: signal === null ? said : `${said}ended by ${signal}\n` })
    })
  })
}

/** Runs them, `atOnce` at a time, and tells of each as it ends. Resolves to the names of those that failed. */
async function runAll(commands, atOnce) {
  const waiting = Object.entries(commands)
  const failed = []
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [name, command] = next
      const began = process.hrtime.bigint()
      const { ok, said } = await run(command)
      const seconds = (Number(process.hrtime.bigint() - began) / 1e9).toFixed(1)
      if (!ok) failed.push(name)
      console.log(`${ok ? 'ok    ' : `${said}FAILED`} ${name.padEnd(12)} ${seconds.padStart(6)} s`)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return failed
}

async function main(names) {
  const all = { ...parts, ...last }
  const unknown = names.find((name) => !Object.hasOwn(all, name))
  if (unknown !== undefined)
    fail(`no such check: ${unknown}\nusage: npm run check [-- ${Object.keys(all).join('|')}...]`)
  needNodeModules()
  const wanted = (some) =>
    Object.fromEntries(Object.entries(some).filter(([name]) => names.length === 0 || names.includes(name)))
  const failed = await runAll(wanted(parts), os.availableParallelism())
  failed.push(...(await runAll(wanted(last), 1)))
  console.log(`check: ${failed.length === 0 ? 'all is well' : `failed: ${failed.join(', ')}`}`)
  process.exitCode = failed.length === 0 ? 0 : 1
}

module.exports = { runAll }

if (require.main === module) main(process.argv.slice(2))
