// The result, as Markdown.

import { baseline, contestants } from './contestants.js'
import { derive, type Figures, pairs } from './derive.js'
import type { Case } from './plan.js'
import { questions } from './questions.js'
import type { FreezeSample, Sample } from './samples.js'
import { median, percentile, ratios } from './statistics.js'
import { figure, markdown, spread } from './table.js'

export interface Results {
  samples: readonly Sample[]
  freezes: readonly FreezeSample[]
  cases: readonly Case[]
  /** Who could not be measured, and why. */
  missing: ReadonlyMap<string, string>
  /** Samples that could not be taken. */
  failures: readonly string[]
  /** What it ran on. */
  machine: readonly string[]
}

export const caseName = ({ rate, bytes }: Case): string =>
  `${rate === 'flat' ? 'flat out' : `${rate.toLocaleString('en')} packets a second`}, ${bytes} bytes`

const present = (figures: readonly Figures[], of: (one: Figures) => number | null): number[] =>
  figures.map(of).filter((value) => value !== null)

const percent = (value: number | null): number | null => (value === null ? null : value * 100)

function times(all: readonly Figures[], one: readonly Figures[], by: string): string {
  const other = all.filter(({ contestant }) => contestant === by)
  const found = ratios(pairs(one, other, ({ receiving }) => receiving)).filter(Number.isFinite)
  return found.length === 0 ? '–' : spread(found)
}

const head = [
  'contestant',
  'CPU, ns a packet',
  'of it the capture thread',
  '% of a core',
  'kernel, ns a packet',
  'lost, %',
  'memory, MiB',
  'timer, ms',
  '1 of N',
  'times pcap-ring',
  'times libpcap',
]

function caseTable(all: readonly Figures[]): string {
  const rows = contestants.flatMap(({ name }) => {
    const own = all.filter(({ contestant }) => contestant === name)
    if (own.length === 0) return []
    // All others are what they take more than this one.
    if (name === baseline) {
      const timer = spread(present(own, ({ timerMs }) => timerMs))
      return [head.map((column) => (column === 'contestant' ? name : column === 'timer, ms' ? timer : '–'))]
    }
    const sampling = present(own, (one) => one.sampling)
    return [
      [
        name,
        spread(present(own, ({ cpu }) => cpu)),
        spread(present(own, ({ thread }) => thread)),
        spread(present(own, ({ share }) => percent(share))),
        spread(present(own, ({ kernel }) => kernel)),
        spread(present(own, ({ loss }) => percent(loss))),
        spread(present(own, ({ memory }) => memory)),
        spread(present(own, ({ timerMs }) => timerMs)),
        sampling.length === 0 ? '–' : spread(sampling),
        times(all, own, 'pcap-ring'),
        times(all, own, 'libpcap'),
      ],
    ]
  })
  return markdown(head, rows)
}

function timerTable(figures: readonly Figures[], sizes: readonly number[]): string {
  const rows = sizes.map((bytes) => {
    const of = (name: string): Figures[] => figures.filter((one) => one.bytes === bytes && one.contestant === name)
    const [without, ring] = [of('nothing'), of('pcap-ring')]
    const differences = pairs(ring, without, ({ timerMs }) => timerMs).map(([a, b]) => a - b)
    return [
      `${bytes} bytes`,
      spread(present(without, ({ timerMs }) => timerMs)),
      spread(present(ring, ({ timerMs }) => timerMs)),
      spread(differences),
    ]
  })
  return markdown(['flat out', 'without a ring, ms', 'with a ring, ms', 'difference in pairs, ms'], rows)
}

function freezeTable(freezes: readonly FreezeSample[]): string {
  const rows = (['no', 'yes'] as const).flatMap((busy) => {
    const took = freezes.filter((one) => one.busy === busy).map(({ flushedMs }) => flushedMs)
    if (took.length === 0) return []
    const [p50, p99, most] = [median(took), percentile(took, 0.99), Math.max(...took)]
    return [
      [busy === 'yes' ? 'both cores busy' : 'cores free', String(took.length), figure(p50), figure(p99), figure(most)],
    ]
  })
  return markdown(
    ['freeze to flushed, 10,000 a second, 64 bytes', 'freezes', 'median, ms', '99th percentile, ms', 'longest, ms'],
    rows,
  )
}

export function summary(results: Results): string {
  const { samples, freezes, cases, missing, failures, machine } = results
  const grid = derive(samples.filter(({ bench }) => bench === 'grid'))
  const timer = derive(samples.filter(({ bench }) => bench === 'timer'))
  const parts = ['# pcap-ring bench', machine.map((line) => `- ${line}`).join('\n')]
  if (missing.size > 0) {
    parts.push('## Missing', [...missing].map(([name, why]) => `- ${name}: ${why}`).join('\n'))
  }
  if (failures.length > 0)
    parts.push('## Samples that could not be taken', failures.map((one) => `- ${one}`).join('\n'))
  const asked = questions(grid, timer, freezes)
  if (asked.length > 0) {
    parts.push(
      '## What is asked of pcap-ring',
      markdown(
        ['figure', 'measured', 'asked'],
        asked.map(({ what, measured, wanted }) => [what, measured, wanted]),
      ),
    )
  }
  for (const one of cases) {
    const own = grid.filter(({ rate, bytes }) => rate === one.rate && bytes === one.bytes)
    if (own.length > 0) parts.push(`## ${caseName(one)}`, caseTable(own))
  }
  if (timer.length > 0) {
    parts.push('## Longest delay of a 10 ms timer', timerTable(timer, [...new Set(timer.map(({ bytes }) => bytes))]))
  }
  if (freezes.length > 0) parts.push('## Freezes', freezeTable(freezes))
  return `${parts.join('\n\n')}\n`
}
