// Floods on a cable: found within a second of their first packet, also where the kernel keeps 1 of N packets, and over when they are
// over.

import { test } from 'tap'

import { median } from '../../bench/statistics.js'
import type { Attack, IncidentReport, PcapRing } from '../../src/index.js'
import { Host, type HostApi } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender
const runs = process.env.PCAP_RING_FULL === '1' ? 20 : 2

interface Seen {
  attack: Attack
  /** When the host heard of it, ms. */
  heard: number
  /** 1 of so many packets was kept at the most, calm and flood. */
  sampling: { before: number; in: number }
  cleared: Attack
  report: IncidentReport | null
}

interface State {
  ring: PcapRing
  seen: Promise<Seen>
}

const watching = async (
  { PcapRing, state, require }: HostApi<State>,
  { floodAt, ...options }: { device: string; directory: string; cpuBudget?: number; floodAt: number },
) => {
  const { FloodDetector } = require(`${process.env.PCAP_RING_ROOT}/lib/detect/index.js`)
  state.ring = new PcapRing(options)
  const sampling = { before: 1, in: 1 }
  state.ring.on('stats', ({ time, sampling: n }) => {
    const when = Date.parse(time) <= floodAt ? 'before' : 'in'
    sampling[when] = Math.max(sampling[when], n)
  })
  const detector = new FloodDetector({ clear: '1s' })
  state.seen = new Promise((resolve) => {
    let first: Attack
    let heard: number
    detector.once('attack', (attack: Attack) => {
      first = attack
      heard = Date.now()
    })
    detector.once('clear', (cleared: Attack, report: IncidentReport | null) =>
      resolve({ attack: first, heard, sampling, cleared, report }),
    )
  })
  detector.watch(state.ring)
  await state.ring.start()
}

interface Case {
  calm: number
  flood: { count: number; pps: number }
  /** Else the ring's default. */
  cpuBudget?: number
}

const cases: [string, Case][] = [
  ['fifty times the calm', { calm: 1_000, flood: { count: 50_000, pps: 50_000 } }],
  ['flat out', { calm: 1_000, flood: { count: 400_000, pps: 0 } }],
  // So small a budget that the calm is sampled, too.
  ['twelve times a sampled calm', { calm: 4_000, flood: { count: 50_000, pps: 50_000 }, cpuBudget: 0.000_1 }],
  ['flat out on a sampled calm', { calm: 4_000, flood: { count: 400_000, pps: 0 }, cpuBudget: 0.000_1 }],
]

for (const [name, { calm: pps, flood, ...options }] of cases) {
  test(`a flood: ${name}`, { skip }, async (t) => {
    const delays: number[] = []
    for (let run = 1; run <= runs; run++) {
      const { here, there } = makePair(t)
      const host = await Host.start(t, { netns: here.name })
      const at = Date.now() + 2_000 + run * 83
      const started = { ...options, device: here.device, directory: t.testdir({}), floodAt: at }
      await host.call<State, void, object>(watching as never, started)
      const first = 8 * pps
      const calm = send(t, there, { count: first, pps })
      await send(t, there, { ...flood, first, at }).sent
      const { attack, heard, sampling, cleared, report } = await host.call<State, Seen>(({ state }) => state.seen)
      await calm.stop()
      const late = heard - at
      delays.push(late)
      const kept = `kept 1 of ${sampling.before} before, 1 of ${sampling.in} in it`
      t.comment(`run ${run}: heard of after ${late} ms; ${kept}, ${report?.loss.kernel} lost in the file`)
      // The contract's second, with threefold slack for the machine that this runs on.
      t.ok(late > 0 && late < 3_000, `run ${run}: heard of after ${late} ms`)
      if (options.cpuBudget !== undefined) t.ok(sampling.before > 1, `run ${run}: the calm is sampled`)
      t.ok(
        Math.abs(Date.parse(attack.onsetAt as string) - at) < 100,
        `run ${run}: ${attack.onsetAt} for ${new Date(at).toISOString()}`,
      )
      t.match(cleared, { vector: 'udp-flood', cause: 'baseline' })
      t.match(report, { error: null, coverage: { onsetSource: 'watch' } })
      t.ok(
        report?.sections.some((section) => section.name === 'onset'),
        'the file has its onset',
      )
      await host.exit()
    }
    t.comment(`of ${runs}: heard of after ${median(delays)} ms in the median, ${Math.max(...delays)} at the most`)
  })
}
