// Acceptance 5: an hour in which nothing happens but what always does.

import { test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { nsOf } from '../support/evidence.js'
import { frozenAt } from '../support/freezes.js'
import { arrivals, ascending, heavyTailed, wave } from '../support/generate.js'
import { judgeOnset, placed } from '../support/onset-evidence.js'
import { random, seed } from '../support/random.js'
import { type Passed, type Recording, recordingOfStreams } from '../support/streams.js'

const hour = 3_600
const day = 24 * hour
const lookback = 10
const cap = { packets: 1_000 }

/** The steepest hour of a day, and bursts whose sizes have no variance: those of minutes, at any rate. */
function calmHour(stream: number, pps: number, every: number): Recording {
  const next = random(stream)
  const base = arrivals({ pps: wave(pps, 0.8, day), for: hour, spacing: 'poisson', next })
  const bursts = heavyTailed({ every, for: hour, next, alpha: 1.2, least: 10, most: 20_000, pps: [500, 500_000] })
  return recordingOfStreams({ times: ascending(base, bursts), size: 64 })
}

/**
 * The moments (ms from the beginning) at which an onset may be confirmed at most: 6 of 8 consecutive windows of 25 ms,
 * wherever they begin, are at the threshold. Generous: a window of 26 ms from each whole ms on contains each of 25 ms.
 */
function raised(truth: readonly Passed[], threshold: { packets: number; bytes: number }): number[] {
  const begin = truth[0]?.time ?? 0n
  const milliseconds = Number(((truth.at(-1)?.time ?? 0n) - begin) / 1_000_000n) + 300
  const [packets, bytes] = [new Float64Array(milliseconds), new Float64Array(milliseconds)]
  for (const { time, length } of truth) {
    const ms = Number((time - begin) / 1_000_000n)
    packets[ms] = (packets[ms] as number) + 1
    bytes[ms] = (bytes[ms] as number) + length
  }
  const above = new Uint8Array(milliseconds)
  let [packetsIn, bytesIn] = [0, 0]
  for (let ms = milliseconds - 1; ms >= 0; ms--) {
    packetsIn += (packets[ms] as number) - (packets[ms + 26] ?? 0)
    bytesIn += (bytes[ms] as number) - (bytes[ms + 26] ?? 0)
    above[ms] = packetsIn >= threshold.packets || bytesIn >= threshold.bytes ? 1 : 0
  }
  const moments: number[] = []
  for (let ms = 0; ms < milliseconds; ms++) {
    let sum = 0
    for (let slot = 0; slot < 8; slot++) sum += above[ms + slot * 25] ?? 0
    if (sum >= 6) moments.push(ms)
  }
  return moments
}

/** Of moments, as many as can lie at least a lookback apart: an onset within another's belongs to it. */
function apart(moments: readonly number[]): number {
  let [count, last] = [0, -Infinity]
  for (const moment of moments) {
    if (moment - last < lookback * 1_000) continue
    count++
    last = moment
  }
  return count
}

interface Calm {
  name: string
  pps: number
  every: number
  /** What is raised, at a tenth of a rate that the baseline cannot be below. */
  onset?: { factor?: number; minPps?: number }
}

const calms: Calm[] = [
  { name: 'the defaults', pps: 60, every: 10 },
  { name: 'a minimum so low that the baseline decides', pps: 60, every: 10, onset: { minPps: 1 } },
  { name: 'more traffic, fewer bursts', pps: 150, every: 60, onset: { minPps: 100 } },
]

for (const { name, pps, every, onset } of calms) {
  test(`no more onsets than rises: ${name}`, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const recording = calmHour(pps, pps, every)
    const { truth } = recording
    // The wave's lowest is its mean, and bursts only add; half of it leaves room for chance.
    const rate = Math.max(8 * (pps / 2), onset?.minPps ?? 1_000)
    const bits = Math.max(8 * (pps / 2) * 64 * 8, 10_000_000)
    const moments = raised(truth, { packets: rate * 0.025, bytes: (bits / 8) * 0.025 })
    const freezes = Array.from({ length: 12 }, (_, i) => 120 + i * 290)
    const options = { cap, statsInterval: '1s', ...(onset && { onset }) } as const
    const { reports, onsets } = await frozenAt(t, recording, freezes, options)
    t.comment(`${truth.length} packets, ${onsets.length} onsets, at most ${apart(moments)} rises`)
    t.ok(onsets.length <= apart(moments), `${onsets.length} onsets of at most ${apart(moments)} rises`)
    const begin = truth[0]?.time ?? 0n
    for (const { at } of onsets) {
      const ms = Number((nsOf(at) - begin) / 1_000_000n)
      t.ok(
        moments.some((moment) => Math.abs(moment - ms) < 1_000),
        `the onset ${ms} ms into it is one of the rises`,
      )
    }

    const without = await frozenAt(t, recording, freezes, { ...options, lookback: 0 })
    t.strictSame(without.onsets, [])
    let compared = 0
    for (const [i, report] of reports.entries()) {
      t.strictSame(judgeOnset(report, truth, { cap, statsInterval: 1_000 }), [], `frozen at ${freezes[i]} s`)
      const other = without.reports[i] as IncidentReport
      const ms = Number((nsOf(report.frozenAt) - begin) / 1_000_000n)
      if (moments.some((moment) => moment > ms - 2 * lookback * 1_000 - 1_000 && moment <= ms)) continue
      compared++
      const packets = (one: IncidentReport) => placed(one, truth).frames.map(({ place, section }) => [place, section])
      t.strictSame(packets(report), packets(other), 'the same packets with and without a lookback')
    }
    t.ok(compared > 0, `${compared} of ${reports.length} compared`)
  })
}

test('a wave that goes up by a half in a quarter of an hour, even', async (t) => {
  const recording = recordingOfStreams({ times: arrivals({ pps: wave(200, 0.5, hour), for: hour / 4 }) })
  const options = { cap, statsInterval: '1s', onset: { minPps: 1 } } as const
  const { reports, onsets } = await frozenAt(t, recording, [300, 600, 890], options)
  t.strictSame(onsets, [])
  for (const report of reports) {
    t.strictSame(judgeOnset(report, recording.truth, { cap, statsInterval: 1_000 }), [])
    t.match(report, { sections: [{ name: 'pre-buffer', packets: 500 }], coverage: { complete: true } })
  }
})
