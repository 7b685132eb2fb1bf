// `npm run prebuildify [-- x64 arm64]`: prebuilds/, which `npm pack` ships: the addon with libpcap and libstdc++ linked in.
//
// On glibc in a root of Debian 11, made here once, so that glibc 2.31 is enough to load it; another architecture's is cross-compiled
// there. libpcap is made from Debian's own source package by the same compiler. On musl (an Alpine container: see
// .github/workflows/release.yml) by that machine's compiler and with its libpcap.a, for that machine alone.
'use strict'

const { execFileSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { at, fail, headers, inPath, installPackages, must, needEverything, readStamp, say } = require('./bootstrap.cjs')
const { mirror } = require('./prebuild/mirror.cjs')
const { architectures, isCurrent, isGlibc, licence, prebuilds, put, sources } = require('./prebuild/prebuilds.cjs')

const suite = 'bullseye'
// Of the newest Debian: it has the mended ones.
const libpcapSuite = 'trixie'
const triples = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' }
const crossCompiler = { x64: 'g++-aarch64-linux-gnu', arm64: 'g++-x86-64-linux-gnu' }[process.arch]
const packages = ['g++', 'make', 'flex', 'bison', 'dpkg-dev', crossCompiler]

/** A root of Debian 11 with compilers, and libpcap's sources in /libpcap. */
function needRoot() {
  const root = at('build/prebuild/root')
  const stamp = at('build/prebuild/stamp')
  const described = `${suite} ${libpcapSuite} ${packages.join(' ')}\n`
  if (readStamp(stamp) === described) return root
  if (process.getuid() !== 0) fail('npm run prebuildify makes a root of Debian 11, and needs to be root itself for it.')
  if (!inPath('mmdebstrap')) {
    const { ok, why } = installPackages(['mmdebstrap'])
    if (!ok) fail(`missing: mmdebstrap. ${why}`)
  }
  say(`making a root of Debian ${suite}`)
  fs.rmSync(at('build/prebuild'), { recursive: true, force: true })
  fs.mkdirSync(at('build/prebuild'), { recursive: true })
  const from = mirror()
  const source = 'cd /tmp && apt-get -qq source libpcap && mv libpcap-*/ /libpcap && rm libpcap*'
  must('mmdebstrap', 'mmdebstrap', [
    '--quiet',
    '--variant=apt',
    `--include=${packages.join(',')}`,
    '--aptopt=APT::Install-Recommends "false"',
    `--customize-hook=chroot "$1" sh -c "${source}"`,
    suite,
    root,
    `deb ${from} ${suite} main`,
    `deb-src ${from} ${libpcapSuite} main`,
  ])
  fs.writeFileSync(stamp, described)
  return root
}

const makeArguments = (out, build, variables) => [
  '-s',
  `-j${os.availableParallelism()}`,
  `OUT=${out}`,
  `BUILD=${build}`,
  ...Object.entries(variables).map(([name, value]) => `${name}=${value}`),
]

/** In the root, of copies of the sources, which keep their times, as make compares these. */
function buildIn(root, arch) {
  const { node, addonApi } = headers()
  const copies = { native: at('native'), prebuild: at('scripts/prebuild'), node, 'node-addon-api': addonApi }
  for (const [name, from] of Object.entries(copies)) {
    const to = path.join(root, 'pcap-ring', name)
    fs.rmSync(to, { recursive: true, force: true })
    fs.cpSync(from, to, { recursive: true, dereference: true, preserveTimestamps: true })
  }
  const out = `/pcap-ring/out/${arch}.node`
  const variables = {
    TRIPLE: triples[arch],
    NATIVE: '/pcap-ring/native',
    NODE_INCLUDE: '/pcap-ring/node',
    NODE_ADDON_API: '/pcap-ring/node-addon-api',
    PCAP: '/libpcap',
  }
  const args = makeArguments(out, `/pcap-ring/build/${arch}`, variables)
  must('make', 'chroot', [root, 'make', '-C', '/pcap-ring/prebuild', ...args])
  const libpcap = fs.readFileSync(path.join(root, 'libpcap/VERSION'), 'utf8').trim()
  return { addon: path.join(root, out), libpcap, licenceOfLibpcap: path.join(root, 'libpcap/LICENSE') }
}

/** With this machine's compiler and libpcap.a. */
function buildHere() {
  const { node, addonApi } = headers()
  const out = at('build/prebuild/musl.node')
  const variables = {
    NATIVE: at('native'),
    NODE_INCLUDE: node,
    NODE_ADDON_API: addonApi,
    PCAP_ARCHIVE: '/usr/lib/libpcap.a',
  }
  must('make', 'make', ['-C', at('scripts/prebuild'), ...makeArguments(out, at('build/prebuild/musl'), variables)])
  const libpcap = execFileSync('pcap-config', ['--version'], { encoding: 'utf8' }).trim()
  // Its licence comes with the addons for glibc.
  return { addon: out, libpcap, licenceOfLibpcap: null }
}

const asked = process.argv.slice(2)
const wanted = asked.length > 0 ? asked : isGlibc ? architectures : [process.arch]
for (const arch of wanted) {
  if (!architectures.includes(arch)) fail(`usage: npm run prebuildify [-- ${architectures.join(' ')}], not "${arch}"`)
  if (!isGlibc && arch !== process.arch) fail(`on musl the addon is made for ${process.arch} alone, not for ${arch}`)
}
needEverything()
for (const arch of wanted.filter((arch) => !isCurrent(arch))) {
  say(`compiling the addon for linux-${arch}`)
  // Before: what is edited meanwhile is not in it.
  const made = sources()
  const { addon, libpcap, licenceOfLibpcap } = isGlibc ? buildIn(needRoot(), arch) : buildHere()
  fs.mkdirSync(prebuilds, { recursive: true })
  if (licenceOfLibpcap !== null) fs.copyFileSync(licenceOfLibpcap, licence)
  put(arch, addon, { libpcap, sources: made })
}
