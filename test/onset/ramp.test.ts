// Acceptance 3: a rise without an edge, and the thin history of before it.

import { type Test, test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { frozenAt, inSection, usInto } from '../support/freezes.js'
import { arrivals, ramp, type Spacing } from '../support/generate.js'
import { judgeOnset, type Placed, placed } from '../support/onset-evidence.js'
import { random, seed } from '../support/random.js'
import { sectionCounts } from '../support/replay.js'
import { type Recording, recordingOfStreams } from '../support/streams.js'

const cap = { packets: 1_500 }

/** How many of the frames are from each eighth of the `lookback` (s) before `end` (s into the recording). */
function eighths(frames: readonly Placed[], { truth }: Recording, end: number, lookback: number): number[] {
  const begin = truth[0]?.time ?? 0n
  const counts = Array<number>(8).fill(0)
  for (const { time } of frames) {
    const part = Math.floor((8 * (Number((time - begin) / 1_000n) / 1e6 - end + lookback)) / lookback)
    if (part >= 0 && part < 8) counts[part] = (counts[part] as number) + 1
  }
  return counts
}

interface Rise {
  kind: 'linear' | 'exponential'
  low: number
  high: number
  seconds: number
  lookback: number
  /** Seconds of calm before. */
  calm: number
  /** Calm packets in the history; fewer where the rise is seen late. */
  least: number
}

const rises: Rise[] = [
  { kind: 'linear', low: 1_000, high: 600_000, seconds: 3, lookback: 10, calm: 14, least: 100 },
  { kind: 'exponential', low: 1_000, high: 600_000, seconds: 3, lookback: 10, calm: 14, least: 100 },
  { kind: 'linear', low: 1_000, high: 100_000, seconds: 3, lookback: 2, calm: 5, least: 90 },
  { kind: 'linear', low: 1_000, high: 60_000, seconds: 3, lookback: 60, calm: 90, least: 100 },
  { kind: 'linear', low: 1_000, high: 20_000, seconds: 3, lookback: 10, calm: 12, least: 80 },
  { kind: 'linear', low: 1_000, high: 20_000, seconds: 3, lookback: 2, calm: 4, least: 35 },
]

/** Calm all along, and what is more than that, to a little behind the top. */
function rising({ kind, low, high, seconds, calm }: Rise, spacing: Spacing, next: () => number): Recording {
  const beyond = 0.03
  const rate = ramp(kind, low, high, calm, seconds)
  const more = arrivals({ pps: (time) => rate(time) - low, from: calm, for: seconds + beyond, spacing, next })
  return recordingOfStreams(
    { times: arrivals({ pps: low, for: calm + seconds + beyond, spacing, next }) },
    { times: more },
  )
}

const history = (report: IncidentReport) => report.sections.find(({ name }) => name === 'history')

/** The report of a freeze at the top, judged, and its frames. */
async function atTheTop(
  t: Test,
  rise: Rise,
  recording: Recording,
): Promise<{ report: IncidentReport; frames: Placed[] }> {
  const top = rise.calm + rise.seconds - 0.05
  const { reports } = await frozenAt(t, recording, [top], { cap, lookback: `${rise.lookback}s` })
  const [report] = reports as [IncidentReport]
  const asked = { cap, statsInterval: 50, lookback: rise.lookback * 1_000 }
  t.strictSame(judgeOnset(report, recording.truth, asked), [], 'as the contract says')
  t.notOk(report.coverage.complete)
  return { report, frames: placed(report, recording.truth).frames }
}

for (const rise of rises) {
  const { kind, low, high, seconds, lookback, least } = rise
  const name = `${kind}, ${low} to ${high} pps in ${seconds} s, lookback ${lookback} s`
  for (const spacing of ['even', 'poisson'] as Spacing[]) {
    test(`${name}, ${spacing}`, async (t) => {
      t.comment(`PCAP_RING_SEED=${seed}`)
      const recording = rising(rise, spacing, random(high + seconds))
      const { report, frames } = await atTheTop(t, rise, recording)
      const ramped = recording.truth.find(({ stream }) => stream === 'flood')?.time ?? 0n
      const before = frames.filter(({ stream, time }) => stream === 'calm' && time < ramped)
      t.ok(before.length >= least, `${before.length} calm packets from before the ramp`)
      // The lookback ends where the rise can be seen, which is some way up the ramp.
      const end = usInto(recording, history(report)?.to ?? report.frozenAt) / 1e6
      const spread = eighths(inSection(frames, 'history'), recording, end, lookback)
      t.ok(Math.min(...spread) > 0, `in the eighths of the lookback: ${spread.join(', ')}`)
      t.ok((history(report)?.sampling?.min ?? 0) > 1, 'the report says how thin they are')
    })
  }

  test(`${name}, bursty`, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const recording = rising(rise, 'bursty', random(high + seconds))
    const { report, frames } = await atTheTop(t, rise, recording)
    t.comment(JSON.stringify(sectionCounts(report)))
    // A ramp of bursts may well have an edge, which then is kept.
    if (report.coverage.onsetSource === 'watch') return
    const end = usInto(recording, history(report)?.to ?? report.frozenAt) / 1e6
    const spread = eighths(inSection(frames, 'history'), recording, end, lookback)
    t.ok(Math.min(...spread) > 0, `in the eighths of the lookback: ${spread.join(', ')}`)
  })
}

test('a slow ramp: the history reaches back from where the rise was seen', async (t) => {
  const rise: Rise = { kind: 'exponential', low: 50, high: 5_000, seconds: 30, lookback: 60, calm: 80, least: 0 }
  const recording = rising(rise, 'poisson', random(30))
  const options = { cap, lookback: '60s', onset: { minPps: 100 } } as const
  const { reports } = await frozenAt(t, recording, [109.9], options)
  const report = reports[0] as IncidentReport
  const asked = { cap, statsInterval: 50, lookback: 60_000 }
  t.strictSame(judgeOnset(report, recording.truth, asked), [])
  const { frames } = placed(report, recording.truth)
  const samples = inSection(frames, 'history')
  t.ok(samples.length >= 64, `${samples.length} samples`)
  const last = usInto(recording, history(report)?.to as string) / 1e6
  const spread = eighths(samples, recording, last, 60)
  t.ok(Math.min(...spread) > 0, `in the eighths of the lookback: ${spread.join(', ')}`)
})

test('cut by the cap: the newest, the history first to go', async (t) => {
  const recording = rising(
    { kind: 'exponential', low: 200, high: 50_000, seconds: 3, lookback: 10, calm: 14, least: 100 },
    'poisson',
    random(31),
  )
  const packets = [1, 100, 300, 371, 372, 373, 450, 499, 500, 501]
  const whole = (await frozenAt(t, recording, [16.9], { cap })).reports[0] as IncidentReport
  const opening = placed(whole, recording.truth).frames.filter(({ section }) => section !== 'attack')
  for (const most of packets) {
    const { reports } = await frozenAt(t, recording, [16.9], { cap: { packets: most } })
    const report = reports[0] as IncidentReport
    const asked = { cap: { packets: most }, statsInterval: 50 }
    t.strictSame(judgeOnset(report, recording.truth, asked), [], `cap of ${most}`)
    const found = placed(report, recording.truth).frames.filter(({ section }) => section !== 'attack')
    t.strictSame(
      found.map(({ place, section }) => [place, section]),
      opening.slice(-most).map(({ place, section }) => [place, section]),
    )
  }
})

test('lookback 0: neither history nor onset', async (t) => {
  const recording = rising(rises[2] as Rise, 'even', random(0))
  const { reports, onsets } = await frozenAt(t, recording, [7.9], { cap, lookback: 0 })
  t.strictSame(onsets, [])
  t.strictSame(judgeOnset(reports[0] as IncidentReport, recording.truth, { cap, statsInterval: 50, lookback: 0 }), [])
  t.match(reports[0], { sections: [{ name: 'pre-buffer', packets: 500 }], coverage: { complete: true } })
})
