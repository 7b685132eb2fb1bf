// A rate that grows from the calm to the machine's most without an edge anywhere: frozen at the top, the file opens with a
// thin history of the calm before it, and says how thin.
//
// PCAP_RING_FULL=1: five times each (tap's --timeout=0).

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { nsOf, sizes } from '../support/evidence.js'
import { Floods, type Sent } from '../support/floods.js'
import { judgeLive, type Known } from '../support/live-evidence.js'
import { noNamespaces, noTool } from '../support/netns.js'
import { random, seed } from '../support/random.js'
import { noSender } from '../support/sender.js'
import { packetsByTools } from '../support/tools.js'

const skip = noNamespaces || noSender || noTool('tshark') || noTool('capinfos') || noTool('tcpdump')

const full = process.env.PCAP_RING_FULL === '1'
const rampBegins = 11_000
const rampTakes = 3_000
const lookbackNs = 10_000_000_000n

/** How many packets of a history fall into each tenth of the lookback that ends with it. */
function tenths(history: readonly Known[]): number[] {
  const end = history.at(-1)?.time ?? 0n
  const counts = Array<number>(10).fill(0)
  for (const { time } of history) {
    const tenth = 9 - Number(((end - time) * 10n) / lookbackNs)
    if (tenth >= 0) counts[tenth] = (counts[tenth] as number) + 1
  }
  return counts
}

for (const curve of ['linear', 'exponential'] as const) {
  test(`a ramp, ${curve}`, { skip, timeout: full ? 600_000 : 120_000 }, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const next = random(curve.length)
    const floods = await Floods.begin(t)
    const directory = t.testdir({})
    for (let round = 0; round < (full ? 5 : 1); ++round) {
      const captures = join(directory, `${round}`)
      mkdirSync(captures)
      const pattern = round % 2 === 0 ? 'poisson' : 'even'
      // The calm is well within it, the top of the ramp far beyond.
      const sampled = (round % 2 === 1) === (curve === 'linear')
      const { reports, sent, total, onsets } = await floods.run(captures, {
        sources: [
          { begin: 0, end: rampBegins, pps: 1_000, pattern, seed: Math.floor(next() * 2 ** 31), cpu: 1 },
          { begin: rampBegins, end: rampBegins + rampTakes + 500, ramp: `1000:700000:${rampTakes}`, curve, cpu: 0 },
        ],
        freezes: [{ at: rampBegins + rampTakes }],
        options: {
          cap: { packets: 2_500 },
          format: round % 2 === 0 ? 'pcapng' : 'pcap',
          ...(sampled ? { cpuBudget: 0.005 } : {}),
        },
      })
      await t.test(`round ${round + 1}, ${sampled ? 'with the budget' : 'without'}`, async (t) => {
        for (const report of reports) {
          const { frames, wrong, missing } = judgeLive(report, { sent, total }, { sampled })
          t.comment(`${JSON.stringify(sizes(report))}, missing ${missing.join(' to ')}, ${JSON.stringify(report.loss)}`)
          t.same(wrong, [], 'what is said of it')
          t.same(onsets, [], 'there is no edge')
          t.equal(report.coverage.onsetAt, null)

          // The rise is noticed when the ramp has come so far; until then it is calm.
          const history = frames.filter(({ section }) => section === 'history')
          const calm = frames.filter(({ stream }) => stream === 0)
          t.ok(calm.length >= 100, `${calm.length} calm packets from before the ramp`)
          const spread = tenths(history)
          t.comment(`packets by tenth of the lookback: ${spread.join(' ')}`)
          t.ok(
            spread.every((count) => count >= 6),
            'spread over the whole of the lookback',
          )

          // As far as the order of both streams is known.
          const [rampBegun] = (sent[1] as Sent).log.passed(0)
          const before = history.filter(({ time }) => time < rampBegun)
          const steps = before.slice(1).map(({ number }, i) => number - (before[i] as Known).number)
          const section = report.sections.find(({ name }) => name === 'history')
          const thin = section?.sampling ?? { min: Number.NaN, max: Number.NaN }
          const [least, most] = [Math.min(...steps), Math.max(...steps)]
          t.comment(`1 of ${thin.min} to ${thin.max}; the samples before the ramp are ${least} to ${most} apart`)
          t.ok(thin.min <= least && thin.max >= most, 'as thin as it says')
          const gaps = report.coverage.gaps.filter(({ from }) => nsOf(from) < rampBegun)
          t.same(
            gaps.slice(0, steps.length).map(({ from, to, packets, reason }) => [nsOf(from), nsOf(to), packets, reason]),
            before
              .slice(1)
              .map(({ time }, i) => [(before[i] as Known).time, time, (steps[i] as number) - 1, 'sampling']),
            'each place where it is thinned is told',
          )
          const { packets } = report
          t.same(packetsByTools(report.file as string), { capinfos: packets, tshark: packets, tcpdump: packets })
        }
      })
      rmSync(captures, { recursive: true })
    }
  })
}
