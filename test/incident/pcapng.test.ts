// The same incident in either format: what differs is what a .pcapng says of itself.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'

import type { CapOptions, CaptureFormat, Incident, PcapRingOptions, Precision } from '../../src/index.js'
import { readPackets } from '../../src/testing.js'
import { version } from '../../src/version.js'
import { nsOf, readEvidence } from '../support/evidence.js'
import { defaultStart, udpPackets } from '../support/generate.js'
import { noTool } from '../support/netns.js'
import { timeOf } from '../support/pcap-file.js'
import { type PcapngFile, parsePcapng } from '../support/pcapng-file.js'
import { pcapBytes, pcapngBytes, type RawPacket } from '../support/recording.js'
import {
  fileOf,
  range,
  recordingOf,
  replay,
  ringOf,
  scratch,
  sectionCounts,
  tcpdumpCount,
  validIncident,
} from '../support/replay.js'

// Captured lengths of every rest modulo four, some cut when they were recorded, nanoseconds that microseconds cut off.
const packets: RawPacket[] = udpPackets({ pps: 1_000, count: 2_000 }).map(({ time, data }, i) => ({
  sec: Math.floor(time / 1_000),
  frac: Math.round((time % 1_000) * 1_000_000) + 789,
  data: data.subarray(0, 64 - (i % 7)),
  len: data.length,
}))
const nanoRecording = pcapngBytes(packets, { nano: true })

const pcapngOf = (path: string): PcapngFile => parsePcapng(readFileSync(path))

/** Freezes at 1 s, resolves at 1.5 s. */
async function incidentOf(t: Parameters<typeof ringOf>[0], options: PcapRingOptions, freeze = {}): Promise<Incident> {
  const ring = ringOf(t, { file: nanoRecording, ...options })
  let boundaries = 0
  let incident: Incident | undefined
  ring.on('stats', () => {
    boundaries++
    if (boundaries === 4) incident = ring.freeze(freeze)
    if (boundaries === 6) void incident?.resolve()
  })
  await replay(ring)
  await incident?.finished
  return incident as Incident
}

const tshark = (path: string, ...args: string[]): string[] =>
  execFileSync('tshark', ['-r', path, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    .trimEnd()
    .split('\n')

for (const precision of ['micro', 'nano'] as Precision[]) {
  test(`the same packets, times and bytes in both formats: ${precision}`, async (t) => {
    const both = { precision, snaplen: 100, filter: 'udp' }
    const [pcap, pcapng] = await Promise.all(
      (['pcap', 'pcapng'] as CaptureFormat[]).map((format) => incidentOf(t, { ...both, format }, { id: 'x' })),
    )
    const [plain, sequences] = await validIncident(t, pcap as Incident)
    const [report, same] = await validIncident(t, pcapng as Incident)
    t.strictSame(sequences, range(500, 1_100))
    t.strictSame(same, sequences)
    t.strictSame(readEvidence(report).wrong, [])
    const { custody: _, ...told } = report
    t.match(plain, { ...told, file: /x\.pcap$/, format: 'pcap', bytes: Number, sha256: /./ })
    t.match(report, { file: /x\.pcapng$/, format: 'pcapng' })

    const files = [fileOf(plain.file as string), fileOf(report.file as string)] as const
    const [one, other] = files.map((file) =>
      file.records.map((record) => [timeOf(file, record), record.len, record.data.toString('hex')]),
    )
    t.strictSame(other, one)
    t.equal(files[1].header.nano, precision === 'nano')
    t.equal(files[1].header.snaplen, files[0].header.snaplen)
    const cut = precision === 'nano' ? 789n : 0n
    t.ok(one?.every(([time]) => (time as bigint) % 1_000n === cut))

    // Our own reader, too.
    const read = []
    for await (const packet of readPackets(report.file as string)) read.push(packet)
    t.strictSame(
      read.map(({ time, length, data }) => [nsOf(time), length, Buffer.from(data).toString('hex')]),
      other,
    )
  })
}

test('what the file says of itself', async (t) => {
  const reason = 'a "reason" über\ntwo lines \u{1F525}'
  const incident = await incidentOf(t, { format: 'pcapng', filter: 'udp port 9' }, { id: 'x', reason })
  const report = await incident.finished
  const { section, device, statistics, records, header } = pcapngOf(incident.file as string)
  t.strictSame(section, {
    comment: `incident x: ${reason}`,
    os: `Linux ${release()}`,
    application: `@flowtriq/pcap-ring ${version}`,
  })
  t.strictSame(device, { name: undefined, filter: 'udp port 9', resolution: 6 })
  t.equal(header.linkType, 1)
  const comments = records.flatMap(({ comment }, i) => (comment === undefined ? [] : [[comment, i + 1]]))
  t.strictSame(
    comments,
    report.sections.map(({ name, firstFrame }) => [name, firstFrame]),
  )
  t.strictSame(Object.keys(sectionCounts(report)), ['pre-buffer', 'attack', 'resolution'])
  const usOf = (time: string | null): bigint => nsOf(time as string) / 1_000n
  // Of a recording nobody knows what was lost before it was one.
  t.strictSame(statistics, {
    start: usOf(report.from),
    end: usOf(report.to),
    interfaceDrop: undefined,
    osDrop: undefined,
  })
})

test('without a filter and a reason', async (t) => {
  const incident = await incidentOf(t, { format: 'pcapng' }, { id: 'x' })
  const { section, device } = pcapngOf(incident.file as string)
  t.equal(section.comment, 'incident x')
  t.equal(device.filter, undefined)
})

test('tshark and capinfos show it', { skip: noTool('tshark') || noTool('capinfos') }, async (t) => {
  const incident = await incidentOf(t, { format: 'pcapng' }, { id: 'shown', reason: 'because of this' })
  const { sections, packets } = await incident.finished
  const path = incident.file as string
  t.strictSame(
    tshark(path, '-Y', 'frame.comment', '-T', 'fields', '-e', 'frame.number', '-e', 'frame.comment'),
    sections.map(({ firstFrame, name }) => `${firstFrame}\t${name}`),
  )
  t.equal(tshark(path, '-T', 'fields', '-e', 'frame.number').length, packets, 'and no frame for anything else')
  t.match(tshark(path, '-Y', 'frame.comment == "attack"', '-T', 'fields', '-e', 'frame.time_epoch'), [
    `${defaultStart / 1_000 + 1}.000000000`,
  ])
  const info = execFileSync('capinfos', ['-M', path], { encoding: 'utf8' })
  t.match(info, /File type: +pcapng\n/)
  t.match(info, /Capture comment: +incident shown: because of this\n/)
  t.match(info, new RegExp(`Capture application: +@flowtriq/pcap-ring ${version}\n`))
  t.match(info, /Number of stat entries = 1\n/)
  t.match(info, new RegExp(`Number of packets = ${packets}\n`))
})

test('manual captures and dumps', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file: nanoRecording, format: 'pcapng', directory })
  let incident: Incident | undefined
  let boundaries = 0
  ring.on('stats', () => {
    if (++boundaries === 2) incident = ring.capture({ id: 'm', reason: 'to see', cap: { packets: 40 } })
  })
  await replay(ring)
  const [report, sequences] = await validIncident(t, incident as Incident)
  t.strictSame(sequences, range(500, 40))
  t.match(report, { kind: 'manual', format: 'pcapng', sections: [{ name: 'capture' }] })
  const manual = pcapngOf(join(directory, 'incident_m.pcapng'))
  t.equal(manual.section.comment, 'capture m: to see')
  t.strictSame(
    manual.records.map(({ comment }) => comment),
    ['capture', ...Array(39).fill(undefined)],
  )

  const path = join(directory, 'x.pcapng')
  const dump = await ring.dump(path)
  t.match(dump, { file: path, format: 'pcapng', bytes: statSync(path).size, packets: 500, linkType: 'EN10MB' })
  const dumped = pcapngOf(path)
  t.equal(dumped.records.length, 500)
  t.equal(tcpdumpCount(path), 500)
  t.ok(dumped.records.every(({ comment }) => comment === undefined))
  t.equal(dumped.section.comment, undefined)
})

test('a freeze before any packet leaves a whole file without one', async (t) => {
  const ring = ringOf(t, { file: nanoRecording, format: 'pcapng', filter: 'tcp' })
  await ring.start()
  const incident = ring.freeze({ id: 'x' })
  await ring.close()
  const report = await incident.finished
  const { records, statistics } = pcapngOf(incident.file as string)
  t.equal(records.length, 0)
  t.equal(report.bytes, statSync(incident.file as string).size)
  t.equal(statistics?.end, nsOf(report.resolvedAt) / 1_000n)
  t.equal(tcpdumpCount(incident.file as string), 0)
})

// Blocks of the 64-byte packets of this recording.
const blockSize = 32 + 64
const even = recordingOf(udpPackets({ pps: 4_000, count: 14_000 }))

async function capped(t: Parameters<typeof ringOf>[0], cap: CapOptions, reason?: string): Promise<Incident> {
  const ring = ringOf(t, { file: even, format: 'pcapng' })
  let boundaries = 0
  let incident: Incident | undefined
  ring.on('stats', () => {
    if (++boundaries === 2) incident = ring.freeze({ id: 'x', cap, ...(reason !== undefined && { reason }) })
  })
  await replay(ring)
  await incident?.resolve()
  return incident as Incident
}

test('capped by bytes: those of the whole file, statistics and comments included', async (t) => {
  const whole = await capped(t, { packets: 700 })
  const { bytes } = await whole.finished
  for (const [room, packets] of [
    [bytes, 700],
    [bytes + blockSize - 1, 700],
    [bytes + blockSize, 701],
    [bytes - 1, 699],
  ] as const) {
    const [report, sequences] = await validIncident(t, await capped(t, { bytes: room }))
    t.strictSame(sequences, range(1_500, packets), `${room} bytes`)
    t.equal(report.bytes, bytes + (packets - 700) * blockSize)
    t.equal(report.capped, 'bytes')
    t.not(pcapngOf(report.file as string).statistics, null)
  }
})

test('capped by bytes that the ring alone fills: the newest; then none at all', async (t) => {
  const one = await (await capped(t, { packets: 1 })).finished
  for (const [room, packets] of [
    [one.bytes + 299 * blockSize, 300],
    [one.bytes, 1],
    // A comment 'attack' takes four bytes less than 'pre-buffer'.
    [one.bytes - 5, 0],
  ] as const) {
    const [report, sequences] = await validIncident(t, await capped(t, { bytes: room }))
    t.strictSame(sequences, range(2_000 - packets, packets))
    t.equal(report.capped, 'bytes')
    t.ok(report.bytes <= room)
  }
  // A reason larger than the cap makes way for packets.
  const emptyFile = 116
  const bytes = emptyFile + 20 + blockSize
  const [report] = await validIncident(t, await capped(t, { bytes }, 'x'.repeat(1_000)))
  t.match(report, { packets: 1, bytes, reason: 'x'.repeat(1_000) })
  t.equal(pcapngOf(report.file as string).section.comment, undefined)
  const [empty] = await validIncident(t, await capped(t, { bytes: 148 }))
  t.match(empty, { packets: 0, bytes: emptyFile, capped: 'bytes' })
})

test('what was written can be replayed: the same packets again', async (t) => {
  const first = await incidentOf(t, { format: 'pcapng', precision: 'nano' }, { id: 'x' })
  const ring = ringOf(t, { file: first.file as string, format: 'pcapng', precision: 'nano' })
  const end = once(ring, 'end')
  await ring.start()
  const incident = ring.freeze({ id: 'y' })
  await end
  await incident.resolve()
  const [again, before] = [pcapngOf(incident.file as string), pcapngOf(first.file as string)]
  const plain = ({ records }: PcapngFile) => records.map(({ sec, frac, len, data }) => [sec, frac, len, data])
  t.strictSame(plain(again), plain(before))
})

test('a link type of another kind, and more than 16 bits of it', async (t) => {
  // LINUX_SLL; Ethernet with a frame check sequence of two words, which only a .pcap says so.
  for (const [field, linkType] of [
    [113, 113],
    [0x24000001, 1],
  ] as const) {
    const file = pcapBytes(packets.slice(0, 10), { linkType: field })
    const ring = ringOf(t, { file, format: 'pcapng' })
    await replay(ring)
    const path = join(scratch(t), 'x.pcapng')
    await ring.dump(path)
    const { header, records } = fileOf(path)
    t.equal(header.linkType, linkType)
    t.equal(records.length, 10)
  }
})
