// Acceptance 1 of the onset: a flood on top of calm traffic, frozen long after the ring has forgotten the calm.

import { test } from 'tap'

import { frozenAt } from '../support/freezes.js'
import { arrivals, type Spacing } from '../support/generate.js'
import { judgeOnset } from '../support/onset-evidence.js'
import { random, seed } from '../support/random.js'
import { wrongStep } from '../support/step-evidence.js'
import { recordingOfStreams } from '../support/streams.js'

const calmFor = 3
const statsInterval = 50
/** Small enough for the files to be read in no time, large enough for an attack section in all of them. */
const cap = { packets: 1_300 }
/** Of the floods that are small enough. */
const mostSeeds = process.env.PCAP_RING_FULL === '1' ? 5 : 2

const floodsOn = (calm: number): number[] => [
  ...new Set([Math.max(5_000, 10 * calm), Math.max(5_000, 100 * calm), 600_000]),
]

for (const calm of [50, 1_000, 5_000, 20_000]) {
  for (const spacing of ['even', 'poisson', 'bursty'] as Spacing[]) {
    test(`calm of ${calm} pps, ${spacing}`, async (t) => {
      t.comment(`PCAP_RING_SEED=${seed}`)
      for (const pps of floodsOn(calm)) {
        for (const size of [64, 1514]) {
          // What a recording may weigh bounds how long the fastest floods last; some are long for all.
          const long = spacing === 'even' && (size === 64 ? calm <= 1_000 : calm === 1_000)
          const most = (size === 64 ? 130_000 : 60_000) * (long ? (size === 64 ? 5 : 2) : 1)
          const moments = [0.2, 1, 5].filter((moment) => moment * pps <= most)
          const packets = calm * calmFor + pps * (moments.at(-1) ?? 0)
          const seeds = packets * size < 4e6 ? mostSeeds : 1
          for (let stream = 1; moments.length > 0 && stream <= seeds; stream++) {
            const next = random(stream * 1_000 + calm)
            const from = calmFor + 0.1 * next()
            const lasting = (moments.at(-1) as number) + 0.12
            const times = arrivals({ pps: calm, for: from + lasting, spacing, next })
            // So many times what the calm came to, which in bursts may be a third more than was asked for.
            const calmPps = times.filter((time) => time < from * 1e6).length / from
            const flood = arrivals({
              pps: pps * Math.max(1, calmPps / calm),
              from,
              for: lasting,
              spacing: stream % 2 === 0 ? 'poisson' : 'even',
              next,
            })
            const recording = recordingOfStreams({ times, size }, { times: flood, size })
            const begin = Number((recording.truth[0]?.time ?? 0n) / 1_000n)
            const first = recording.truth.find(({ stream }) => stream === 'flood')
            const offset = (Number((first?.time ?? 0n) / 1_000n) - begin) / 1e6
            const { reports, onsets } = await frozenAt(
              t,
              recording,
              moments.map((moment) => offset + moment),
              { cap, statsInterval },
            )
            t.equal(onsets.length, 1, 'one event')
            for (const [i, report] of reports.entries()) {
              t.strictSame(
                [...wrongStep(report, recording), ...judgeOnset(report, recording.truth, { cap, statsInterval })],
                [],
                `flood of ${pps} pps, ${size} bytes, frozen after ${moments[i]} s, seed ${stream}`,
              )
              t.equal(report.coverage.onsetAt, onsets[0]?.at, 'the event and the report agree')
            }
          }
        }
      }
    })
  }
}

test('an incident before it does not change what a freeze gives', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 1_000, for: 9 }) },
    { times: arrivals({ pps: 20_000, from: 3, for: 5 }) },
  )
  const all = (await frozenAt(t, recording, [3.2, 4, 8])).reports
  for (const [i, moment] of [3.2, 4, 8].entries()) {
    const [alone] = (await frozenAt(t, recording, [moment])).reports
    t.equal(alone?.sha256, all[i]?.sha256)
    t.strictSame(alone?.sections, all[i]?.sections)
    t.strictSame(alone?.coverage, all[i]?.coverage)
  }
})
