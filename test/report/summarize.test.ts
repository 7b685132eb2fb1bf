// What a recording says of itself, against the report that the core wrote of the same packets.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Test, test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { AddressCounts } from '../../src/report/address-counts.js'
import { type RecordingReport, summarize } from '../../src/report/index.js'
import { captureNames, capturePath, noCaptures } from '../support/captures.js'
import { udpPackets } from '../support/generate.js'
import { pcapBytes, pcapngBytes, toRaw } from '../support/recording.js'
import { recordingOf, replay, ringOf, scratch } from '../support/replay.js'

/** The whole recording as an incident, or null where the ring refuses it. */
async function incidentOf(t: Test, file: string): Promise<IncidentReport | null> {
  const cap = { packets: 1_000_000 }
  const ring = ringOf(t, { file, cap, precision: 'nano', lookback: 0 })
  ring.on('warning', () => {})
  let incident: ReturnType<typeof ring.freeze> | undefined
  ring.once('start', () => {
    incident = ring.freeze()
  })
  try {
    await replay(ring)
  } catch {
    return null
  }
  return (await incident?.resolve()) ?? null
}

/** The capture alone, without its report. */
function alone(t: Test, capture: string): string {
  const ending = capture.endsWith('.pcapng') ? 'pcapng' : 'pcap'
  const file = join(scratch(t), `alone.${ending}`)
  writeFileSync(file, readFileSync(capture))
  return file
}

function sameTraffic(t: Test, found: RecordingReport, wanted: IncidentReport, name: string): void {
  const { timeline, sources, destinations, ...rest } = wanted.traffic as NonNullable<IncidentReport['traffic']>
  const { timeline: own, sources: ownSources, destinations: ownDestinations, ...ownRest } = found.traffic
  t.strictSame(ownRest, rest, `${name}: protocols, flags, sizes, ports`)
  for (const [ours, theirs] of [
    [ownSources, sources],
    [ownDestinations, destinations],
  ] as const) {
    if (!theirs.estimated) t.strictSame(ours, theirs, `${name}: addresses`)
    else
      t.ok(
        !ours.estimated && Math.abs(ours.count - theirs.count) < 0.04 * ours.count,
        `${name}: exact where the core is not`,
      )
  }
  const sum = (all: readonly { packets: number }[]): number => all.reduce((total, { packets }) => total + packets, 0)
  t.equal(sum(own), sum(timeline), `${name}: timeline`)
}

test('every real capture, alone, as the core counts it', { skip: noCaptures, timeout: 300_000 }, async (t) => {
  let compared = 0
  for (const name of captureNames()) {
    const report = await incidentOf(t, capturePath(name))
    if (report === null || report.packets === 0) continue
    const found = (await summarize(alone(t, report.file as string))) as RecordingReport
    t.match(found, {
      kind: 'recording',
      packets: report.packets,
      bytes: report.bytes,
      sha256: report.sha256,
      from: report.from,
      to: report.to,
      error: null,
    })
    sameTraffic(t, found, report, name)
    compared++
  }
  t.ok(compared > 40, `${compared} captures`)
})

test('a capture of ours has its own report, unless that tells of other bytes', async (t) => {
  const directory = join(scratch(t), 'captures')
  mkdirSync(directory)
  const ring = ringOf(t, { file: recordingOf(udpPackets({ pps: 1_000, count: 2_000 })), directory })
  await replay(ring)
  const report = await ring.freeze({ id: 'a' }).resolve()
  const file = report.file as string
  t.strictSame(await summarize(file), report)
  t.strictSame(await summarize(pathToFileURL(file)), report)
  t.strictSame(await summarize(file.replace('.pcap', '.json')), report)

  const bytes = readFileSync(file)
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
  writeFileSync(file, bytes)
  t.match(await summarize(file), { kind: 'recording', packets: report.packets }, 'one bit is enough')
})

test('a damaged one: what could be read, and where it ended', async (t) => {
  const file = join(scratch(t), 'torn.pcap')
  const bytes = recordingOf(udpPackets({ pps: 1_000, count: 5 }))
  writeFileSync(file, bytes.subarray(0, -1))
  t.match(await summarize(file), {
    packets: 4,
    error: /damaged at byte 344/,
    bytes: bytes.length - 1,
    sections: [{ name: 'recording', packets: 4, firstFrame: 1, lastFrame: 4 }],
    traffic: { protocols: { udp: 4 } },
  })
  writeFileSync(file, '')
  t.match(await summarize(file), { packets: 0, error: /it is empty/, sections: [], from: null, format: null })
})

test('mixed link types count each by its own', async (t) => {
  const file = join(scratch(t), 'mixed.pcapng')
  const frames = toRaw(udpPackets({ pps: 1_000, count: 3 }))
  const raw = frames.map((packet) => ({ ...packet, data: packet.data.subarray(14) }))
  writeFileSync(file, Buffer.concat([pcapngBytes(frames), pcapngBytes(raw, { linkType: 101 })]))
  t.match(await summarize(file), {
    linkTypes: [
      { name: 'EN10MB', packets: 3 },
      { name: 'RAW', packets: 3 },
    ],
    traffic: { protocols: { udp: 6, other: 0 }, sources: { count: 1, top: [{ address: '10.0.0.1', packets: 6 }] } },
  })
})

test('the timeline has at most 600 slots, however long it lasts and however time steps', async (t) => {
  const file = join(scratch(t), 'x.pcap')
  const at = (sec: number, index: number) => ({
    sec,
    frac: 0,
    data: udpPackets({ pps: 1, count: 1 })[0]?.data as Buffer,
    index,
  })
  const packets = Array.from({ length: 2_000 }, (_, i) => at(1_000_000 + ((i * 7_919) % 2_000) * 3_600, i))
  writeFileSync(file, pcapBytes(packets))
  const { traffic } = (await summarize(file)) as RecordingReport
  t.ok(traffic.timeline.length <= 600 && traffic.timeline.length > 100)
  t.equal(
    traffic.timeline.reduce((sum, { packets }) => sum + packets, 0),
    2_000,
  )
  const times = traffic.timeline.map(({ at }) => at)
  t.strictSame([...times].sort(), times, 'in order')
})

test('more addresses than there are places: nothing too high, nobody large missed', (t) => {
  const counts = new AddressCounts(64)
  const data = Buffer.alloc(4)
  let all = 0
  const add = (address: number): void => {
    data.writeUInt32BE(address)
    counts.add(data, 0, 4, 100)
    all++
  }
  for (let i = 0; i < 20_000; i++) {
    add(0x0b000000 + i)
    if (i % 4 === 0) add(0x0a000001)
  }
  const { top, other, count, estimated } = counts.result()
  t.equal(estimated, true)
  t.equal(count, 64, 'at least')
  t.equal(top[0]?.address, '10.0.0.1')
  const [first] = top as [(typeof top)[number]]
  t.ok(first.packets <= 5_000 && first.packets >= 5_000 - all / 32, `${first.packets} of 5,000`)
  t.ok(first.bytes <= 500_000)
  t.equal(
    top.reduce((sum, { packets }) => sum + packets, other),
    all,
  )
  t.end()
})

test('IPv6 addresses are written as the core writes them', (t) => {
  const counts = new AddressCounts()
  const of = (hex: string): void => counts.add(Buffer.from(hex, 'hex'), 0, 16, 1)
  of('00000000000000000000ffff01020304')
  of('20010db8000000000001000000000001')
  of('fe800000000000000000000000000001')
  t.strictSame(
    counts
      .result()
      .top.map(({ address }) => address)
      .sort(),
    ['2001:db8::1:0:0:1', '::ffff:1.2.3.4', 'fe80::1'],
  )
  t.end()
})

test('what cannot be read is told', async (t) => {
  const dir = scratch(t)
  await t.rejects(summarize(join(dir, 'none.pcap')), { code: 'ERR_PCAP_BAD_FILE', errno: -2 })
  await t.rejects(summarize(dir), { code: 'ERR_PCAP_BAD_FILE', message: /no regular file/ })
  await t.rejects(summarize(7 as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' })
  writeFileSync(join(dir, 'x.json'), '{}')
  await t.rejects(summarize(join(dir, 'x.json')), { code: 'ERR_PCAP_BAD_FILE', message: /not a report of version 1/ })
})
