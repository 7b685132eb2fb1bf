// `npm run test:asan`, `npm run test:tsan`: the tests with the addon under ASan and UBSan, or under TSan, inside Node, as TAP.
// Without arguments those of the list below; with `all` every test; else the arguments, test files or options, go to tap.
//
// A sanitizer writes what it finds to a file and ends the process. Each such file becomes a failed test point here, whether
// the test noticed that or not.
'use strict'

const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { at, fail, findCaptures, needEverything, needSanitizedAddon, root, run, say } = require('./bootstrap.cjs')

/**
 * Where threads meet: how rings, workers and processes begin and end, in order and not, and what they hold meanwhile; and
 * under which of the sanitizers. About two minutes on two cores each, the longest first.
 */
const subset = [
  ['test/live/lifecycle.test.ts', 'asan', 'tsan'], // incidents side by side, close() at any moment, signals
  ['test/ring/workers.test.ts', 'asan', 'tsan'], // environments that are torn down around a running ring
  ['test/live/device-down.test.ts', 'asan', 'tsan'], // a device and its watcher come and go
  ['test/live/statistics-only.test.ts', 'asan'], // the driver without packets
  ['test/incident/edges.test.ts', 'asan', 'tsan'], // calls at every moment of an incident's life, in the test's own process
  ['test/live/failed-starts.test.ts', 'asan'], // starts that end halfway
  ['test/live/several-rings.test.ts', 'tsan'], // rings side by side
  ['test/live/workers.test.ts', 'tsan'], // rings in workers, one of them terminated
  ['test/ring/lifecycle.test.ts', 'asan', 'tsan'], // starts and closes of replays, in the test's own process
  ['test/ring/closing.test.ts', 'asan', 'tsan'], // close() into the middle of the writer's work
  ['test/ring/no-room.test.ts', 'asan'], // threads that cannot be had
  ['test/replay/waiting.test.ts', 'asan', 'tsan'], // the capture thread waits for listeners, and what ends that
]

const runtimes = { asan: 'libasan.so', tsan: 'libtsan.so' }

const [sanitizer, ...args] = process.argv.slice(2)
if (!(sanitizer in runtimes)) fail('usage: node scripts/test-sanitized.cjs asan|tsan [all | ARGUMENTS FOR TAP]')
const named = args.some((arg) => !arg.startsWith('-'))
const listed = subset.filter((one) => one.includes(sanitizer)).map(([file]) => file)
const files = named ? args.filter((arg) => arg !== 'all') : [...args, ...listed]

needEverything({ forTests: true })
const addon = needSanitizedAddon(sanitizer)
findCaptures()

// Hosts of other users write there too.
const found = fs.mkdtempSync(path.join(os.tmpdir(), 'pcap-ring-sanitizer-'))
fs.chmodSync(found, 0o1777)
process.on('exit', () => fs.rmSync(found, { recursive: true, force: true }))
const log = path.join(found, sanitizer)

const runtime = execFileSync('g++', [`-print-file-name=${runtimes[sanitizer]}`], { encoding: 'utf8' }).trim()
// A status that nothing else ends with; and crashes are findings, although Node has a handler of its own for them.
const common = `exitcode=86:log_path=${log}:handle_segv=2:handle_sigbus=2:handle_abort=2:handle_sigill=2`
const env = {
  PCAP_RING_SANITIZER: sanitizer,
  PCAP_RING_SANITIZER_PRELOAD: runtime,
  PCAP_RING_SANITIZER_LOG: log,
  // Node itself leaks on purpose at its end.
  ASAN_OPTIONS: `${common}:detect_leaks=0`,
  // A runtime of its own, and the same file: whichever finds something ends the process.
  UBSAN_OPTIONS: `${common}:print_stacktrace=1`,
  // Node is not instrumented: of what it does to memory TSan sees what goes through libc (copies, frees), but not the atomics
  // that order it. So no access through libc is judged, neither Node's nor ours; the core's own tests (make -C native tsan)
  // judge ours. All locks are seen. Node has threads at its end, and for these TSan would wait a second.
  TSAN_OPTIONS: `${common}:halt_on_error=1:atexit_sleep_ms=0:ignore_interceptors_accesses=1:second_deadlock_stack=1`,
}
const preload = `--require=${at('test/support/sanitized-addon.cjs')}`

// A kernel that randomises more address bits than the sanitizers expect stops them at start; setarch -R turns that off.
const plain = spawnSync('setarch', ['-R', 'true']).status === 0 ? ['setarch', '-R'] : []

let points = 0
let failed = false
function point(good, name, lines = []) {
  console.log(`${good ? 'ok' : 'not ok'} ${++points} - ${name}`)
  if (!good) console.log(['  ---', ...lines.map((line) => `  ${line}`), '  ...'].join('\n'))
  failed ||= !good
}

/** What was found since the last call, as lines. */
function takeFindings() {
  return fs.readdirSync(found).map((name) => {
    const text = fs.readFileSync(path.join(found, name), 'utf8')
    fs.rmSync(path.join(found, name))
    return text.split('\n').filter((line) => line.trim() !== '')
  })
}

// Else a runtime that is not there, or that reports elsewhere, would pass for an addon without faults.
const script = `require(${JSON.stringify(root)}).devices(); process.kill(process.pid, 'SIGSEGV'); setInterval(() => {}, 1000)`
const command = [...plain, 'env', `LD_PRELOAD=${runtime}`, process.execPath, preload, '-e', script]
const canary = spawnSync(command[0], command.slice(1), {
  env: { ...process.env, ...env },
  encoding: 'utf8',
  timeout: 30_000,
})
const told = takeFindings().flat()
point(canary.status === 86 && told.some((line) => line.includes('SEGV')), `${sanitizer} tells of a planted fault`, [
  `status ${canary.status}, signal ${canary.signal}`,
  ...canary.stderr.split('\n'),
  ...told,
])

// Nor an addon that was built without.
const built = fs.readFileSync(addon, 'latin1')
point(built.includes(`__${sanitizer}_init`), `the addon is instrumented for ${sanitizer}`)

const [program, ...programArgs] = [...plain, process.execPath, at('node_modules/tap/dist/esm/run.mjs')]
const tap = run(
  program,
  [
    ...programArgs,
    '--reporter=tap',
    '--timeout=600',
    `--test-env=LD_PRELOAD=${runtime}`,
    '--node-arg=--import=tsx', // in the place of .taprc's, which is the same
    `--node-arg=${preload}`,
    ...files,
  ],
  { stdio: 'inherit', env },
)
if (!tap.ok) say(`tap: ${tap.why}`)
failed ||= !tap.ok

const findings = takeFindings()
for (const lines of findings) {
  const summary = lines.find((line) => line.startsWith('SUMMARY: ')) ?? 'SUMMARY: something'
  point(false, `${sanitizer} found ${summary.slice('SUMMARY: '.length)}`, lines)
}
if (findings.length === 0) point(true, `${sanitizer} found nothing`)
process.exitCode = failed ? 1 : 0
