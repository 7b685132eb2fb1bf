// Acceptance 6: a ring that never saw calm, floods after floods, floods that last, floods that nobody freezes.

import { type Test, test } from 'tap'

import type { IncidentReport, PcapRingOptions } from '../../src/index.js'
import { type Freeze, frozenAt, inSection, type Replayed, usInto } from '../support/freezes.js'
import { arrivals, ascending } from '../support/generate.js'
import { type Asked, judgeOnset, placed } from '../support/onset-evidence.js'
import { type Recording, recordingOfStreams } from '../support/streams.js'

const cap = { packets: 1_500 }

/** Frozen, and each report judged. */
async function judged(
  t: Test,
  recording: Recording,
  freezes: (number | Freeze)[],
  options: PcapRingOptions = {},
  asked: Asked = {},
): Promise<Replayed> {
  const replayed = await frozenAt(t, recording, freezes, { cap, ...options })
  for (const [i, report] of replayed.reports.entries()) {
    const wrong = judgeOnset(report, recording.truth, { cap, statsInterval: 50, ...asked })
    t.strictSame(wrong, [], `freeze ${i + 1}`)
  }
  return replayed
}

const onlyTheNewest = { sections: [{ name: 'pre-buffer', packets: 500 }], coverage: { onsetAt: null } }
/** Of the onset, in seconds. */
const onsetOf = (recording: Recording, { coverage }: IncidentReport): number | null =>
  coverage.onsetAt === null ? null : usInto(recording, coverage.onsetAt) / 1e6
const near = (t: Test, found: number | null, wanted: number): void => {
  t.ok(found !== null && Math.abs(found - wanted) <= 0.02, `an onset at ${found} s, the flood began at ${wanted} s`)
}

test('start-up under attack: nothing is an onset, said honestly', async (t) => {
  for (const pps of [5_000, 100_000]) {
    const recording = recordingOfStreams({ times: [] }, { times: arrivals({ pps, for: 5.3 }) })
    const { reports, onsets } = await judged(t, recording, [0.2, 0.9, 1, 1.5, 3, 5])
    t.strictSame(onsets, [])
    for (const report of reports) {
      t.match(report, onlyTheNewest)
      t.match(report.coverage, { onsetSource: null, preOnsetPackets: 0, preOnsetSpan: 0, complete: true })
    }
  }
})

test('a flood within the first second of traffic', async (t) => {
  for (const from of [0.1, 0.5, 0.9]) {
    const recording = recordingOfStreams(
      { times: arrivals({ pps: 100, for: 4 }) },
      { times: arrivals({ pps: 20_000, from, for: 3 }) },
    )
    const { reports, onsets } = await judged(t, recording, [from + 0.2, 2, 3])
    t.strictSame(onsets, [])
    for (const report of reports) t.match(report.coverage, { onsetAt: null, preOnsetPackets: 0 })
  }
})

test('a flood after one second of traffic', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 100, for: 4 }) },
    { times: arrivals({ pps: 20_000, from: 1.2, for: 2.5 }) },
  )
  const { reports, onsets } = await judged(t, recording, [1.5, 3])
  t.equal(onsets.length, 1)
  for (const report of reports) {
    near(t, onsetOf(recording, report), 1.2)
    const { preOnsetPackets } = report.coverage
    t.ok(preOnsetPackets >= 110 && preOnsetPackets <= 220, `${preOnsetPackets} before the onset`)
  }
})

test('two floods ten minutes apart: each has its onset', async (t) => {
  const floods = [5.013, 605.027]
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 20, for: 612 }) },
    { times: ascending(...floods.map((from) => arrivals({ pps: 5_000, from, for: 3 }))) },
  )
  const { reports, onsets } = await judged(t, recording, [7, 300, 607])
  t.equal(onsets.length, 2)
  for (const [i, from] of floods.entries()) near(t, usInto(recording, onsets[i]?.at as string) / 1e6, from)
  near(t, onsetOf(recording, reports[0] as IncidentReport), 5.013)
  t.match(reports[1], onlyTheNewest)
  near(t, onsetOf(recording, reports[2] as IncidentReport), 605.027)
  t.ok((reports[2]?.coverage.preOnsetPackets ?? 0) >= 450)
})

test("a flood inside another's lookback: the first onset stays", async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 200, for: 25 }) },
    { times: ascending(...[4.01, 10.02, 17].map((from) => arrivals({ pps: 5_000, from, for: 2 }))) },
  )
  const { reports, onsets } = await judged(t, recording, [5, 8, 11, 18.5])
  t.equal(onsets.length, 1)
  for (const report of reports) near(t, onsetOf(recording, report), 4.01)
})

test('the lookback goes by since the raised rate ended, and with it the onset', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 200, for: 30 }) },
    { times: arrivals({ pps: 5_000, from: 4.01, for: 2 }) },
  )
  const { reports, onsets } = await judged(t, recording, [6.5, 10, 15, 17.5, 25])
  t.equal(onsets.length, 1)
  for (const report of reports.slice(0, 3)) near(t, onsetOf(recording, report), 4.01)
  for (const report of reports.slice(3)) t.match(report, onlyTheNewest)
})

test('an onset with no freeze: the event alone, and the ring goes on', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 200, for: 20 }) },
    { times: arrivals({ pps: 5_000, from: 4.01, for: 1 }) },
  )
  const { reports, onsets, stats } = await judged(t, recording, [19])
  t.equal(onsets.length, 1)
  const [onset] = onsets
  near(t, usInto(recording, onset?.at as string) / 1e6, 4.01)
  t.ok(onset && onset.pps > 2_500 && onset.pps < 10_000, `${onset?.pps} pps`)
  t.ok(onset && onset.baselinePps > 150 && onset.baselinePps < 250, `${onset?.baselinePps} pps in the calm`)
  t.ok(onset && Math.abs(onset.bps / (onset.pps * 64 * 8) - 1) < 0.01, `${onset?.bps} bps`)
  t.ok(onset && Math.abs(onset.baselineBps / (onset.baselinePps * 64 * 8) - 1) < 0.01, `${onset?.baselineBps} bps`)
  t.match(reports[0], onlyTheNewest)
  // A kept onset is no part of what the ring says of itself.
  for (const { ring } of stats) t.ok((ring?.packets ?? 0) <= 500)
})

test('a flood that lasts two minutes before the freeze', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 20, for: 126 }) },
    { times: arrivals({ pps: 300, from: 5.03, for: 121 }) },
  )
  const options = { onset: { minPps: 100 } }
  const { reports, onsets } = await judged(t, recording, [5.3, 65, 125.1], options)
  t.equal(onsets.length, 1)
  for (const report of reports) {
    near(t, onsetOf(recording, report), 5.03)
    const before = inSection(placed(report, recording.truth).frames, 'pre-buffer').length
    t.ok(before >= 100 && before <= 110, `${before} before the onset`)
  }
})

test('with a lookback of a second, it is kept as long, too', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 20, for: 40 }) },
    { times: arrivals({ pps: 3_000, from: 5.03, for: 30 }) },
  )
  const { reports, onsets } = await judged(t, recording, [20, 35, 38], { lookback: '1s' }, { lookback: 1_000 })
  t.equal(onsets.length, 1)
  for (const report of reports.slice(0, 2)) near(t, onsetOf(recording, report), 5.03)
  t.match(reports[2], onlyTheNewest)
})

test('since, with and without a kept onset', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 1_000, for: 20 }) },
    { times: arrivals({ pps: 20_000, from: 15.01, for: 3 }) },
  )
  const at = (seconds: number): string => new Date(1_704_067_200_000 + seconds * 1_000).toISOString()
  const since = (seconds: number): { since: string } => ({ since: at(seconds).replace('Z', '000Z') })
  const { reports } = await judged(t, recording, [
    { at: 5, options: since(4.9) },
    { at: 6, options: since(1) },
    { at: 17, options: since(14) },
  ])
  const [within, before, kept] = reports as [IncidentReport, IncidentReport, IncidentReport]
  t.match(within.coverage, { onsetSource: 'since', onsetAt: since(4.9).since, preOnsetPackets: 400, preOnsetSpan: 400 })
  t.match(before.coverage, { onsetSource: 'since', preOnsetPackets: 0, preOnsetSpan: 0 })
  t.equal(kept.coverage.onsetSource, 'watch')
  near(t, onsetOf(recording, kept), 15.01)
})

test('a freeze while it is only a suspicion', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 1_000, for: 5 }) },
    { times: arrivals({ pps: 50_000, from: 3.001, for: 2 }) },
  )
  // Three slots of 25 ms at 3.1 s; one at 3.05 s.
  const early = await judged(t, recording, [3.05])
  t.equal(onsetOf(recording, early.reports[0] as IncidentReport), null)
  const { reports } = await judged(t, recording, [3.1])
  near(t, onsetOf(recording, reports[0] as IncidentReport), 3.001)
})
