// Numbered frames through a veth pair: what is frozen at a random moment is exactly what passed.

import { randomInt } from 'node:crypto'
import { test } from 'tap'

import type { Incident, IncidentReport, PcapRing } from '../../src/index.js'
import { jumps, nsOf, readEvidence, sizes } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

const seed = Number(process.env.PCAP_RING_SEED ?? randomInt(2 ** 31))
/** Mulberry32: the same seed, the same moments. */
function random(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

interface State {
  ring: PcapRing
}

interface Taken {
  report: IncidentReport
  before: number
  after: number
}

// The default buffer holds 70 ms of the large frames, and other tests keep the machine busy.
// The moments lie apart at 20 kpps, where an incident is over in half a second, and overlap at 1 kpps.
const miB = 1024 * 1024
const rates = [
  { pps: 1_000, precision: 'micro', size: 64, kernelBuffer: 2 * miB, freezes: 4, within: 5_000, count: 15_500 },
  { pps: 20_000, precision: 'micro', size: 64, kernelBuffer: 2 * miB, freezes: 3, within: 3_000, count: 85_000 },
  { pps: 20_000, precision: 'nano', size: 1_514, kernelBuffer: 32 * miB, freezes: 3, within: 3_000, count: 85_000 },
] as const

for (const { pps, precision, size, kernelBuffer, freezes, within, count } of rates) {
  test(`${pps} packets a second of ${size} bytes, ${precision}`, { skip }, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const next = random(seed ^ (pps + size))
    const { here, there } = makePair(t)
    const host = await Host.start(t, { netns: here.name })
    const directory = t.testdir({})
    await host.call<State, void, object>(
      async ({ PcapRing, state }, options) => {
        state.ring = new PcapRing(options)
        await state.ring.start()
      },
      { device: here.device, directory, precision, kernelBuffer },
    )
    const sending = send(t, there, { count, pps, size })
    await host.call<State, void>(async ({ state, untilStats }) => {
      await untilStats(state.ring, (stats) => stats.ring?.packets === 500)
    })
    const moments = Array.from({ length: freezes }, () => next() * within)
    // These waits are what the test is about, random moments; they synchronise nothing.
    const taken = await host.call<State, Taken[], number[]>(async ({ state, require }, moments) => {
      const { setTimeout: wait } = require('node:timers/promises') as typeof import('node:timers/promises')
      const capped = (incident: Incident): Promise<void> =>
        new Promise((resolve) => {
          state.ring.on('cap', (which) => {
            if (which === incident) resolve()
          })
        })
      return Promise.all(
        moments.map(async (moment) => {
          await wait(moment)
          const before = Date.now()
          const incident = state.ring.freeze()
          const after = Date.now()
          // Nothing is written any more, but the incident stays open.
          if (incident.state === 'capturing') await capped(incident)
          return { before, after, report: await incident.resolve() }
        }),
      )
    }, moments)
    t.equal(await sending.stop().then((sent) => sent > 10_000), true)
    await host.call<State, void>(({ state }) => state.ring.close())

    for (const [i, { report, before, after }] of taken.entries()) {
      await t.test(`moment ${i + 1}, ${moments[i]?.toFixed(3)} ms`, async (t) => {
        const { frames, wrong } = readEvidence(report)
        t.same(wrong, [])
        t.same(sizes(report), { 'pre-buffer': 500, attack: 9_500 })
        t.equal(frames.length, 10_000)
        t.same(jumps(frames), [])
        t.equal(report.capped, 'packets')
        t.equal(report.error, null)
        t.same(report.loss, { kernel: 0, interface: 0, writer: 0 })
        t.equal(report.coverage.complete, true)

        const frozen = nsOf(report.frozenAt)
        t.ok(frozen >= BigInt(before) * 1_000_000n, 'T is not before the call')
        t.ok(frozen <= BigInt(after + 1) * 1_000_000n, 'T is not after the call')
        t.ok((frames[499]?.time ?? 0n) <= frozen, 'the pre-buffer was before T')
        t.ok((frames[500]?.time ?? 0n) >= frozen, 'the attack was not')
        t.ok(frames.every(({ len, caplen }) => len === size && caplen === size))
      })
    }
  })
}
