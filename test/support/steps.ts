// A flood that begins on calm traffic, at every strength and in every pattern, frozen long after the ring has rolled over:
// what was before it and how it began is in the file, and the report says exactly what is not.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { Floods, type Run } from './floods.js'
import { judgeLive, judgeStep } from './live-evidence.js'
import { noNamespaces, noTool } from './netns.js'
import { random, seed } from './random.js'
import { noSender } from './sender.js'
import type { SentLog } from './sent.js'
import { packetsByTools } from './tools.js'

const skip = noNamespaces || noSender || noTool('tshark') || noTool('capinfos') || noTool('tcpdump')

const rates = [50, 1_000, 5_000, 20_000]
const patterns = ['even', 'poisson', 'bursty'] as const
/** Times the calm, 5,000 packets a second at the least; or as many as go. */
const strengths = [10, 100, 'flat out'] as const

interface Shape {
  rate: number
  pattern: (typeof patterns)[number]
  strength: (typeof strengths)[number]
  /** Freezes so long after the flood's first frame, ms. */
  delays: number[]
}

const full = process.env.PCAP_RING_FULL === '1'

// By default, by rate and pattern: which are of large packets. So each strength comes twice at each size, and each rate
// and each pattern at either.
const large = [
  [false, true, true],
  [false, false, true],
  [true, false, false],
  [true, true, false],
]

const shapesOf = (size: number): Shape[] =>
  rates.flatMap((rate, r) =>
    patterns.flatMap((pattern, p) =>
      strengths.flatMap((strength, s): Shape[] => {
        const chosen = s === (r + p) % 3 && size > 64 === large[r]?.[p]
        if (!full && !chosen) return []
        return [{ rate, pattern, strength, delays: full || p === r % 2 ? [200, 1_000, 5_000] : [200, 1_000] }]
      }),
    ),
  )

const floodBegins = 3_000

/** Whether a run has the default budget, as every other has whose calm is well below it: the flood is sampled until the freeze. */
const sampled = (rate: number, number: number): boolean => rate <= 5_000 && (number >> 1) % 2 === 0

interface Attempt {
  shape: Shape
  size: number
  number: number
  budget: boolean
}

async function flooded(floods: Floods, directory: string, { shape, size, number, budget }: Attempt): Promise<Run> {
  const { rate, pattern, strength, delays } = shape
  const end = floodBegins + Math.max(...delays) + 1_000
  const pps = strength === 'flat out' ? 0 : Math.max(5_000, rate * strength)
  return floods.run(directory, {
    sources: [
      // On the flood's core, where frames come in the order of their times, or on the other.
      { begin: 0, end, pps: rate, pattern, size, seed: number, cpu: number % 2 },
      { begin: floodBegins, end, pps, size, cpu: 0, src: '02:00:00:00:00:09', port: 80 },
    ],
    freezes: delays.map((delay) => ({ at: floodBegins + delay })),
    options: {
      cap: { packets: 2_500 },
      format: number % 2 === 0 ? 'pcap' : 'pcapng',
      ...(budget ? { cpuBudget: 0.005 } : {}),
    },
  })
}

/** Packets a second in each of the slots of 25 ms that decide whether it is an onset. */
function beginning({ sent }: Run): number[] {
  const [calm, flood] = sent.map(({ log }) => log) as [SentLog, SentLog]
  const [begun] = flood.passed(0)
  const before = (ms: number): number =>
    [calm, flood].reduce((sum, log) => sum + log.passedBefore(begun + BigInt(ms) * 1_000_000n)[0], 0)
  return Array.from({ length: 8 }, (_, i) => (before((i + 1) * 25) - before(i * 25)) * 40)
}

/** Whether the sender was held up amid the flood's first hundred frames: they are a burst and a pause, or no rise at that rate. */
function heldUp(run: Run, rate: number): boolean {
  const [, flood] = run.sent.map(({ log }) => log) as [SentLog, SentLog]
  const [first, hundredth] = [flood.passed(0)[0], flood.passed(100)[1]]
  const took = Number(hundredth - first) / 1e6
  return took > Math.min(1 + (3 * 100_000) / (beginning(run)[1] as number), (1.25 * 100_000) / (8 * rate))
}

/** Well above `factor` times the calm in all but one, and from its first frame on. */
const isFlood = (run: Run, rate: number): boolean =>
  beginning(run).filter((pps) => pps < 9 * rate).length <= 1 && !heldUp(run, rate) && !calmIsSampled(run)

/** On a slow machine the calm alone may be beyond the budget. */
const calmIsSampled = ({ reports }: Run): boolean =>
  reports.some(({ sections: [first] }) => first?.name === 'pre-buffer' && first.sampling !== null)

const whyNot = (run: Run, rate: number): string =>
  calmIsSampled(run)
    ? 'on calm beyond the budget'
    : heldUp(run, rate)
      ? 'held up at its beginning'
      : `too few frames: ${beginning(run).join(' ')}`

function judge(t: Test, report: IncidentReport, run: Run, sampled: boolean): void {
  const { frames, wrong, missing } = judgeLive(report, run, { sampled })
  const step = judgeStep(report, run, frames, { calm: 0, flood: 1 })
  t.comment(`${step.told}; missing ${missing.join(' to ')}, ${JSON.stringify(report.loss)}`)
  t.same(step.wrong, [], 'what was before the flood, and how it began')
  const [before, onset] = report.sections
  t.same(before?.sampling, null, 'the calm is whole')
  if (onset?.sampling) t.equal(onset.sampling.min, 1, "the onset's first packets are whole")
  t.same(wrong, [], 'what is said of it')
  const { packets } = report
  t.same(packetsByTools(report.file as string), { capinfos: packets, tshark: packets, tcpdump: packets })
}

/** The tests of one size of packets: a file for each, so that neither takes too long. */
export function testSteps(size: number): void {
  test(`a flood begins, ${size} bytes`, { skip, timeout: full ? 3_600_000 : 300_000 }, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const next = random(size)
    const floods = await Floods.begin(t)
    const directory = t.testdir({})
    for (let round = 0; round < (full ? 5 : 1); ++round) {
      for (const shape of shapesOf(size)) {
        const { rate, pattern, strength } = shape
        const number = Math.floor(next() * 2 ** 31)
        const captures = join(directory, `${number}`)
        mkdirSync(captures)
        let budget = sampled(rate, number)
        let run = await flooded(floods, captures, { shape, size, number, budget })
        // On a busy machine it may take another try until it sends that much; and where the calm is not far below the budget, one
        // without it to keep the calm whole.
        for (let tries = 1; tries < 10 && !isFlood(run, rate); ++tries) {
          t.comment(`no flood on ${rate} a second, ${whyNot(run, rate)}`)
          budget &&= !(calmIsSampled(run) && tries > 1 && rate > 1_000)
          rmSync(captures, { recursive: true })
          mkdirSync(captures)
          run = await flooded(floods, captures, { shape, size, number, budget })
        }
        const times = strength === 'flat out' ? strength : `${strength} times that`
        const name = `on ${rate} a second, ${pattern}: ${times}, ${budget ? 'with the budget' : 'without'} (${number})`
        await t.test(name, async (t) => {
          t.comment(`begins with ${beginning(run).join(' ')} a second`)
          if (!isFlood(run, rate)) {
            t.fail(`the machine is too busy: ${whyNot(run, rate)}`)
            return
          }
          t.equal(run.onsets.length, 1, 'one onset')
          for (const [i, report] of run.reports.entries()) {
            await t.test(`frozen after ${shape.delays[i]} ms`, async (t) => judge(t, report, run, budget))
          }
        })
        rmSync(captures, { recursive: true })
      }
    }
  })
}
