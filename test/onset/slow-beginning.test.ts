// A flood that begins more slowly than it goes on: its first packets are of the onset, and those of the calm are not.

import { test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { frozenAt } from '../support/freezes.js'
import { arrivals, type Spacing } from '../support/generate.js'
import { judgeOnset } from '../support/onset-evidence.js'
import { random, seed } from '../support/random.js'
import { opening, wrongStep } from '../support/step-evidence.js'
import { recordingOfStreams } from '../support/streams.js'

const calmFor = 3
const statsInterval = 50
const cap = { packets: 1_300 }
/** Of each flood; with PCAP_RING_FULL=1 twice as many. */
const streams = process.env.PCAP_RING_FULL === '1' ? 2 : 1

/** A flood whose first packets, in batches of 32 with a pause behind each, come at a tenth of its rate; `gap` in µs. */
function slowly(from: number, gap: number, packets: number): number[] {
  const first = Array.from({ length: packets }, (_, i) => Math.floor(from * 1e6 + i * gap + (i >> 5) * 8 * gap))
  const full = (first.at(-1) as number) + 8 * gap
  return [...first, ...arrivals({ pps: 10e6 / gap, from: full / 1e6, for: from + 0.32 - full / 1e6 })]
}

// Many hosts, or one whose caches are cold, do not send at their full rate from the first packet on.
for (const spacing of ['even', 'poisson', 'bursty'] as Spacing[]) {
  for (const calm of [1_000, 5_000]) {
    test(`a flood on ${calm} pps, ${spacing}, that begins at a tenth of its rate`, async (t) => {
      t.comment(`PCAP_RING_SEED=${seed}`)
      for (const [gap, packets] of [
        [5, 96],
        [10, 96],
        [14, 96],
        [62_500 / calm, 96],
        // For 30 ms and more.
        [31_250 / calm, calm],
      ] as [number, number][]) {
        for (let stream = 1; stream <= streams; stream++) {
          const next = random(stream * 1_000 + calm)
          const from = calmFor + 0.1 * next()
          const times = arrivals({ pps: calm, for: from + 0.32, spacing, next })
          const recording = recordingOfStreams({ times, size: 64 }, { times: slowly(from, gap, packets), size: 64 })
          const begin = Number((recording.truth[0]?.time ?? 0n) / 1_000n)
          const first = recording.truth.find(({ stream }) => stream === 'flood')
          const offset = (Number((first?.time ?? 0n) / 1_000n) - begin) / 1e6
          const { reports, onsets } = await frozenAt(t, recording, [offset + 0.2], { cap, statsInterval })
          t.equal(onsets.length, 1, 'one event')
          const [report] = reports as [IncidentReport]
          t.strictSame(
            [...wrongStep(report, recording), ...judgeOnset(report, recording.truth, { cap, statsInterval })],
            [],
            `one every ${gap} us at first, ${packets} of them, seed ${stream}`,
          )
          const opens = opening(report, recording)
          t.ok(opens.flood < 16, `the onset opens with number ${opens.flood}`)
          t.ok(opens.calm <= (spacing === 'bursty' ? 50 : 3), `and ${opens.calm} of the calm before`)
        }
      }
    })
  }
}

// Bursts of a slower line than the flood's are no beginning of it.
for (const apart of [4, 12]) {
  test(`a flood on bursts whose packets are ${apart} us apart`, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    let absorbed = 0
    for (const calm of [1_000, 5_000]) {
      for (let stream = 1; stream <= 10; stream++) {
        const next = random(stream * 1_000 + calm)
        const from = calmFor + 0.1 * next()
        const times = arrivals({ pps: calm, for: from + 0.32, spacing: 'bursty', apart, next })
        const flood = arrivals({ pps: 600_000, from, for: 0.28 })
        const recording = recordingOfStreams({ times, size: 64 }, { times: flood, size: 64 })
        const { reports } = await frozenAt(t, recording, [from + 0.1], { cap, statsInterval })
        const [report] = reports as [IncidentReport]
        const opens = opening(report, recording)
        t.ok(opens.flood < 16 && opens.calm <= 50, `opens with ${opens.calm} of the calm, then number ${opens.flood}`)
        absorbed += opens.calm > 10 ? 1 : 0
      }
    }
    // One that ends where the flood begins may be taken for its beginning.
    t.ok(absorbed <= 2, `${absorbed} of 20 with a burst of the calm in front`)
  })
}

// A burst that is suspected, and a flood that begins slowly before that suspicion is judged: its first packet is looked for
// as far behind the burst as that may be.
for (const calm of [50, 1_000]) {
  test(`a flood on ${calm} pps that begins slowly right behind a burst`, async (t) => {
    for (const before of [0.002, 0.03, 0.08]) {
      for (const packets of [96, 160]) {
        const from = calmFor + 0.05
        const burst = Array.from({ length: 50 }, (_, i) => (from - before) * 1e6 + i)
        const times = [...arrivals({ pps: calm, for: from + 0.32 }), ...burst].sort((a, b) => a - b)
        const recording = recordingOfStreams({ times, size: 64 }, { times: slowly(from, 10, packets), size: 64 })
        const { reports } = await frozenAt(t, recording, [from + 0.2], { cap, statsInterval })
        const [report] = reports as [IncidentReport]
        const opens = opening(report, recording)
        const what = `${packets} slow ones ${before * 1_000} ms behind it`
        t.ok(opens.flood < 100, `${what}: the onset opens with ${opens.calm} of the calm, then number ${opens.flood}`)
      }
    }
  })
}
