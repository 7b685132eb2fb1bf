// `npm run tidy [-- --core | FILE...]`: a second pair of eyes on native/, on what of it is shipped, or on some files: clang-tidy with
// the checks of .clang-tidy, as many files at once as there are cores, and cppcheck. Exit status 1: something was found. What is no
// fault is marked where it stands, with why: `// NOLINTNEXTLINE(check): why`, `// cppcheck-suppress id ; why`.
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const bootstrap = require('./bootstrap.cjs')

const { at, fail, filesUnder, root, run, say } = bootstrap
const given = process.argv.slice(2)

function filesToJudge() {
  const all = filesUnder(at('native'), (name) => name.endsWith('.cc'))
  if (given.length === 0) return all
  if (given.length === 1 && given[0] === '--core') return all.filter((file) => !/native\/(test|fuzz)\//.test(file))
  const wrong = given.find((file) => !file.endsWith('.cc') || !fs.existsSync(file))
  if (wrong !== undefined) fail(`not a C++ source: ${wrong}\nusage: npm run tidy [-- --core | FILE.cc...]`)
  return given.map((file) => path.resolve(file))
}

const files = filesToJudge()

bootstrap.needSystemPackages()
bootstrap.needNodeModules()
// Where Node's headers are, or were downloaded to, is known once the addon is built.
bootstrap.needAddon()
const clangTidy = bootstrap.needTidyTools()
const { node, addonApi } = bootstrap.headers()

// As native/Makefile compiles the core, and binding.gyp the addon.
const flags = [
  ...['-std=c++20', '-fno-exceptions', '-pthread', `-I${at('native')}`],
  ...['-isystem', node, '-isystem', addonApi],
  ...['-DNAPI_VERSION=9', '-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS', '-DNODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS'],
]

/** Resolves to whether nothing was found in the file. */
function tidy(file) {
  const child = spawn(clangTidy, ['--quiet', file, '--', ...flags], { stdio: ['ignore', 'pipe', 'pipe'] })
  let found = ''
  let progress = ''
  child.stdout.on('data', (data) => {
    found += data
  })
  child.stderr.on('data', (data) => {
    progress += data
  })
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`${clangTidy}: ${error.message}`))
    child.on('close', (code, signal) => {
      if (code !== 0)
        console.log(`${found}${progress}tidy: ${path.relative(root, file)}: ${clangTidy}: ${signal ?? code}`)
      resolve(code === 0)
    })
  })
}

// Not `style`: it takes `requires` for a condition, and `&` between comparisons, which spares a branch, for a slip.
// Not readdirCalled: it wants readdir_r, which the C library has given up; clang-tidy asks about each readdir, too.
function cppcheck() {
  const args = [
    ...['--enable=warning,performance,portability', '--inline-suppr', '--suppress=readdirCalled'],
    ...['--std=c++20', '--library=posix,gnu', `-I${at('native')}`, `-j${os.availableParallelism()}`],
    ...['--quiet', '--error-exitcode=1', ...files],
  ]
  return run('cppcheck', args).ok
}

async function main() {
  say(`clang-tidy and cppcheck on ${files.length} files`)
  const waiting = [...files]
  let good = true
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) good = (await tidy(file)) && good
  }
  await Promise.all(Array.from({ length: os.availableParallelism() }, work))
  good = cppcheck() && good
  if (good) console.log(`tidy: ${files.length} files, nothing found`)
  process.exitCode = good ? 0 : 1
}

main()
