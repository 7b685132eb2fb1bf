import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { PcapRing } from '../src/index.js'
import { encodePcap } from '../src/testing.js'
import type { IncidentReport } from '../src/types.js'
import { installedCopy } from './support/installed.js'
import { parsePcap } from './support/pcap-file.js'
import { nodeCommand } from './support/sanitizer.js'

const root = join(__dirname, '..')
const has = (command: string): boolean => spawnSync('sh', ['-c', `command -v ${command}`]).status === 0
const notBuilt = existsSync(join(root, 'lib', 'cli', 'card.js')) ? false : 'not built: npm run build'
const notRoot = process.getuid?.() === 0 ? false : 'needs root'
const noReaders = has('tcpdump') && has('tshark') ? false : 'needs tcpdump and tshark'
const noSetpriv = has('setpriv') ? false : 'needs setpriv'

/** What the demo needs of this repository, where everybody may read it and nobody else records. */
const copyOfDemo = (t: Test): string => installedCopy(t, 'scripts/demo')

const demoIn = (copy: string): string[] => [...nodeCommand(copy), 'scripts/demo/main.cjs']

function run(command: string[], cwd: string) {
  // tap's own hooks write where an unprivileged child may not.
  const plain = ['-u', 'NODE_OPTIONS', 'NO_COLOR=1', ...command]
  return spawnSync('env', plain, { cwd, encoding: 'utf8', timeout: 60_000 })
}

function reportIn(directory: string): IncidentReport {
  const captures = readdirSync(directory).filter((name) => name.endsWith('.pcap'))
  if (captures.length !== 1) throw new Error(`one capture expected in ${directory}: ${captures}`)
  return JSON.parse(readFileSync(join(directory, `${captures[0]}`.replace('.pcap', '.json')), 'utf8')) as IncidentReport
}

/** The numbers of tcpdump and of tshark, which know nothing of us. */
function countsOf(t: Test, file: string): number[] {
  const tcpdump = run(['tcpdump', '-nn', '-t', '-r', file], '/')
  const tshark = run(['tshark', '-n', '-r', file, '-T', 'fields', '-e', 'frame.number'], '/')
  t.equal(tcpdump.status, 0, 'tcpdump reads it', { stderr: tcpdump.stderr })
  t.equal(tshark.status, 0, 'tshark reads it', { stderr: tshark.stderr })
  return [tcpdump, tshark].map(({ stdout }) => stdout.trim().split('\n').length)
}

function judgeOutput(t: Test, output: string, report: IncidentReport): void {
  t.match(output, new RegExp(`── Incident ${report.id} ─`))
  t.match(output, new RegExp(`FILE +.*incident_${report.id}\\.pcap\n`))
  t.match(output, new RegExp(`PKTS +${report.packets.toLocaleString('en')}\n`))
  t.match(
    output,
    /SIZE .* bytes\)\n +PKTS .*\n +DURATION .* from freeze to resolve\n.* → .*\n +Sections +pre-buffer +500\n +onset +500\n/,
  )
  t.match(output, new RegExp(`tcpdump .*-r .*incident_${report.id}\\.pcap`))
  t.match(output, new RegExp(`tshark .*-r .*incident_${report.id}\\.pcap`))
  t.match(output, /\nAll of it holds.*\.\n$/)
  t.notMatch(output, /✗/)
  t.strictSame(
    report.sections.map(({ name }) => name),
    ['pre-buffer', 'onset', 'attack', 'resolution'],
  )
  t.match(output, /(4[5-9]\d|500) of 500 packets are from before the burst/)
}

test('on packets: captures its own on loopback, and other readers agree', {
  skip: notBuilt || notRoot || noReaders,
}, (t) => {
  const copy = copyOfDemo(t)
  const started = performance.now()
  const { status, stdout, stderr } = run(demoIn(copy), copy)
  t.equal(status, 0, 'exit status', { stdout, stderr })
  t.ok(performance.now() - started < 10_000, 'within ten seconds')
  const report = reportIn(join(copy, 'demo-captures'))
  t.match(report, { source: 'device', mode: 'capture', direction: 'in', linkType: 'EN10MB', capped: null, error: null })
  t.match(stdout, /Capturing on loopback/)
  judgeOutput(t, stdout, report)
  t.strictSame(countsOf(t, String(report.file)), [report.packets, report.packets])
  t.end()
})

test('without the permission: says so, shows statistics, and does the same over a recording', {
  skip: notBuilt || notRoot || noSetpriv || noReaders,
}, (t) => {
  const copy = copyOfDemo(t)
  const captures = join(copy, 'demo-captures')
  mkdirSync(captures)
  chmodSync(captures, 0o777)
  const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', ...demoIn(copy)]
  const { status, stdout, stderr } = run(nobody, copy)
  t.equal(status, 0, 'exit status', { stdout, stderr })
  t.match(stdout, /no permission to capture on "lo".*CAP_NET_RAW/)
  t.match(stdout, /Statistics-only mode/)
  t.match(stdout, /The same over a recording/)
  const report = reportIn(captures)
  t.match(report, { source: 'file', mode: 'capture', error: null })
  judgeOutput(t, stdout, report)
  t.strictSame(countsOf(t, String(report.file)), [report.packets, report.packets])

  t.test('where it may not write, the file goes to the temporary directory', (t) => {
    chmodSync(captures, 0o755)
    const { status, stdout, stderr } = run(nobody, copy)
    t.equal(status, 0, 'exit status', { stdout, stderr })
    const file = /FILE +(.*\.pcap)\n/.exec(stdout)?.[1] ?? ''
    t.ok(file.startsWith(join(tmpdir(), 'demo-captures-')), file)
    const again = readFileSync(file)
    t.ok(again.equals(readFileSync(String(report.file))), 'in lock step it is the same file again')
    rmSync(join(file, '..'), { recursive: true })
    t.end()
  })
  t.end()
})

test('Ctrl-C completes the file that is open', { skip: notBuilt || notRoot }, async (t) => {
  const copy = copyOfDemo(t)
  const [command, ...args] = demoIn(copy)
  const demo = spawn(command as string, args, { cwd: copy, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  demo.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (!output.includes('freeze()') && (output + text).includes('freeze()')) demo.kill('SIGINT')
    output += text
  })
  const code = await new Promise((resolve) => demo.once('close', resolve))
  t.equal(code, 130)
  t.match(output, /interrupted; .*\.pcap is complete/)
  const report = reportIn(join(copy, 'demo-captures'))
  t.equal(parsePcap(readFileSync(String(report.file))).records.length, report.packets)
})

test('the demo notices a file that does not hold', { skip: notBuilt }, async (t) => {
  // Compiled JavaScript underneath, so not before it is known to be there.
  const { recordedPackets } = require('../scripts/demo/traffic.cjs')
  const { verify } = require('../scripts/demo/verify.cjs')
  const packets = recordedPackets(Date.UTC(2026, 0, 1), [
    { phase: 'calm', pps: 300, seconds: 1 },
    { phase: 'burst', pps: 6_000, seconds: 0.5 },
    { phase: 'calm', pps: 300, seconds: 1 },
  ])
  const ring = new PcapRing({ file: encodePcap(packets), directory: t.testdir({}), statsInterval: 50 })
  let finished: Promise<IncidentReport> | undefined
  ring.on('stats', ({ inbound, total }) => {
    if (inbound.pps > 1_200) finished ??= ring.freeze({ labels: { sent: String(total.packets) } }).finished
    else if (finished) void ring.incidents[0]?.resolve()
  })
  await ring.start()
  await new Promise<void>((resolve) => ring.once('end', resolve))
  await ring.close()
  const report = (await finished) as IncidentReport
  const sent = Number(report.labels.sent)
  const judge = async (over: object, sentAtFreeze = sent): Promise<(boolean | null)[]> =>
    (await verify({ ...report, ...over }, sentAtFreeze)).map(({ good }: { good: boolean | null }) => good)

  // sha256, the JSON file, sections, the boundary, the numbers
  t.strictSame(await judge({}), [true, true, true, true, true])
  t.strictSame(await judge({ sha256: '0'.repeat(64) }), [false, false, true, true, true])
  t.strictSame(await judge({ sections: [...report.sections].reverse() }), [true, false, false, true, true])
  t.strictSame(await judge({}, sent - 1), [true, true, true, false, true])
  t.strictSame(await judge({}, sent + 1), [true, true, true, false, true])

  const file = String(report.file)
  const whole = readFileSync(file)
  const { records } = parsePcap(whole)
  const [from, to] = [records[600]?.offset, records[601]?.offset] as [number, number]
  writeFileSync(file, Buffer.concat([whole.subarray(0, from), whole.subarray(to)]))
  t.strictSame(await judge({}), [false, true, false, true, false], 'a hole')
  t.strictSame(
    (await judge({ loss: { kernel: 1, interface: 0, writer: 0 } })).at(-1),
    null,
    'a hole that the counters know is told of',
  )
  writeFileSync(file, Buffer.concat([whole.subarray(0, to), whole.subarray(from, to), whole.subarray(to)]))
  t.strictSame((await judge({})).at(-1), false, 'a duplicate')
})
