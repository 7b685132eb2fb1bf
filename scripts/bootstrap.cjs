// The steps that bring a fresh clone to a runnable state. Each looks first and does nothing when all is there, so that
// `npm run demo` and `npm test` can begin with them every time. Nothing here may need node_modules.
'use strict'

const { execFileSync, spawnSync } = require('node:child_process')
const { createHash } = require('node:crypto')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { bundleReport } = require('./bundle.cjs')

const root = path.resolve(__dirname, '..')
const at = (...parts) => path.join(root, ...parts)
const isRoot = process.getuid?.() === 0

// Steps speak on standard error: standard output belongs to the demo and to TAP.
const say = (text) => process.stderr.write(`pcap-ring: ${text}\n`)

function fail(text) {
  process.stderr.write(`\npcap-ring: ${text}\n`)
  process.exit(1)
}

function run(command, args, options = {}) {
  const { status, error, signal } = spawnSync(command, args, {
    cwd: root,
    // What a step prints is progress, so it goes to standard error too.
    stdio: ['ignore', 2, 2],
    ...options,
    env: { ...process.env, ...options.env },
  })
  if (error) return { ok: false, why: error.message }
  return { ok: status === 0, why: signal ? `killed by ${signal}` : `exit status ${status}` }
}

function must(what, command, args, options) {
  const { ok, why } = run(command, args, options)
  if (!ok) fail(`${what} failed (${why}): ${[command, ...args].join(' ')}`)
}

// --- stamps: a file holding the hash of what a step was made from ---------------------------------------------------

const readStamp = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '')

function hash(parts) {
  const sum = createHash('sha256')
  for (const part of parts) sum.update(part).update('\0')
  return sum.digest('hex')
}

function filesUnder(dir, wanted) {
  if (!fs.existsSync(dir)) return []
  return fs
    .readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted(entry.name))
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort()
}

const hashFiles = (files) => hash(files.flatMap((file) => [path.relative(root, file), fs.readFileSync(file)]))

// --- system packages -------------------------------------------------------------------------------------------------

const inPath = (command) =>
  [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/sbin'].some((dir) =>
    fs.existsSync(path.join(dir, command)),
  )
const haveHeader = (header) =>
  ['/usr/include', '/usr/local/include'].some((dir) => fs.existsSync(path.join(dir, header)))

const buildTools = [
  { name: 'g++', package: 'g++', present: () => inPath('g++') },
  { name: 'make', package: 'make', present: () => inPath('make') },
  { name: 'python3', package: 'python3', present: () => inPath('python3') },
  { name: 'the headers of libpcap', package: 'libpcap-dev', present: () => haveHeader('pcap/pcap.h') },
]
const testTools = [
  { name: 'tcpdump', package: 'tcpdump', present: () => inPath('tcpdump') },
  { name: 'tshark', package: 'tshark', present: () => inPath('tshark') },
  { name: 'ip', package: 'iproute2', present: () => inPath('ip') },
  { name: 'ethtool', package: 'ethtool', present: () => inPath('ethtool') },
  { name: 'sysctl', package: 'procps', present: () => inPath('sysctl') },
  { name: 'chromium', package: 'chromium', present: () => inPath('chromium') },
  { name: 'setpriv', package: 'util-linux', present: () => inPath('setpriv') && inPath('unshare') },
]

// A real S3 server (scripts/rgw.cjs). What is tested against it skips where it cannot be had.
const storeTools = [
  { package: 'radosgw', programs: ['radosgw'] },
  { package: 'ceph-mon', programs: ['ceph-mon', 'monmaptool'] },
  { package: 'ceph-osd', programs: ['ceph-osd'] },
  { package: 'ceph-common', programs: ['ceph', 'ceph-authtool', 'rados', 'radosgw-admin'] },
]

// libFuzzer is clang's; what is older than 16 does not know all of C++20 that the core uses.
const clangs = [20, 19, 18, 17, 16].map((version) => `clang++-${version}`)
const haveFuzzer = (clang) => {
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  const { status, stdout } = spawnSync(clang, [`-print-file-name=libclang_rt.fuzzer-${machine}.a`], {
    encoding: 'utf8',
  })
  return status === 0 && path.isAbsolute(stdout.trim())
}

/** Installs packages of the system, or says what to do so that they are. */
function installPackages(packages) {
  // A fresh machine may be at its own updates still: apt-get waits for them.
  const install = ['-o', 'DPkg::Lock::Timeout=300', 'install', '-y', '--no-install-recommends', ...packages]
  if (!inPath('apt-get')) {
    return {
      ok: false,
      why: 'This is not Debian or Ubuntu: please install them with your package manager, then try again.',
    }
  }
  if (!isRoot) {
    return {
      ok: false,
      why: `Please run this, then try again:\n\n  sudo apt-get update && sudo apt-get ${install.join(' ')}\n`,
    }
  }
  say(`installing ${packages.join(' ')}`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  const haveLists = filesUnder('/var/lib/apt/lists', (name) => name.includes('_Packages')).length > 0
  // Lists may be there but old, naming versions that are gone: a failed install is worth one update and a second try.
  if (haveLists && run('apt-get', install, { env }).ok) return { ok: true, why: '' }
  for (const args of [['-o', 'DPkg::Lock::Timeout=300', 'update'], install]) {
    const { ok, why } = run('apt-get', args, { env })
    if (!ok) return { ok, why: `apt-get ${args.join(' ')} failed (${why}).` }
  }
  return { ok: true, why: '' }
}

function needSystemPackages({ forTests = false } = {}) {
  const missing = [...buildTools, ...(forTests ? testTools : [])].filter((tool) => !tool.present())
  if (missing.length === 0) return
  const { ok, why } = installPackages(missing.map((tool) => tool.package))
  if (!ok) fail(`missing: ${missing.map((tool) => tool.name).join(', ')}. ${why}`)
}

const missingOfStore = () => storeTools.filter(({ programs }) => !programs.every(inPath)).map((tool) => tool.package)

/** Why no S3 server can be started here, or null. */
function whyNoStore() {
  if (process.platform !== 'linux' || !isRoot) return 'needs root on Linux, to run a Ceph gateway'
  const missing = missingOfStore()
  return missing.length === 0 ? null : `needs the packages ${missing.join(', ')}`
}

/** Installs it where it can run. Nothing fails for want of it: the tests that need it skip, and say why. */
function needStore() {
  const missing = missingOfStore()
  if (!isRoot || missing.length === 0) return
  const { ok, why } = installPackages(missing)
  if (!ok) say(`no S3 server to test with (${missing.join(', ')}): ${why}`)
}

/** The compiler of the fuzzers. */
function needFuzzTools() {
  const find = () => clangs.find((clang) => inPath(clang) && haveFuzzer(clang))
  if (find() === undefined) {
    const { ok, why } = installPackages(['clang-16', 'libclang-rt-16-dev'])
    if (!ok) fail(`missing: clang 16 or newer with libFuzzer. ${why}`)
  }
  return find() ?? fail('clang 16 was installed, but brings no libFuzzer')
}

/** Programs that have the names of their packages. */
function needPrograms(names) {
  const missing = names.filter((name) => !inPath(name))
  if (missing.length === 0) return
  const { ok, why } = installPackages(missing)
  if (!ok) fail(`missing: ${missing.join(', ')}. ${why}`)
}

/** The two that look at the C++; other versions of clang-tidy know other checks. */
function needTidyTools() {
  needPrograms(['clang-tidy-16', 'cppcheck'])
  return 'clang-tidy-16'
}

/** Other versions break lines elsewhere. */
function needClangFormat() {
  needPrograms(['clang-format-16'])
  return 'clang-format-16'
}

// --- node_modules ----------------------------------------------------------------------------------------------------

/** Runs the npm that runs us, or that is in the path. */
function npm(args, options = {}) {
  const itself = process.env.npm_execpath
  // `omit` is reset, since a host with NODE_ENV=production would leave the compiler and the test runner out.
  const env = { npm_config_omit: '', NODE_ENV: 'development' }
  return itself?.endsWith('.js')
    ? run(process.execPath, [itself, ...args], { ...options, env })
    : run('npm', args, { ...options, env })
}

function needNodeModules() {
  const stamp = at('node_modules', '.pcap-ring-stamp')
  const wanted = hash([fs.readFileSync(at('package-lock.json'))])
  if (readStamp(stamp) === wanted) return
  say('installing node_modules (npm ci)')
  // Without scripts: our own install script would compile the addon before its headers and tools were looked for.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund']
  const { ok, why } = npm(args)
  if (!ok) fail(`npm ci failed (${why}): npm ${args.join(' ')}`)
  fs.writeFileSync(stamp, wanted)
}

// Of the plugins in .taprc. A run would do so too, but start its own tests by the loaders of before, which cost each of them seconds.
function needTap() {
  const stamp = at('node_modules', '.pcap-ring-tap-stamp')
  const wanted = hash([fs.readFileSync(at('package-lock.json')), fs.readFileSync(at('.taprc'))])
  if (readStamp(stamp) === wanted) return
  say('building tap')
  must('tap build', process.execPath, [at('node_modules/tap/dist/esm/run.mjs'), 'build'])
  fs.writeFileSync(stamp, wanted)
}

// --- the addon -------------------------------------------------------------------------------------------------------

// Most installations of Node bring their headers; with them node-gyp downloads nothing.
function nodeDir() {
  const prefix = path.resolve(process.execPath, '../..')
  return fs.existsSync(path.join(prefix, 'include/node/node.h')) ? prefix : null
}

function libpcapVersion() {
  try {
    return execFileSync('pcap-config', ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return 'unknown'
  }
}

function needAddon() {
  const stamp = at('build', 'pcap-ring-stamp')
  const sources = [...filesUnder(at('native'), (name) => /\.(cc|h)$/.test(name)), at('binding.gyp')]
  // native/test and native/fuzz are the core's own and no part of the addon.
  const apart = [at('native', 'test'), at('native', 'fuzz')]
  const ours = sources.filter((file) => !apart.some((directory) => file.startsWith(directory)))
  const machine = hash([
    process.versions.modules,
    process.arch,
    nodeDir() ?? '',
    libpcapVersion(),
    fs.readFileSync(at('node_modules/node-addon-api/package.json')),
  ])
  const wanted = `${machine}\n${hashFiles(ours)}\n`
  const found = readStamp(stamp)
  if (found === wanted && fs.existsSync(at('build/Release/pcap_ring.node'))) return
  say('compiling the addon')
  fs.rmSync(stamp, { force: true })
  // For another machine or Node everything is compiled anew; for changed sources make knows which.
  if (found !== '' && found.split('\n')[0] !== machine) fs.rmSync(at('build/Release'), { recursive: true, force: true })
  const nodedir = nodeDir()
  const gyp = (...args) => must('node-gyp', process.execPath, [at('node_modules/node-gyp/bin/node-gyp.js'), ...args])
  gyp('configure', '--loglevel=warn', ...(nodedir ? [`--nodedir=${nodedir}`] : []))
  gyp('build', '--loglevel=warn', `--jobs=${os.availableParallelism()}`)
  fs.writeFileSync(stamp, wanted)
}

/** Where headers are that the addon is compiled with: Node's are there, or were downloaded, once it is built. */
function headers() {
  const [, directory] = /"nodedir": "(.*)"/.exec(fs.readFileSync(at('build/config.gypi'), 'utf8'))
  return { node: path.join(directory, 'include/node'), addonApi: at('node_modules/node-addon-api') }
}

/** The addon under `asan` or `tsan`, of the objects that the core's own tests under it are of; make knows what is to be done. */
function needSanitizedAddon(sanitizer) {
  const { node, addonApi } = headers()
  say(`compiling the addon (${sanitizer})`)
  const jobs = `-j${os.availableParallelism()}`
  must('make', 'make', [
    '-s',
    '-C',
    at('native'),
    jobs,
    `addon-${sanitizer}`,
    `NODE_INCLUDE=${node}`,
    `NODE_ADDON_API=${addonApi}`,
  ])
  return at('build/native', sanitizer, 'pcap_ring.node')
}

// --- lib -------------------------------------------------------------------------------------------------------------

function needLib() {
  const stamp = at('lib', '.stamp')
  const wanted = hash([
    hashFiles([...filesUnder(at('src'), (name) => name.endsWith('.ts')), at('tsconfig.json')]),
    hashFiles([at('scripts/bundle.cjs')]),
    ...['typescript', 'esbuild', 'd3-scale', 'd3-shape'].map((name) =>
      fs.readFileSync(at('node_modules', name, 'package.json')),
    ),
  ])
  if (readStamp(stamp) === wanted && fs.existsSync(at('lib/index.js'))) return
  say('compiling lib')
  // From nothing, so that no output of a removed source stays behind and gets published.
  fs.rmSync(at('lib'), { recursive: true, force: true })
  must('tsc', process.execPath, [at('node_modules/typescript/bin/tsc'), '-p', at('tsconfig.json')])
  bundleReport(root)
  fs.writeFileSync(stamp, wanted)
}

// Recorded captures are no part of the repository; tests that read them look where this says.
function findCaptures() {
  const recorded = path.resolve(root, '../shared/captures')
  if (process.env.PCAP_RING_CAPTURES === undefined && fs.existsSync(recorded)) process.env.PCAP_RING_CAPTURES = recorded
}

function needEverything(options) {
  const [major] = process.versions.node.split('.').map(Number)
  if (major < 20) fail(`Node 20 or newer is needed, this is ${process.version}.`)
  needSystemPackages(options)
  if (options?.forTests) needStore()
  needNodeModules()
  if (options?.forTests) needTap()
  needAddon()
  needLib()
}

module.exports = {
  root,
  at,
  say,
  fail,
  filesUnder,
  findCaptures,
  hash,
  hashFiles,
  inPath,
  installPackages,
  run,
  must,
  headers,
  nodeDir,
  npm,
  readStamp,
  needAddon,
  needClangFormat,
  needEverything,
  needFuzzTools,
  needLib,
  needNodeModules,
  needSanitizedAddon,
  needStore,
  needSystemPackages,
  needTidyTools,
  whyNoStore,
}
