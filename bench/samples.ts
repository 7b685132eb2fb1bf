// What was measured, and the file that keeps all of it.

import { appendFileSync, writeFileSync } from 'node:fs'

import type { Pattern, Rate } from './options.js'

export interface Sample {
  /** `grid`, or `timer` for the pairs of that bench. */
  bench: 'grid' | 'timer'
  round: number
  contestant: string
  rate: Rate
  pattern: Pattern
  bytes: number
  /** Length of the measured window. */
  windowNs: number
  /** Frames that passed the cable within it. */
  offered: number
  /** CPU time within it: of the sender, */
  senderNs: number
  /** of the kernel thread that goes on with the sender's soft interrupts where there are too many, */
  softirqNs: number
  /** of all threads of the receiving process, */
  receiverNs: number
  /** and, of pcap-ring, of its capture thread. */
  threadNs: number | null
  /** Of the whole run: frames sent, */
  sent: number
  /** and lost. */
  lost: number | null
  /** Proportional set size of the receiving process at the window's end. */
  pssKib: number
  /** What of it is the buffer that the kernel fills. */
  kernelRingKib: number
  /** Longest delay of a 10 ms timer in a Node process, behind the window; flat out only. */
  timerMs: number | null
  /** Of pcap-ring: the kernel kept 1 of so many at the window's end. */
  sampling: number | null
}

const columns = [
  'bench',
  'round',
  'contestant',
  'rate',
  'pattern',
  'bytes',
  'windowNs',
  'offered',
  'senderNs',
  'softirqNs',
  'receiverNs',
  'threadNs',
  'sent',
  'lost',
  'pssKib',
  'kernelRingKib',
  'timerMs',
  'sampling',
] as const satisfies readonly (keyof Sample)[]

/** One row a sample, written as it is measured: a run that is ended early leaves what it has. */
export class CsvFile<Column extends string> {
  readonly path: string
  readonly #columns: readonly Column[]

  constructor(path: string, columns: readonly Column[]) {
    this.path = path
    this.#columns = columns
    writeFileSync(path, `${columns.join(',')}\n`)
  }

  add(row: Record<Column, string | number | null>): void {
    appendFileSync(this.path, `${this.#columns.map((column) => row[column] ?? '').join(',')}\n`)
  }
}

export const samplesFile = (path: string): CsvFile<(typeof columns)[number]> => new CsvFile(path, columns)

export interface FreezeSample {
  round: number
  /** Whether both cores were kept busy by other work. */
  busy: 'no' | 'yes'
  /** From the call of freeze() to `flushed`. */
  flushedMs: number
}

export const freezesFile = (path: string): CsvFile<keyof FreezeSample> =>
  new CsvFile(path, ['round', 'busy', 'flushedMs'])
