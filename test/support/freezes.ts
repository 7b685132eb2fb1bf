// Rings over recordings of streams, frozen at moments of packet time.

import { once } from 'node:events'

import type { FreezeOptions, Incident, IncidentReport, Onset, PcapRingOptions, Stats } from '../../src/index.js'
import { nsOf } from './evidence.js'
import type { Placed } from './onset-evidence.js'
import { ringOf } from './replay.js'
import type { Recording } from './streams.js'

export interface Freeze {
  /** Seconds from the recording's beginning on; taken in the listener of the first interval that ends then or later. */
  at: number
  /** Intervals until it is resolved. @default 1 */
  resolveAfter?: number
  options?: FreezeOptions
}

export interface Replayed {
  /** In the order of the freezes; those whose moment never came are resolved at the recording's end. */
  reports: IncidentReport[]
  onsets: Onset[]
  stats: Stats[]
}

/** Replays a recording, freezes at each of the moments, and closes the ring. */
export async function frozenAt(
  t: Parameters<typeof ringOf>[0],
  { file, truth }: Recording,
  freezes: readonly (number | Freeze)[],
  options: PcapRingOptions = {},
): Promise<Replayed> {
  const ring = ringOf(t, { file, statsInterval: '50ms', ...options })
  const begin = truth[0]?.time ?? 0n
  const plan = freezes.map((freeze) => (typeof freeze === 'number' ? { at: freeze } : freeze))
  const due = plan.map(({ at }) => begin + BigInt(Math.round(at * 1e6)) * 1_000n)
  const incidents: Incident[] = []
  const left: number[] = []
  const onsets: Onset[] = []
  const stats: Stats[] = []
  ring.on('onset', (onset) => void onsets.push(onset))
  ring.on('stats', (figures) => {
    stats.push(figures)
    for (const [i, incident] of incidents.entries()) {
      left[i] = (left[i] as number) - 1
      if (left[i] === 0) void incident.resolve()
    }
    while (incidents.length < plan.length && nsOf(figures.time) >= (due[incidents.length] as bigint)) {
      const { options, resolveAfter = 1 } = plan[incidents.length] as Freeze
      incidents.push(ring.freeze(options))
      left.push(resolveAfter)
    }
  })
  const end = once(ring, 'end')
  await ring.start()
  await end
  while (incidents.length < plan.length) incidents.push(ring.freeze((plan[incidents.length] as Freeze).options))
  const reports = await Promise.all(incidents.map((incident) => incident.resolve()))
  await ring.close()
  return { reports, onsets, stats }
}

/** The frames of one section. */
export const inSection = (frames: readonly Placed[], name: string): Placed[] =>
  frames.filter(({ section }) => section === name)

/** µs from the recording's beginning to a time of ours. */
export const usInto = ({ truth }: Recording, time: string): number =>
  Number((nsOf(time) - (truth[0]?.time ?? 0n)) / 1_000n)
