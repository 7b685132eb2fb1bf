// Every field of a report, computed again from the file and the recording.

import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { hostname, release } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'

import type { Attack, Incident, IncidentReport } from '../../src/index.js'
import { defaultStart, synPackets, udpPackets } from '../support/generate.js'
import { pcapBytes, type RawPacket, timeString, toRaw, usOf } from '../support/recording.js'
import { fileOf, replay, ringOf, scratch } from '../support/replay.js'

const first = defaultStart + 77.123
// Frames of two sizes, some cut when they were recorded, two steps back in time.
const packets: RawPacket[] = toRaw([
  ...udpPackets({ pps: 800, count: 900, start: first }),
  ...synPackets({ pps: 3_200, count: 2_400, start: first + 1_125, firstSequence: 900, size: 90 }),
  ...udpPackets({ pps: 400, count: 400, start: first + 1_876, firstSequence: 3_300 }),
]).map((packet, i) => {
  const cut = i % 5 === 0 ? { data: packet.data.subarray(0, 60), len: packet.data.length } : packet
  return { ...packet, ...cut, ...(i === 1_000 || i === 1_500 ? { frac: packet.frac - 7_000 } : {}) }
})

const attack: Attack = {
  at: timeString(defaultStart * 1_000),
  onsetAt: null,
  pps: 3_200,
  bps: 1,
  baseline: { pps: 800, bps: 1 },
  cause: 'pps',
  vector: 'syn-flood',
  severity: 'low',
}
const since = timeString(Math.round(first * 1_000) + 1_125_000)
const labels = { customer: 'Bäcker "Süß"\n', 'a.b': '' }

let report: IncidentReport
let incident: Incident

const freezeUs = Math.round(first * 1_000) + 1_250_000
const resolveUs = freezeUs + 750_000

test('an incident', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file: pcapBytes(packets), directory, filter: 'ip', snaplen: 70 })
  let boundaries = 0
  ring.on('stats', () => {
    boundaries++
    if (boundaries === 5)
      incident = ring.freeze({ id: 'x.1-Y_z', reason: 'a "reason" \u{1F525}', labels, attack, since })
    if (boundaries === 8) void incident.resolve()
  })
  const resolved = new Promise((resolve) => ring.once('resolve', (...args) => resolve(args)))
  await replay(ring)
  report = await incident.finished
  t.strictSame(await resolved, [incident, report])

  const { header, records } = fileOf(join(directory, 'incident_x.1-Y_z.pcap'))
  t.equal(incident.file, join(directory, 'incident_x.1-Y_z.pcap'))
  const bytes = readFileSync(incident.file as string)
  const json = join(directory, 'incident_x.1-Y_z.json')
  t.strictSame(JSON.parse(readFileSync(json, 'utf8')), report, 'the JSON file is the same')
  for (const path of [incident.file as string, json]) t.equal(statSync(path).mode & 0o777, 0o600)

  t.test('what it is', async (t) => {
    t.match(report, {
      version: 1,
      id: 'x.1-Y_z',
      kind: 'incident',
      reason: 'a "reason" \u{1F525}',
      source: 'file',
      mode: 'capture',
      file: incident.file,
      format: 'pcap',
      linkType: 'EN10MB',
      snaplen: 70,
      filter: 'ip',
      direction: 'both',
      capped: null,
      recovered: false,
      error: null,
    })
    t.strictSame(report.labels, labels)
    t.strictSame(report.attack, attack)
    t.equal(header.snaplen, 70)
    t.equal(header.linkType, 1)
  })

  t.test('the file', async (t) => {
    t.equal(report.bytes, bytes.length)
    t.equal(report.packets, records.length)
    t.equal(report.sha256, createHash('sha256').update(bytes).digest('hex'))
    const capinfos = execFileSync('capinfos', ['-c', '-M', '-T', '-r', incident.file as string], { encoding: 'utf8' })
    t.match(capinfos, new RegExp(`\\t${records.length}\\b`))
    const times = records.map(usOf)
    t.equal(report.from, timeString(Math.min(...times)))
    t.equal(report.to, timeString(Math.max(...times)))
  })

  t.test('when it was', async (t) => {
    t.equal(report.frozenAt, timeString(freezeUs))
    t.equal(report.resolvedAt, timeString(resolveUs))
    t.equal(report.duration, 750)
  })

  // By place in the recording: the first packet at or after a boundary and all behind it.
  const freezeAt = packets.findIndex((packet) => usOf(packet) >= freezeUs)
  const resolveAt = packets.findIndex((packet) => usOf(packet) >= resolveUs)
  const parts = [
    { name: 'pre-buffer', all: packets.slice(freezeAt - 500, freezeAt) },
    { name: 'attack', all: packets.slice(freezeAt, resolveAt) },
    { name: 'resolution', all: packets.slice(resolveAt, resolveAt + 100) },
  ]

  t.test('sections', async (t) => {
    let frame = 1
    const wanted = parts.map(({ name, all }) => {
      const times = all.map(usOf)
      const section = {
        name,
        packets: all.length,
        bytes: all.reduce((sum, { data, len = data.length }) => sum + len, 0),
        from: timeString(Math.min(...times)),
        to: timeString(Math.max(...times)),
        firstFrame: frame,
        lastFrame: frame + all.length - 1,
        sampling: null,
      }
      frame += all.length
      return section
    })
    t.strictSame(report.sections, wanted)
    t.strictSame(await incident.flushed, wanted.slice(0, 1))
    t.strictSame(
      records.map(({ sec, frac, data, len }) => ({ sec, frac, data, len })),
      parts.flatMap(({ all }) =>
        all.map(({ sec, frac, data, len = data.length }) => ({ sec, frac, data: data.subarray(0, 70), len })),
      ),
    )
  })

  t.test('coverage and loss', async (t) => {
    const times = records.map(usOf)
    const sinceUs = Math.round(first * 1_000) + 1_125_000
    const steps = times.slice(1).map((us, i) => (times[i] as number) - us)
    const back = steps.filter((step) => step > 0)
    t.strictSame(report.coverage, {
      onsetAt: since,
      onsetSource: 'since',
      preOnsetPackets: times.filter((us) => us < sinceUs).length,
      preOnsetSpan: (sinceUs - (times[0] as number)) / 1_000,
      complete: true,
      gaps: [],
      clock: { backSteps: back.length, largestBackStep: Math.max(...back) / 1_000 },
    })
    t.equal(back.length, 2)
    t.strictSame(report.loss, { kernel: 0, interface: 0, writer: 0 })
  })

  t.test('statistics, from freeze to resolve', async (t) => {
    const during = packets.slice(freezeAt, resolveAt)
    const isTcp = ({ data }: RawPacket): boolean => data[23] === 6
    const sum = (all: RawPacket[]): number => all.reduce((total, { data, len = data.length }) => total + len, 0)
    const slots = [0, 1, 2].map((n) => {
      const from = packets.findIndex((packet) => usOf(packet) >= freezeUs + n * 250_000)
      const to = packets.findIndex((packet) => usOf(packet) >= freezeUs + (n + 1) * 250_000)
      const all = packets.slice(from, to)
      return { at: timeString(freezeUs + n * 250_000), packets: all.length, bytes: sum(all) }
    })
    const peak = (of: (slot: (typeof slots)[number]) => number) =>
      slots
        .map((slot) => ({ value: of(slot) / 0.25, at: slot.at }))
        .reduce((best, next) => (next.value > best.value ? next : best))
    t.strictSame(report.statistics, {
      packets: during.length,
      bytes: sum(during),
      peakPps: peak(({ packets }) => packets),
      peakBps: peak(({ bytes }) => bytes * 8),
      protocols: {
        tcp: during.filter(isTcp).length,
        udp: during.filter((packet) => !isTcp(packet)).length,
        icmp: 0,
        other: 0,
      },
      tcpFlags: { syn: during.filter(isTcp).length, synack: 0, ack: 0, rst: 0, fin: 0 },
      fragments: 0,
      timeline: slots,
    })
  })

  t.test('custody', async (t) => {
    const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8'))
    t.match(report.custody, {
      host: {
        hostname: hostname(),
        bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
        kernel: release(),
      },
      software: { version, libpcap: /^libpcap version \d/, node: process.version },
      clock: { synchronised: Boolean, maxErrorUs: Number },
    })
    t.equal(report.custody.device, null)
  })
})

test('a report without anything given', async (t) => {
  const ring = ringOf(t, { file: pcapBytes(packets, { linkType: 1 }) })
  await replay(ring)
  const incident = ring.freeze()
  t.match(incident.id, /^[0-9a-f]{8}$/)
  const report = await incident.resolve()
  t.match(report, { reason: null, attack: null, filter: null, snaplen: 262_144, coverage: { onsetAt: null } })
  t.strictSame(report.labels, {})
  t.match(report.coverage, { onsetSource: null, preOnsetPackets: 0, preOnsetSpan: 0 })
})

test('precision nano: nine digits everywhere', async (t) => {
  const ring = ringOf(t, { file: pcapBytes(packets), precision: 'nano' })
  await replay(ring)
  const text = JSON.stringify(await ring.freeze({ since: new Date(defaultStart) }).resolve())
  const fractions = [...text.matchAll(/\d\dT\d\d:\d\d:\d\d\.(\d+)Z/g)].map(([, fraction]) => fraction?.length)
  t.ok(fractions.length > 5)
  t.strictSame([...new Set(fractions)], [9])
})

test('a long incident has at most 600 slots, and they add up', async (t) => {
  const ring = ringOf(t, { file: pcapBytes(toRaw(udpPackets({ pps: 100, count: 7_531 }))), statsInterval: '50ms' })
  let incident: Incident | undefined
  ring.once('stats', () => {
    incident = ring.freeze()
  })
  await replay(ring)
  const { statistics } = await (incident as Incident).resolve()
  const { timeline } = statistics
  t.ok(timeline.length > 300 && timeline.length <= 600, `${timeline.length} slots`)
  t.equal(
    timeline.reduce((sum, { packets }) => sum + packets, 0),
    statistics.packets,
  )
  t.equal(statistics.packets, 7_531 - 5)
  t.strictSame(
    timeline.map(({ at }) => at).sort(),
    timeline.map(({ at }) => at),
  )
})
