// What this library promises of its cost, and what a run measured of it. A figure appears where the run has samples for it.

import { type Figures, pairs } from './derive.js'
import type { FreezeSample } from './samples.js'
import { medianInterval, percentile, ratios } from './statistics.js'
import { figure, spread } from './table.js'

export interface Question {
  what: string
  measured: string
  wanted: string
}

type Of = (figures: Figures) => number | null

const receiving: Of = (one) => one.receiving
const whole: Of = (one) => one.cpu
const values = (figures: readonly Figures[], of: Of): number[] => figures.map(of).filter((value) => value !== null)

/** The figures of a case, by contestant. */
class Case {
  readonly name: string
  readonly #all: readonly Figures[]

  constructor(name: string, all: readonly Figures[]) {
    this.name = name
    this.#all = all
  }

  of(contestant: string): Figures[] {
    return this.#all.filter((one) => one.contestant === contestant)
  }

  ratio(a: string, b: string, of: Of): number[] {
    return ratios(pairs(this.of(a), this.of(b), of))
  }
}

function casesIn(grid: readonly Figures[]): Map<string, Case> {
  const names = grid.map(({ rate, bytes }) => `${rate === 'flat' ? 'flat out' : `${rate / 1_000} kpps`}, ${bytes} B`)
  return new Map(
    [...new Set(names)].map((name) => [
      name,
      new Case(
        name,
        grid.filter((_, i) => names[i] === name),
      ),
    ]),
  )
}

const ask = (what: string, measured: number[], unit: string, wanted: string): Question[] =>
  measured.length === 0 ? [] : [{ what, measured: spread(measured, unit), wanted }]

const percent = (values: number[]): number[] => values.map((value) => value * 100)

const budget = (one: Case): Question[] =>
  ask(
    `capture thread, share of a core: ${one.name}`,
    percent(values(one.of('pcap-ring'), ({ share }) => share)),
    ' %',
    '≤ 0.5 %',
  )

const overLibpcap = (one: Case): Question[] =>
  ask(`cpuBudget null, times libpcap: ${one.name}`, one.ratio('pcap-ring-null', 'libpcap', receiving), '', '≤ 1.5')

function lossWithout(one: Case, flat: boolean): Question[] {
  const loss: Of = ({ loss }) => loss
  const tcpdump = percent(values(one.of('tcpdump-null'), loss))
  const wanted = flat ? `tcpdump -w /dev/null: ${spread(tcpdump, ' %')}` : '0'
  return ask(`cpuBudget null, lost: ${one.name}`, percent(values(one.of('pcap-ring-null'), loss)), ' %', wanted)
}

function afterCap(one: Case): Question[] {
  const capped = one.of('pcap-ring-capped')
  if (capped.length === 0) return []
  const { low, high, confidence } = medianInterval(values(capped, receiving))
  const interval =
    capped.length < 2 ? '' : `; ${figure(confidence * 100)} % interval of the median ${figure(low)}–${figure(high)}`
  return [
    {
      what: `after the cap, thread: ${one.name}`,
      measured: `${spread(values(capped, receiving), ' ns')}${interval}`,
      wanted: '≤ 5 ns a packet',
    },
    ...ask(
      `after the cap, kernel: ${one.name}`,
      values(capped, ({ kernel }) => kernel),
      ' ns',
      `filter that rejects all: ${spread(
        values(one.of('reject'), ({ kernel }) => kernel),
        ' ns',
      )}`,
    ),
  ]
}

/** By how much the cheapest of the rivals that keep a ring is dearer, of a round. */
function cheaper(one: Case, of: Of, part: string, wanted: string): Question[] {
  const rivals = ['dumpcap', 'ftagent']
    .map((name) => one.ratio(name, 'pcap-ring', of))
    .filter(({ length }) => length > 0)
  const rounds = Math.min(...rivals.map(({ length }) => length))
  if (rivals.length === 0) return []
  const least = Array.from({ length: rounds }, (_, i) => Math.min(...rivals.map((ratios) => ratios[i] as number)))
  return ask(`cheapest rival with a ring, times pcap-ring (${part}): ${one.name}`, least, '', wanted)
}

const memoryAdded = (one: Case): Question[] =>
  ask(
    `memory added: ${one.name}`,
    values(one.of('pcap-ring'), ({ memory }) => memory),
    ' MiB',
    '–',
  )

function timers(timer: readonly Figures[]): Question[] {
  return [...new Set(timer.map(({ bytes }) => bytes))].flatMap((bytes) => {
    const of = (name: string): Figures[] => timer.filter((one) => one.bytes === bytes && one.contestant === name)
    const longest: Of = ({ timerMs }) => timerMs
    const without = spread(values(of('nothing'), longest), ' ms')
    return ask(
      `longest delay of a timer: flat out, ${bytes} B`,
      values(of('pcap-ring'), longest),
      ' ms',
      `without a ring: ${without}`,
    )
  })
}

function freezing(freezes: readonly FreezeSample[]): Question[] {
  return (['no', 'yes'] as const).flatMap((busy) => {
    const took = freezes.filter((one) => one.busy === busy).map(({ flushedMs }) => flushedMs)
    if (took.length === 0) return []
    return [
      {
        what: `freeze to flushed, 99th percentile of ${took.length}${busy === 'yes' ? ', both cores busy' : ''}`,
        measured: `${figure(percentile(took, 0.99))} ms`,
        wanted: busy === 'yes' ? 'to be told' : '≤ 150 ms',
      },
    ]
  })
}

export function questions(
  grid: readonly Figures[],
  timer: readonly Figures[],
  freezes: readonly FreezeSample[],
): Question[] {
  const all = [...casesIn(grid).values()]
  const flat = all.filter(({ name }) => name.startsWith('flat out'))
  const at = (rate: string): Case[] => all.filter(({ name }) => name.startsWith(`${rate} kpps,`))
  return [
    ...all.flatMap(budget),
    ...flat.flatMap(overLibpcap),
    ...at('100').flatMap((one) => lossWithout(one, false)),
    ...flat.flatMap((one) => lossWithout(one, true)),
    ...flat.flatMap(afterCap),
    ...flat.flatMap(memoryAdded),
    ...timers(timer),
    ...[at('10'), flat].flatMap((cases, i) =>
      cases.flatMap((one) => [
        ...cheaper(one, receiving, 'its thread', i === 0 ? '≥ 3' : '≥ 20'),
        ...cheaper(one, whole, 'its process', i === 0 ? '≥ 3' : '≥ 20'),
      ]),
    ),
    ...freezing(freezes),
  ]
}
