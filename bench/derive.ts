// From raw samples to the figures that are compared.

import { baseline, find } from './contestants.js'
import type { Rate } from './options.js'
import type { Sample } from './samples.js'
import { median } from './statistics.js'

export interface Figures {
  round: number
  contestant: string
  rate: Rate
  bytes: number
  /** Of the receiving process, ns for each frame offered; of a Node process without what an idle one takes. */
  cpu: number
  /** Of the capture thread alone, where there is one. */
  thread: number | null
  /** The capture thread where there is one, else the process: what is compared. */
  receiving: number
  /** The same, as a share of a core. */
  share: number
  /** What sending a frame takes more than while nobody captures: the kernel's part of the receiver's work. */
  kernel: number | null
  /** Share of the frames sent. */
  loss: number | null
  /** MiB; of a Node process beyond what an idle one takes. */
  memory: number
  timerMs: number | null
  sampling: number | null
}

const same = (a: Sample, b: Sample): boolean => a.bench === b.bench && a.rate === b.rate && a.bytes === b.bytes

const sending = ({ senderNs, softirqNs, offered }: Sample): number => (senderNs + softirqNs) / offered

const middle = (samples: readonly Sample[], of: (sample: Sample) => number): number | null =>
  samples.length === 0 ? null : median(samples.map(of))

export function derive(samples: readonly Sample[]): Figures[] {
  const idle = samples.filter(({ contestant }) => contestant === baseline)
  return samples.map((sample) => {
    const { round, contestant, rate, bytes, windowNs, offered, receiverNs, threadNs } = sample
    const beside = idle.filter((one) => same(one, sample))
    const isHost = find(contestant).kind === 'host'
    const idleShare = (isHost && middle(beside, (one) => one.receiverNs / one.windowNs)) || 0
    const idlePss = (isHost && middle(beside, ({ pssKib }) => pssKib)) || 0
    const idleSending = middle(beside, sending)
    const cpu = (receiverNs - idleShare * windowNs) / offered
    const thread = threadNs === null ? null : threadNs / offered
    return {
      round,
      contestant,
      rate,
      bytes,
      cpu,
      thread,
      receiving: thread ?? cpu,
      share: (threadNs ?? receiverNs - idleShare * windowNs) / windowNs,
      kernel: idleSending === null ? null : sending(sample) - idleSending,
      loss: sample.lost === null ? null : Math.max(0, sample.lost) / sample.sent,
      memory: (sample.pssKib - idlePss) / 1_024,
      timerMs: sample.timerMs,
      sampling: sample.sampling,
    }
  })
}

/** Pairs of two contestants' figures in the same round. */
export function pairs(
  a: readonly Figures[],
  b: readonly Figures[],
  of: (figures: Figures) => number | null,
): [number, number][] {
  return a.flatMap((one) => {
    const other = b.find(({ round }) => round === one.round)
    const values = [of(one), other === undefined ? null : of(other)]
    return values.every((value) => value !== null) ? [values as [number, number]] : []
  })
}
