// `npm run bench:detect`: what the detector takes for one interval, and whether a year of them grows its memory. Each sample in a
// process of its own. Started by scripts/bench.cjs, which compiled this.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import type { DetectorOptions, FloodDetector } from '../src/detect/index.js'
import type { Stats } from '../src/index.js'
import { backup, bursts, day, wave } from '../test/detect/days.js'
import { Feed, type Rates } from '../test/detect/support.js'
import { random } from '../test/support/random.js'
import { bootstrap } from './install.js'
import { CsvFile } from './samples.js'
import { median } from './statistics.js'
import { figure, markdown, spread } from './table.js'

const { at, say } = bootstrap

/** As it is built, and as hosts have it. */
function detectorOf(options?: DetectorOptions): FloodDetector {
  const { FloodDetector: Detector } = require(at('lib/detect/index.js')) as typeof import('../src/detect/index.js')
  return new Detector(options)
}

/** Of the day's wave, with its bursts and the backup at night. */
function calm(intervalMs: number): (second: number) => Rates {
  const burst = bursts(random(1), intervalMs)
  return (second) => {
    const pps = wave(second) * burst() * (backup(second) ? 1.2 : 1)
    return { pps, bps: pps * 5_000 * (backup(second) ? 1.5 : 1) }
  }
}

interface Case {
  intervalMs: number
  options?: DetectorOptions
  /** Four hundred times the calm from the second minute on: more than eight times what its bursts may have made normal. */
  attack?: boolean
}

const cases = {
  calm: { intervalMs: 250 },
  'calm with thresholds': { intervalMs: 250, options: { pps: 1e6, bps: 1e10 } },
  'calm every 50 ms': { intervalMs: 50 },
  attack: { intervalMs: 250, attack: true },
} satisfies Record<string, Case>
type Name = keyof typeof cases
const names = Object.keys(cases) as Name[]

const intervals = 50_000
const passes = 20
/** Before anything is compiled, as in a host that has just been started. */
const cold = 1_000

interface Cost {
  updates: number
  nsPerUpdate: number
  coldNsPerUpdate: number
}

/** As a ring hands them out: each an object of its own, out of JSON. */
function figuresOf({ intervalMs, attack }: Case): Stats[] {
  const feed = new Feed(detectorOf(), intervalMs)
  const normal = calm(intervalMs)
  return Array.from({ length: intervals }, (_, i) => {
    const second = (i * intervalMs) / 1_000
    const { pps, bps } = normal(second)
    const times = attack && second >= 60 ? 400 : 1
    return JSON.parse(JSON.stringify(feed.figures({ pps: pps * times, bps: (bps as number) * times }))) as Stats
  })
}

function cost(name: Name): Cost {
  const one: Case = cases[name]
  const all = figuresOf(one)
  const nsFor = (from: number, to: number, detector: FloodDetector): number => {
    const begun = process.hrtime.bigint()
    for (let i = from; i < to; i++) detector.update(all[i] as Stats)
    return Number(process.hrtime.bigint() - begun)
  }
  let ns = 0
  let coldNs = 0
  for (let pass = 1; pass <= passes; pass++) {
    const detector = detectorOf(one.options)
    const first = nsFor(0, cold, detector)
    if (pass === 1) coldNs = first
    ns += first + nsFor(cold, intervals, detector)
    const { state } = detector.update(all.at(-1) as Stats)
    if (state !== (one.attack ? 'attack' : 'calm')) throw new Error(`${name}: ${state} at the end`)
  }
  const updates = intervals * passes
  return { updates, nsPerUpdate: ns / updates, coldNsPerUpdate: coldNs / cold }
}

interface Memory {
  day: number
  updates: number
  attacks: number
  heapKib: number
  rssKib: number
  stateBytes: number
}

/** A figure a second, ten minutes of attack and five of outage a day; what is left of the heap when its waste is gone. */
function year(days: number, tell: (memory: Memory) => void): void {
  const gc = globalThis.gc as () => void
  const feed = new Feed(detectorOf(), 1_000)
  const normal = calm(1_000)
  let attacks = 0
  const measure = (today: number): void => {
    gc()
    const { heapUsed, rss } = process.memoryUsage()
    const stateBytes = JSON.stringify(feed.detector.state()).length
    const kib = { heapKib: Math.round(heapUsed / 1_024), rssKib: Math.round(rss / 1_024) }
    tell({ day: today, updates: today * day, attacks, ...kib, stateBytes })
  }
  for (let today = 0; today < days; today++) {
    for (let second = 0; second < day; second++) {
      const { pps, bps } = normal(second)
      const times = second >= 36_000 && second < 36_600 ? 40 : second >= 72_000 && second < 72_300 ? 0 : 1
      if (feed.next({ pps: pps * times, bps: (bps as number) * times }).change === 'attack') ++attacks
    }
    if (today % 5 === 4 || today === days - 1) measure(today + 1)
  }
}

type Job = { cost: Name } | { days: number }

async function child(): Promise<void> {
  const [job] = (await once(process, 'message')) as [Job]
  const send = (answer: Cost | Memory): void => void process.send?.(answer)
  if ('cost' in job) send(cost(job.cost))
  else year(job.days, send)
  process.disconnect()
}

/** All that a child says of its job. */
async function answers<A extends Cost | Memory>(job: Job): Promise<A[]> {
  const one = fork(__filename, ['child'], { execArgv: ['--expose-gc'] })
  const all: A[] = []
  one.on('message', (answer) => void all.push(answer as A))
  one.send(job)
  const [status] = (await once(one, 'exit')) as [number | null]
  if (status !== 0) throw new Error(`${JSON.stringify(job)} ended: ${status}`)
  return all
}

const wholeNumber = (name: string, value: string): number => {
  const number = Number(value)
  if (!Number.isInteger(number) || number <= 0) throw new RangeError(`--${name} takes a whole number above 0`)
  return number
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      days: { type: 'string', default: '365' },
      out: { type: 'string', default: at('build/bench') },
    },
  })
  const rounds = wholeNumber('rounds', values.rounds)
  const days = wholeNumber('days', values.days)
  mkdirSync(values.out, { recursive: true })

  const costs: (Cost & { name: Name })[] = []
  const raw = new CsvFile(join(values.out, 'detect.csv'), [
    'round',
    'case',
    'updates',
    'nsPerUpdate',
    'coldNsPerUpdate',
  ])
  for (let round = 1; round <= rounds; round++) {
    say(`round ${round} of ${rounds}`)
    for (const name of round % 2 === 1 ? names : [...names].reverse()) {
      const [sample] = (await answers<Cost>({ cost: name })) as [Cost]
      costs.push({ name, ...sample })
      raw.add({ round, case: name, ...sample })
    }
  }
  const of = (name: Name, which: 'nsPerUpdate' | 'coldNsPerUpdate'): number[] =>
    costs.filter((one) => one.name === name).map((one) => one[which] / 1_000)
  const rows = names.map((name) => [
    name,
    spread(of(name, 'nsPerUpdate'), ' µs'),
    spread(of(name, 'coldNsPerUpdate'), ' µs'),
  ])
  const head = ['update()', `mean of ${figure(intervals * passes)}`, `of a process's first ${figure(cold)}`]
  process.stdout.write(`${markdown(head, rows)}\n`)
  const highest = Math.max(...names.map((name) => median(of(name, 'nsPerUpdate'))))
  process.stdout.write(`under 10 µs: ${highest < 10 ? 'yes' : 'no'}\n\n`)

  say(`${days} days`)
  const memory = await answers<Memory>({ days })
  const columns = ['day', 'updates', 'attacks', 'heapKib', 'rssKib', 'stateBytes'] as const
  const file = new CsvFile(join(values.out, 'detect-year.csv'), columns)
  for (const sample of memory) file.add({ ...sample })
  const half = Math.ceil(memory.length / 2)
  const heapOf = (some: Memory[]): string =>
    spread(
      some.map(({ heapKib }) => heapKib),
      ' KiB',
    )
  const last = memory.at(-1) as Memory
  process.stdout.write(
    `${figure(last.updates)} figures, ${last.attacks} attacks, heap in the first half ${heapOf(memory.slice(0, half))}, ` +
      `in the second ${heapOf(memory.slice(half))}; state ${last.stateBytes} bytes\n`,
  )
}

const running = process.argv[2] === 'child' ? child() : main()
running.catch((error: unknown) => {
  process.stderr.write(`bench: ${(error as Error).stack}\n`)
  process.exitCode = 1
})
