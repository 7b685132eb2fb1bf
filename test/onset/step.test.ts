// Acceptance 1 of the onset: a flood on top of calm traffic, frozen long after the ring has forgotten the calm.

import { test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { nsOf } from '../support/evidence.js'
import { frozenAt, inSection } from '../support/freezes.js'
import { arrivals, type Spacing } from '../support/generate.js'
import { judgeOnset, placed } from '../support/onset-evidence.js'
import { random, seed } from '../support/random.js'
import { type Recording, recordingOfStreams } from '../support/streams.js'

const ring = 500
const calmFor = 3
const statsInterval = 50
/** Small enough for the files to be read in no time, large enough for an attack section in all of them. */
const cap = { packets: 1_300 }

/** What acceptance asks of a step, and is not so. */
function wrongStep(report: IncidentReport, { truth }: Recording): string[] {
  const { frames } = placed(report, truth)
  const flood = truth.findIndex(({ stream }) => stream === 'flood')
  const wrong: string[] = []
  const check = (good: boolean, what: string): void => {
    if (!good) wrong.push(what)
  }

  // All before the first flood packet are calm: without a hole up to it means that they are the places right before.
  // Where the onset was placed among calm packets that came right before the flood, these open its section.
  const before = inSection(frames, 'pre-buffer').filter(({ place }) => place < flood)
  const onset = inSection(frames, 'onset')
  const opening = onset.filter(({ place }) => place < flood)
  const calm = [...before, ...opening]
  const least = Math.ceil(0.9 * Math.min(ring, flood))
  check(before.length >= least, `${before.length} calm packets from before, at least ${least} are wanted`)
  check(opening.length <= 50, `${opening.length} calm packets open the onset`)
  check(calm.at(-1)?.place === flood - 1, `the calm ends at ${calm.at(-1)?.place}, the flood begins at ${flood}`)
  check(calm.at(-1)?.place === (calm[0]?.place ?? 0) + calm.length - 1, 'the calm before has a hole')

  const numbers = onset.filter(({ stream }) => stream === 'flood').map(({ number }) => number)
  const run = numbers.findIndex((number, i) => i > 0 && number !== (numbers[i - 1] as number) + 1)
  check((numbers[0] ?? Infinity) < 100, `the onset opens with flood packet ${numbers[0]}`)
  check((run === -1 ? numbers.length : run) >= 50, `${run} flood packets without a hole`)
  const frozen = nsOf(report.frozenAt)
  const newest = truth.findLastIndex(({ time }) => time < frozen)
  check(onset.at(-1)?.place === newest, `the onset ends at ${onset.at(-1)?.place}, not with the newest, ${newest}`)

  const at = report.coverage.onsetAt
  const off = at === null ? null : Number(nsOf(at) - (truth[flood]?.time ?? 0n)) / 1e6
  check(off !== null && Math.abs(off) <= 20, `onsetAt is ${off} ms off`)
  return wrong
}

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
          const seeds = packets * size < 4e6 ? 5 : 1
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

// Many hosts, or one whose caches are cold, do not send at their full rate from the first packet on.
for (const spacing of ['even', 'poisson', 'bursty'] as Spacing[]) {
  for (const calm of [1_000, 5_000]) {
    test(`a flood on ${calm} pps, ${spacing}, whose first hundred come at a tenth of its rate`, async (t) => {
      t.comment(`PCAP_RING_SEED=${seed}`)
      for (const gap of [5, 10, 14, 62_500 / calm]) {
        for (let stream = 1; stream <= 5; stream++) {
          const next = random(stream * 1_000 + calm)
          const from = calmFor + 0.1 * next()
          const times = arrivals({ pps: calm, for: from + 0.32, spacing, next })
          // In batches of 32, with a pause behind each.
          const slow = Array.from({ length: 96 }, (_, i) => Math.floor(from * 1e6 + i * gap + (i >> 5) * 8 * gap))
          const body = arrivals({ pps: 10e6 / gap, from: ((slow.at(-1) as number) + 8 * gap) / 1e6, for: 0.3, next })
          const recording = recordingOfStreams({ times, size: 64 }, { times: [...slow, ...body], size: 64 })
          const begin = Number((recording.truth[0]?.time ?? 0n) / 1_000n)
          const first = recording.truth.find(({ stream }) => stream === 'flood')
          const offset = (Number((first?.time ?? 0n) / 1_000n) - begin) / 1e6
          const { reports, onsets } = await frozenAt(t, recording, [offset + 0.2], { cap, statsInterval })
          t.equal(onsets.length, 1, 'one event')
          const [report] = reports as [IncidentReport]
          t.strictSame(
            [...wrongStep(report, recording), ...judgeOnset(report, recording.truth, { cap, statsInterval })],
            [],
            `one every ${gap} us at first, seed ${stream}`,
          )
          const opens = inSection(placed(report, recording.truth).frames, 'onset').find(
            ({ stream }) => stream === 'flood',
          )
          t.ok((opens?.number ?? Infinity) < 16, `the onset opens with number ${opens?.number}`)
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
