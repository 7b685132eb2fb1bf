// What bounds a file and the ring, with an onset kept: caps, odd ring sizes, cut packets, large packets.

import { once } from 'node:events'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { CapOptions, DumpReport, Incident, IncidentReport, PcapRingOptions } from '../../src/index.js'
import { nsOf } from '../support/evidence.js'
import { frozenAt, inSection } from '../support/freezes.js'
import { arrivals } from '../support/generate.js'
import { type Asked, judgeOnset, placed } from '../support/onset-evidence.js'
import { fileOf, ringOf, scratch, sectionCounts } from '../support/replay.js'
import { type Recording, recordingOfStreams, whichOf } from '../support/streams.js'

const recording = recordingOfStreams(
  { times: arrivals({ pps: 1_000, for: 4.4 }) },
  { times: arrivals({ pps: 20_000, from: 3.001, for: 1.35 }) },
)

/** Frozen at 4 s, with everything judged. */
async function reportOf(
  t: Test,
  options: PcapRingOptions,
  asked: Asked = {},
  of: Recording = recording,
): Promise<IncidentReport> {
  const { reports } = await frozenAt(t, of, [{ at: 4, options: { id: 'x', reason: 'a flood' } }], options)
  const [report] = reports as [IncidentReport]
  t.strictSame(judgeOnset(report, of.truth, { statsInterval: 50, ...asked }), [], JSON.stringify(options))
  return report
}

const placesOf = (report: IncidentReport): (string | number)[][] =>
  placed(report, recording.truth).frames.map(({ place, section }) => [place, section])

test('a cap in packets that is smaller than what came before the freeze: the newest', async (t) => {
  const whole = placesOf(await reportOf(t, {}))
  const opening = whole.filter(([, section]) => section !== 'attack' && section !== 'resolution')
  t.equal(opening.length, 1_000)
  for (const packets of [1, 2, 249, 250, 251, 499, 500, 501, 502, 749, 750, 999, 1_000, 1_001, 1_200]) {
    const cap = { packets }
    const report = await reportOf(t, { cap }, { cap })
    t.equal(report.capped, 'packets')
    const kept = packets <= opening.length ? opening.slice(-packets) : whole.slice(0, packets)
    t.strictSame(placesOf(report), kept, `cap of ${packets}`)
    t.equal(report.coverage.onsetSource, 'watch', 'the onset is known, whether its packets are there or not')
  }
})

for (const format of ['pcap', 'pcapng'] as const) {
  test(`a cap in bytes, to the byte: .${format}`, async (t) => {
    // Of a single packet, comments make way for it; what the comment of a first one took, one of the attack has room in.
    for (const packets of [2, 250, 251, 500, 502, 700, 999, 1_000, 1_001, 1_002, 1_300]) {
      const exact = await reportOf(t, { format, cap: { packets } }, { cap: { packets } })
      for (const [bytes, wanted] of [
        [exact.bytes, packets],
        [exact.bytes - 1, packets - 1],
      ] as const) {
        const cap: CapOptions = { bytes }
        const report = await reportOf(t, { format, cap }, { cap: { bytes } })
        t.equal(report.capped, 'bytes')
        t.equal(report.packets, wanted, `${bytes} bytes have room for ${wanted} packets`)
        t.ok(report.bytes <= bytes)
        if (wanted === packets) t.strictSame(placesOf(report), placesOf(exact))
      }
    }
  })
}

test('rings of odd sizes', async (t) => {
  for (const packets of [1, 2, 3, 7, 501, 2_000]) {
    const report = await reportOf(t, { ring: { packets } }, { packets })
    const { 'pre-buffer': before = 0, onset = 0 } = sectionCounts(report)
    t.equal(onset, packets)
    t.ok(before >= Math.ceil(0.9 * packets) && before <= packets, `${before} before the onset`)
    t.ok(report.coverage.gaps.length === 1)
  }
})

test('a ring larger than the flood so far: all of it, and no gap', async (t) => {
  const report = await reportOf(
    t,
    { ring: { packets: 50_000 }, cap: { packets: 60_000 } },
    {
      packets: 50_000,
      cap: { packets: 60_000 },
    },
  )
  t.strictSame(report.coverage.gaps, [])
  t.equal(report.coverage.complete, true)
  const { 'pre-buffer': before = 0 } = sectionCounts(report)
  t.ok(before >= 2_950 && before <= 3_100, `${before} before the onset`)
})

test('a flood shorter than the ring, then calm', async (t) => {
  const short = recordingOfStreams(
    { times: arrivals({ pps: 100, for: 6 }) },
    { times: arrivals({ pps: 1_500, from: 3.001, for: 0.2 }) },
  )
  const report = await reportOf(t, {}, {}, short)
  // 300 packets of the flood and the calm since, less than the ring holds.
  t.equal(report.coverage.onsetSource, 'watch')
  t.equal(report.coverage.complete, true)
})

test('packets that were cut', async (t) => {
  const [calm, flood] = [arrivals({ pps: 1_000, for: 5 }), arrivals({ pps: 20_000, from: 3.001, for: 2 })]
  // By the recording, and by the ring; their lengths stay those of the wire.
  const recorded = recordingOfStreams({ times: calm, size: 1_514, kept: 80 }, { times: flood, size: 1_514, kept: 70 })
  await reportOf(t, {}, {}, recorded)
  const whole = recordingOfStreams({ times: calm, size: 300 }, { times: flood, size: 900 })
  const report = await reportOf(t, { snaplen: 64 }, {}, whole)
  t.equal(report.snaplen, 64)
  t.ok(placed(report, whole.truth).frames.every(({ caplen }) => caplen === 64))
})

/** Bytes of what was kept before the freeze. */
function keptBytes(report: IncidentReport, { truth }: Recording): number {
  const opening = ['history', 'pre-buffer', 'onset']
  return placed(report, truth)
    .frames.filter(({ section }) => opening.includes(section))
    .reduce((sum, { caplen }) => sum + caplen, 0)
}

for (const [name, calmSize, floodSize] of [
  ['calm of small packets, a flood of 64 kB', 64, 65_535],
  ['calm of 64 kB, a flood of small packets', 65_535, 64],
  ['both of 64 kB', 65_535, 65_535],
  ['both of 9 kB', 9_014, 9_014],
] as const) {
  test(`ring.bytes is the bound: ${name}`, async (t) => {
    const large = recordingOfStreams(
      { times: arrivals({ pps: 100, for: 3.6 }), size: calmSize },
      { times: arrivals({ pps: 2_000, from: 3.001, for: 0.6 }), size: floodSize },
    )
    for (const bytes of [262_144 + 65_536, 1 << 20, 2 << 20]) {
      const { reports } = await frozenAt(t, large, [3.4], { ring: { bytes }, cap: { packets: 1_200 } })
      const [report] = reports as [IncidentReport]
      const asked = { bounded: true, cap: { packets: 1_200 }, statsInterval: 50 }
      t.strictSame(judgeOnset(report, large.truth, asked), [], `${bytes} bytes`)
      t.ok(keptBytes(report, large) <= bytes, `${keptBytes(report, large)} of ${bytes} bytes`)
      t.comment(`${bytes} bytes: ${JSON.stringify(sectionCounts(report))}, onset by ${report.coverage.onsetSource}`)
      t.equal(report.coverage.onsetSource, 'watch')
      const { frames } = placed(report, large.truth)
      t.ok(inSection(frames, 'pre-buffer').length > 0, 'something from before')
      t.ok(inSection(frames, 'onset').length > 0, 'something of the flood')
    }
  })
}

test('lookback 0: the ring as it was', async (t) => {
  const { reports, onsets } = await frozenAt(t, recording, [2, 3.5, 4], { lookback: 0 })
  t.strictSame(onsets, [])
  for (const report of reports) {
    t.strictSame(judgeOnset(report, recording.truth, { lookback: 0, statsInterval: 50 }), [])
    t.match(report, { sections: [{ name: 'pre-buffer', packets: 500 }], coverage: { onsetAt: null, complete: true } })
  }
})

test('a resolution section that the cap left room for: what is missing before it is told', async (t) => {
  const cap = { packets: 1_200 }
  const resolution = { reserve: true }
  const options = { cap, resolution }
  const { reports } = await frozenAt(t, recording, [{ at: 4, resolveAfter: 4 }], options)
  const [report] = reports as [IncidentReport]
  t.strictSame(judgeOnset(report, recording.truth, { cap, resolution, statsInterval: 50 }), [])
  t.match(sectionCounts(report), { attack: 100, resolution: 100 })
})

test('dump() holds the newest, whatever onset is kept; a manual capture holds nothing from before', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file: recording.file, directory, statsInterval: '50ms' })
  const made: { dump?: Promise<DumpReport>; manual?: Incident } = {}
  ring.on('stats', ({ time }) => {
    if (made.manual !== undefined || nsOf(time) < (recording.truth[0]?.time ?? 0n) + 4_000_000_000n) return
    made.manual = ring.capture({ cap: { packets: 200 } })
    made.dump = ring.dump(join(directory, 'dump.pcap'))
  })
  const end = once(ring, 'end')
  await ring.start()
  await end
  const newest = recording.truth.findIndex(({ time }) => time >= (recording.truth[0]?.time ?? 0n) + 4_000_000_000n)
  const numbers = (path: string): (number | undefined)[] =>
    fileOf(path).records.map((record) => whichOf(record)?.number)
  const passed = (from: number, to: number): number[] => recording.truth.slice(from, to).map(({ number }) => number)
  const dump = await (made.dump as Promise<DumpReport>)
  t.equal(dump.packets, 500)
  t.strictSame(numbers(dump.file), passed(newest - 500, newest))
  const report = await (made.manual as Incident).finished
  t.strictSame(sectionCounts(report), { capture: 200 })
  t.strictSame(numbers(report.file as string), passed(newest, newest + 200))
})

test('a flood that the filter leaves out is none', async (t) => {
  const calm = { file: recording.file, truth: recording.truth.filter(({ stream }) => stream === 'calm') }
  const { reports, onsets } = await frozenAt(t, calm, [4, 4.3], { filter: 'udp' })
  t.strictSame(onsets, [])
  for (const report of reports) t.strictSame(judgeOnset(report, calm.truth, { statsInterval: 50 }), [])
})
