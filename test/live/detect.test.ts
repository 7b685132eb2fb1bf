// Floods on a cable: found within a second of their first packet, budget or not, and over when they are over.

import { test } from 'tap'

import type { Attack, IncidentReport, PcapRing } from '../../src/index.js'
import { Host, type HostApi } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender
const runs = process.env.PCAP_RING_FULL === '1' ? 20 : 3

interface Seen {
  attack: Attack
  /** When the host heard of it, ms. */
  heard: number
  cleared: Attack
  report: IncidentReport | null
}

interface State {
  ring: PcapRing
  seen: Promise<Seen>
}

const watching = async (
  { PcapRing, state, require }: HostApi<State>,
  { device, directory }: { device: string; directory: string },
) => {
  const { FloodDetector } = require(`${process.env.PCAP_RING_ROOT}/lib/detect/index.js`)
  state.ring = new PcapRing({ device, directory })
  const detector = new FloodDetector({ clear: '1s' })
  state.seen = new Promise((resolve) => {
    let first: Attack
    let heard: number
    detector.once('attack', (attack: Attack) => {
      first = attack
      heard = Date.now()
    })
    detector.once('clear', (cleared: Attack, report: IncidentReport | null) =>
      resolve({ attack: first, heard, cleared, report }),
    )
  })
  detector.watch(state.ring)
  await state.ring.start()
}

for (const [name, flood] of [
  ['fifty times the calm', { count: 50_000, pps: 50_000 }],
  ['flat out', { count: 400_000, pps: 0 }],
] as const) {
  test(`a flood of ${name}`, { skip }, async (t) => {
    for (let run = 1; run <= runs; run++) {
      const { here, there } = makePair(t)
      const host = await Host.start(t, { netns: here.name })
      await host.call<State, void, object>(watching as never, { device: here.device, directory: t.testdir({}) })
      const calm = send(t, there, { count: 8_000, pps: 1_000 })
      const at = Date.now() + 2_000 + run * 83
      await send(t, there, { ...flood, first: 8_000, at }).sent
      const { attack, heard, cleared, report } = await host.call<State, Seen>(({ state }) => state.seen)
      await calm.stop()
      const late = heard - at
      // The contract's second, with threefold slack for the machine that this runs on.
      t.ok(late > 0 && late < 3_000, `run ${run}: heard of after ${late} ms`)
      t.comment(`run ${run}: after ${late} ms`)
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
  })
}
