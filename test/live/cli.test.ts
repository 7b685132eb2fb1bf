// The command line tool on a live device.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { jumps, readEvidence, sizes } from '../support/evidence.js'
import { type Running, runCommand } from '../support/host.js'
import { installedCopy } from '../support/installed.js'
import { makeNamespace, makePair, noNamespaces, noTool, type Pair } from '../support/netns.js'
import { parsePcapng } from '../support/pcapng-file.js'
import { tcpdumpCount } from '../support/replay.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

const reportsIn = (directory: string): IncidentReport[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(join(directory, name), 'utf8')) as IncidentReport)

const start = (t: Test, { here }: Pair, ...args: string[]): Running =>
  runCommand(t, { netns: here.name }, ...args.map((arg) => (arg === 'DEVICE' ? here.device : arg)))

interface Line {
  v: number
  event: string
  time: string
  data: Record<string, unknown>
}
const linesOf = (stdout: string): Line[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)

test('capture --packets 100', { skip }, async (t) => {
  const pair = makePair(t)
  const directory = t.testdir({})
  const running = start(t, pair, 'capture', 'DEVICE', '--packets', '100', '--dir', directory)
  await running.until(/capturing on here0/)
  const sending = send(t, pair.there, { count: 20_000 })
  const { status, stdout, stderr } = await running.ended
  await sending.stop()
  t.equal(status, 0, stderr)
  const [report] = reportsIn(directory) as [IncidentReport]
  t.match(report, { kind: 'manual', packets: 100, capped: 'packets' })
  t.same(sizes(report), { capture: 100 })
  const { frames, wrong } = readEvidence(report)
  t.same(wrong, [])
  t.same(jumps(frames), [])
  t.match(stdout, report.file)
  t.match(stdout, /PKTS.*100.*cap reached/)
})

test('capture --format pcapng: the file itself says from where, and what was lost', { skip }, async (t) => {
  const pair = makePair(t)
  const directory = t.testdir({})
  const options = ['--packets', '300', '--format', 'pcapng', '--filter', 'udp', '--dir', directory]
  const running = start(t, pair, 'capture', 'DEVICE', ...options)
  await running.until(/capturing on here0/)
  const sending = send(t, pair.there, { count: 20_000 })
  const { status, stdout, stderr } = await running.ended
  await sending.stop()
  t.equal(status, 0, stderr)
  const [report] = reportsIn(directory) as [IncidentReport]
  const path = report.file as string
  t.equal(path, join(directory, `incident_${report.id}.pcapng`))
  t.match(stdout, path)
  t.match(report, { kind: 'manual', format: 'pcapng', packets: 300 })
  const { frames, wrong } = readEvidence(report)
  t.same(wrong, [])
  t.same(jumps(frames), [])
  t.equal(tcpdumpCount(path), 300)
  const { device, section, statistics, records } = parsePcapng(readFileSync(path))
  t.same(device, { name: pair.here.device, filter: 'udp', resolution: 6 })
  t.equal(section.comment, `capture ${report.id}`)
  t.equal(records[0]?.comment, 'capture')
  t.match(statistics, { interfaceDrop: BigInt(report.loss.interface), osDrop: BigInt(report.loss.kernel) })
})

test('capture --duration, on a device where nothing passes', { skip }, async (t) => {
  const pair = makePair(t)
  const directory = t.testdir({})
  const { status, stdout } = await start(
    t,
    pair,
    'capture',
    'DEVICE',
    '--duration',
    '200ms',
    '--dir',
    directory,
    '--json',
  ).ended
  t.equal(status, 0)
  const lines = linesOf(stdout)
  t.ok(lines.every(({ v, time }) => v === 1 && /^\d{4}-.*\.\d{6}Z$/.test(time)))
  t.same(
    lines.map(({ event }) => event).filter((event) => event !== 'stats'),
    ['start', 'freeze', 'flush', 'cap', 'resolve', 'close'],
  )
  const [report] = reportsIn(directory) as [IncidentReport]
  t.match(report, { packets: 0, capped: 'duration', sections: [] })
  t.same(readEvidence(report).wrong, [])
  t.same(lines.find(({ event }) => event === 'resolve')?.data, report)
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  test(`watch, and ${signal} in the middle of an incident`, { skip }, async (t) => {
    const pair = makePair(t)
    const directory = t.testdir({})
    const running = start(t, pair, 'watch', 'DEVICE', '--pps', '700', '--dir', directory, '--filter', 'udp')
    await running.until(/watching here0/)
    await send(t, pair.there, { count: 600, pps: 400 }).sent
    const sending = send(t, pair.there, { count: 100_000, first: 600, pps: 900 })
    await running.until(/incident [0-9a-f]{8} began/)
    running.kill(signal)
    const { status, stdout, stderr } = await running.ended
    await sending.stop()
    t.equal(status, 0, stderr)
    const reports = reportsIn(directory)
    t.equal(reports.length, 1)
    const [report] = reports as [IncidentReport]
    t.same(readdirSync(directory).sort(), [`incident_${report.id}.json`, `incident_${report.id}.pcap`])
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [])
    t.same(jumps(frames), [])
    t.match(report, {
      kind: 'incident',
      error: null,
      recovered: false,
      filter: 'udp',
      reason: /^udp-flood, low: \d+ packets/,
    })
    t.equal(sizes(report)['pre-buffer'], 500)
    t.match(stdout, report.file, 'the card')
  })

  test(`capture, and ${signal}`, { skip }, async (t) => {
    const pair = makePair(t)
    const directory = t.testdir({})
    const running = start(t, pair, 'capture', 'DEVICE', '--dir', directory, '--json')
    await running.until(/"event":"flush"/)
    await send(t, pair.there, { count: 300 }).sent
    running.kill(signal)
    const { status, stdout } = await running.ended
    t.equal(status, 0)
    const [report] = reportsIn(directory) as [IncidentReport]
    t.same(sizes(report), { capture: 300 })
    t.same(readEvidence(report).wrong, [])
    t.equal(linesOf(stdout).at(-1)?.event, 'close')
  })

  test(`watch, idle, and ${signal}`, { skip }, async (t) => {
    const pair = makePair(t)
    const directory = t.testdir({})
    const running = start(t, pair, 'watch', 'DEVICE', '--bps', '1G', '--dir', directory)
    await running.until(/watching here0/)
    running.kill(signal)
    t.match(await running.ended, { status: 0, signal: null, stdout: '' })
    t.same(readdirSync(directory), [])
  })
}

test('watch --json, and SIGTERM amid an attack: all that ends is told of before the close', { skip }, async (t) => {
  const pair = makePair(t)
  const directory = t.testdir({})
  const running = start(t, pair, 'watch', 'DEVICE', '--pps', '500', '--dir', directory, '--json')
  await running.until(/"event":"stats"/)
  const sending = send(t, pair.there, { count: 40_000, pps: 900 })
  await running.until(/"event":"flush"/)
  running.kill('SIGTERM')
  const { status, stdout, stderr } = await running.ended
  await sending.stop()
  t.equal(status, 0, stderr)
  const lines = linesOf(stdout).filter(({ event }) => event !== 'stats')
  t.same(
    lines.map(({ event }) => event).filter((event) => event !== 'onset'),
    ['start', 'attack', 'freeze', 'flush', 'resolve', 'clear', 'close'],
  )
  const [report] = reportsIn(directory) as [IncidentReport]
  t.match(lines.at(-2), { time: report.resolvedAt, data: { cause: 'pps', vector: 'udp-flood' } })
})

test('a closed pipe completes what is open', { skip }, async (t) => {
  const pair = makePair(t)
  const directory = t.testdir({})
  const running = start(t, pair, 'watch', 'DEVICE', '--pps', '500', '--dir', directory, '--json')
  await running.until(/"event":"stats"/)
  const sending = send(t, pair.there, { count: 40_000, pps: 900 })
  await running.until(/"event":"flush"/)
  running.child.stdout?.destroy()
  t.match(await running.ended, { status: 0, signal: null })
  await sending.stop()
  const [report] = reportsIn(directory) as [IncidentReport]
  const { frames, wrong } = readEvidence(report)
  t.same(wrong, [])
  t.same(jumps(frames), [])
  t.equal(report.recovered, false)
})

test('what cannot be captured on is told, with status 1', { skip }, async (t) => {
  const pair = makePair(t)
  const directory = t.testdir({})
  for (const [args, message] of [
    [['capture', 'nosuch0'], /^pcap-ring: .*nosuch0.*here0/],
    [['watch', 'nosuch0', '--pps', '1'], /nosuch0/],
    [['capture', 'DEVICE', '--filter', 'udp prot'], /udp prot/],
    [['capture'], /default route.*here0/],
  ] as const) {
    const { status, stdout, stderr } = await start(t, pair, ...args, '--dir', directory).ended
    t.equal(status, 1, args.join(' '))
    t.equal(stdout, '')
    t.match(stderr, message)
    t.equal(stderr.trimEnd().split('\n').length, 1, 'one line')
  }
})

test('without the permission: watch has statistics, capture fails', { skip: skip || noTool('setpriv') }, async (t) => {
  const root = installedCopy(t)
  const netns = makeNamespace(t)
  const wrap = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-all']
  const directory = t.testdir({})
  const watching = runCommand(t, { netns, wrap, root }, 'watch', 'lo', '--pps', '1k', '--dir', directory)
  await watching.until(/watching lo, statistics only/)
  watching.kill('SIGTERM')
  const { status, stderr } = await watching.ended
  t.equal(status, 0)
  t.equal(stderr.match(/CAP_NET_RAW/g)?.length, 1, 'one warning')
  const capturing = await runCommand(t, { netns, wrap, root }, 'capture', 'lo', '--dir', directory).ended
  t.equal(capturing.status, 1)
  t.match(capturing.stderr, /CAP_NET_RAW/)
})

test('devices', { skip }, async (t) => {
  const pair = makePair(t)
  const { status, stdout } = await start(t, pair, 'devices').ended
  t.equal(status, 0)
  t.match(stdout, /here0/)
  t.match(stdout, /\blo\b/)
})
