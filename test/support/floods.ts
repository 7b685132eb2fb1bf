// Floods on calm traffic in network namespaces: when what is sent and frozen is planned beforehand, so that nothing has to
// be told to anybody in the middle of it.

import { join } from 'node:path'
import type { Test } from 'tap'

import type {
  FreezeOptions,
  Incident,
  IncidentReport,
  Onset,
  PcapRing,
  PcapRingOptions,
  Stats,
} from '../../src/index.js'
import { Host } from './host.js'
import { makePair, type Pair } from './netns.js'
import { send, type Traffic } from './sender.js'
import { SentLog } from './sent.js'

/** What one sender sends from `begin` to `end`, in ms from the plan's start on. */
interface Source extends Partial<Traffic> {
  begin: number
  end: number
}

interface Freeze {
  /** In ms from the plan's start on. */
  at: number
  /** In ms, until it is resolved. */
  open?: number
  options?: FreezeOptions
}

export interface Plan {
  /** The first is stream 0. */
  sources: readonly Source[]
  freezes: readonly Freeze[]
  options?: PcapRingOptions
  /** When the ring is started, in ms from the plan's start on. @default before it */
  ring?: number
}

export interface Sent {
  log: SentLog
  /** Bytes of a frame. */
  size: number
}

export interface Run {
  /** In the order of the freezes. */
  reports: IncidentReport[]
  onsets: Onset[]
  /** By stream. */
  sent: Sent[]
  /** Since the ring was started. */
  total: Stats['total']
  /** The highest N of which one packet was kept, by the statistics. */
  oneOf: number
}

interface State {
  ring: PcapRing
  onsets: Onset[]
  oneOf: number
}

/** A cable and a host at one end of it, for one run after the other. */
export class Floods {
  readonly #t: Test
  readonly #host: Host
  readonly pair: Pair

  private constructor(t: Test, host: Host, pair: Pair) {
    this.#t = t
    this.#host = host
    this.pair = pair
  }

  static async begin(t: Test): Promise<Floods> {
    const pair = makePair(t)
    return new Floods(t, await Host.start(t, { netns: pair.here.name }), pair)
  }

  /** Leaves its files in `directory`. */
  async run(directory: string, { sources, freezes, options = {}, ring }: Plan): Promise<Run> {
    const host = this.#host
    const start = (): Promise<void> =>
      host.call<State, void, object>(
        async ({ PcapRing, state }, options) => {
          state.ring = new PcapRing(options)
          state.onsets = []
          state.oneOf = 1
          state.ring.on('onset', (onset) => {
            state.onsets.push(onset)
          })
          state.ring.on('stats', ({ sampling }) => {
            state.oneOf = Math.max(state.oneOf, sampling)
          })
          await state.ring.start()
        },
        // Without a budget, so that all that passed is to be seen, unless the plan says otherwise.
        { device: this.pair.here.device, directory, precision: 'nano', cpuBudget: null, ...options },
      )
    if (ring === undefined) await start()
    // Until then everybody has been started.
    const epoch = Date.now() + 250
    const sending = sources.map(({ begin, end, ...traffic }, stream) =>
      send(this.#t, this.pair.there, {
        count: 1e9,
        stream,
        ip: `10.99.${stream}.1`,
        ...traffic,
        at: epoch + begin,
        for: end - begin,
        log: join(directory, `sent-${stream}`),
      }),
    )
    if (ring !== undefined) {
      await host.call<State, void, number>(async (_, at) => {
        await new Promise((resolve) => setTimeout(resolve, at - Date.now()))
      }, epoch + ring)
      await start()
    }
    // These waits are what the tests are about, moments of a flood; they synchronise nothing.
    const told = await host.call<State, Omit<Run, 'sent'>, { freezes: readonly Freeze[]; epoch: number }>(
      async ({ state, untilStats }, { freezes, epoch }) => {
        const { ring, onsets } = state
        const until = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time - Date.now()))
        const reports = await Promise.all(
          freezes.map(async ({ at, open = 60, options }) => {
            await until(epoch + at)
            const incident: Incident = ring.freeze(options)
            await until(epoch + at + open)
            return incident.resolve()
          }),
        )
        // What was lost in the interval of the last packet is known then.
        await untilStats(ring, () => true)
        await untilStats(ring, () => true)
        const { total } = ring.stats()
        await ring.close()
        return { reports, onsets, total, oneOf: state.oneOf }
      },
      { freezes, epoch },
    )
    await Promise.all(sending.map((one) => one.stop()))
    const sent = sources.map(({ size = 64 }, stream) => ({ log: new SentLog(join(directory, `sent-${stream}`)), size }))
    return { ...told, sent }
  }
}
