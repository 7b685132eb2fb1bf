// `npm run check:package`: packs the package and judges the tarball as a stranger would get it.
'use strict'

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { at, must, needNodeModules } = require('./bootstrap.cjs')

needNodeModules()

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pcap-ring-package-'))
process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }))
const problems = []
const check = (good, text) => good || problems.push(text)

must('npm pack', 'npm', ['pack', '--pack-destination', dir])
const tarball = path.join(dir, fs.readdirSync(dir).find((name) => name.endsWith('.tgz')) ?? '')

// --- contents ---
const list = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' })
const files = list
  .trim()
  .split('\n')
  .map((name) => name.replace(/^package\//, ''))
const triple = `${process.platform}-${process.arch}`
const { exports: exported } = JSON.parse(fs.readFileSync(at('package.json'), 'utf8'))
const entries = Object.values(exported)
  .flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry)))
  .map((entry) => entry.replace('./', ''))
for (const file of [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'SECURITY.md',
  'binding.gyp',
  'vendor/node-addon-api/napi.h',
  'UPGRADING.md',
  'DESIGN.md',
  ...entries,
  ...fs.readdirSync(at('docs')).map((name) => `docs/${name}`),
  'lib/report/d3.js',
  'lib/report/d3.LICENSE.txt',
  'lib/cli/main.js',
])
  check(files.includes(file), `the tarball has no ${file}`)
check(
  files.some((file) => file.startsWith(`prebuilds/${triple}/`) && file.endsWith('.node')),
  `the tarball has no prebuilt addon for ${triple}`,
)
check(
  !files.some((file) => /^prebuilds\/.*\/glibc\.json$/.test(file)) || files.includes('prebuilds/libpcap.LICENSE.txt'),
  'libpcap is in an addon, and its licence is not in the tarball',
)
check(
  files.some((file) => /^native\/.*\.cc$/.test(file)),
  'the tarball has no native sources',
)
const strangers = files.filter(
  (file) =>
    !/^(lib|vendor|native)\/|^prebuilds\/(libpcap\.LICENSE\.txt|linux-\w+\/(@flowtriq\+pcap-ring\.\w+\.node|\w+\.json))$|^(package\.json|binding\.gyp|README\.md|LICENSE|CHANGELOG\.md|DESIGN\.md|CONTRIBUTING\.md|SECURITY\.md|UPGRADING\.md|docs\/\w+\.(md|png|svg)|examples\/[\w./-]+)$/.test(
      file,
    ) || /^native\/(test|fuzz)\/|\/\.[^/]*$/.test(file),
)
// What a page links to is where it says, for who reads it in node_modules.
for (const page of files.filter((file) => /^(docs\/)?\w+\.md$/.test(file))) {
  for (const [, link] of fs.readFileSync(at(page), 'utf8').matchAll(/\]\((?!\w+:|#)([^)#\s]+)/g)) {
    const target = path.posix.join(path.posix.dirname(page), link)
    const there = files.some((file) => file === target || file.startsWith(`${target.replace(/\/$/, '')}/`))
    check(there, `${page} links to ${link}, which is not in the tarball`)
  }
}
check(strangers.length === 0, `the tarball holds what no user needs: ${strangers.join(', ')}`)

// --- the field's own judges ---
for (const [name, script, args] of [
  ['publint', 'publint/src/cli.js', ['run', tarball, '--strict']],
  ['attw', '@arethetypeswrong/cli/dist/index.js', [tarball, '--no-color']],
]) {
  const { status } = spawnSync(process.execPath, [at('node_modules', script), ...args], { stdio: ['ignore', 1, 2] })
  check(status === 0, `${name} is not content`)
}

// --- installed without install scripts, as careful hosts do, and used from both module kinds ---
const home = path.join(dir, 'node_modules/@flowtriq/pcap-ring')
fs.mkdirSync(home, { recursive: true })
execFileSync('tar', ['-xzf', tarball, '-C', home, '--strip-components=1'])
fs.symlinkSync(at('node_modules/node-gyp-build'), path.join(dir, 'node_modules/node-gyp-build'))
fs.writeFileSync(
  path.join(dir, 'use.mjs'),
  `import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { PcapRing, PcapRingError, devices } from '@flowtriq/pcap-ring'
import { encodePcap } from '@flowtriq/pcap-ring/testing'
import { render, summarize } from '@flowtriq/pcap-ring/report'
const required = createRequire(import.meta.url)('@flowtriq/pcap-ring')
if (required.PcapRing !== PcapRing || required.PcapRingError !== PcapRingError) throw new Error('two copies of the classes')
if (typeof encodePcap !== 'function') throw new Error('encodePcap is missing')
writeFileSync('x.pcap', encodePcap([{ time: 0, data: new Uint8Array(60) }, { time: 1, data: new Uint8Array(60) }]))
if (!render(await summarize('x.pcap')).includes('class="plot"')) throw new Error('the page has no plot')
if (!Array.isArray(devices())) throw new Error('the addon does not answer')
await import('@flowtriq/pcap-ring/detect')
await import('@flowtriq/pcap-ring/archive')
const refused = await import('@flowtriq/pcap-ring/archive/s3').catch((error) => error.message)
if (!refused.includes('npm install @aws-sdk/client-s3')) throw new Error('/archive/s3 does not say what it needs: ' + refused)
`,
)
const used = spawnSync(process.execPath, ['use.mjs'], { cwd: dir, stdio: ['ignore', 1, 2] })
check(used.status === 0, 'the installed package does not work')

for (const problem of problems) console.error(`check:package: ${problem}`)
if (problems.length === 0) console.log(`check:package: ${path.basename(tarball)}, ${files.length} files, complete`)
process.exitCode = problems.length === 0 ? 0 : 1
