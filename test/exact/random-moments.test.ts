// Numbered frames through a veth pair at four rates, from 64 to 1514 bytes: what is frozen at a random moment is exactly
// what passed. Everything but the rate is at its default, and nothing is sampled.
//
// PCAP_RING_FULL=1: a hundred times at each rate, else in one round of them.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import type { Incident, IncidentReport, PcapRing } from '../../src/index.js'
import { jumps, nsOf, readEvidence, sizes } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { random, seed } from '../support/random.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

interface State {
  ring: PcapRing
}

/** In ms: when it is frozen, and how long after that it is resolved; null: once it is capped. */
interface Plan {
  freeze: number
  resolve: number | null
}

interface Taken {
  report: IncidentReport
  /** Date.now() around the calls. */
  freeze: [number, number]
  resolve: [number, number]
}

/** `open`: as long an incident stays open that is not to be capped, at most. A round's freezes all fall within `within`. */
const rates = [
  { pps: 1_000, rounds: 1, within: 3_000, open: 3_000 },
  { pps: 5_000, rounds: 2, within: 4_000, open: 1_500 },
  { pps: 20_000, rounds: 4, within: 3_000, open: 400 },
  { pps: 100_000, rounds: 4, within: 3_000, open: 50 },
]
const freezes = 100

for (const { pps, rounds: all, within, open } of rates) {
  const rounds = process.env.PCAP_RING_FULL === '1' ? all : 1
  test(`${pps} packets a second`, { skip, timeout: 300_000 }, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const next = random(pps)
    const { here, there } = makePair(t)
    const host = await Host.start(t, { netns: here.name })
    const directory = t.testdir({})

    for (let round = 0; round < rounds; ++round) {
      const captures = join(directory, `${round}`)
      mkdirSync(captures)
      const precision = round % 2 === 0 ? 'micro' : 'nano'
      await host.call<State, void, object>(
        async ({ PcapRing, state }, options) => {
          state.ring = new PcapRing(options)
          await state.ring.start()
        },
        { device: here.device, directory: captures, precision, cpuBudget: null },
      )
      const sending = send(t, there, { count: 1e9, pps, size: 64, upto: 1_514 })
      await host.call<State, void>(async ({ state, untilStats }) => {
        await untilStats(state.ring, (stats) => stats.ring?.packets === 500)
      })
      const plans = Array.from({ length: freezes / all }, (): Plan => {
        const [freeze, resolve, capped] = [next() * within, next() * open, next() < 0.25]
        return { freeze, resolve: capped ? null : resolve }
      })
      // These waits are what the test is about, random moments; they synchronise nothing.
      const taken = await host.call<State, Taken[], Plan[]>(async ({ state, require }, plans) => {
        const { setTimeout: wait } = require('node:timers/promises') as typeof import('node:timers/promises')
        state.ring.setMaxListeners(200)
        const capped = (incident: Incident): Promise<void> =>
          new Promise((resolve) => {
            state.ring.on('cap', (which) => {
              if (which === incident) resolve()
            })
          })
        const timed = <T>(call: () => T): [T, [number, number]] => {
          const before = Date.now()
          const value = call()
          return [value, [before, Date.now()]]
        }
        return Promise.all(
          plans.map(async (plan) => {
            await wait(plan.freeze)
            const [incident, freeze] = timed(() => state.ring.freeze())
            if (plan.resolve === null) await capped(incident)
            else await wait(plan.resolve)
            const [finished, resolve] = timed(() => incident.resolve())
            return { freeze, resolve, report: await finished }
          }),
        )
      }, plans)
      await sending.stop()
      await host.call<State, void>(({ state }) => state.ring.close())

      for (const [i, { report, freeze, resolve }] of taken.entries()) {
        const plan = plans[i] as Plan
        const how = plan.resolve === null ? 'capped' : `resolved ${plan.resolve.toFixed(3)} ms later`
        await t.test(`round ${round + 1}: frozen at ${plan.freeze.toFixed(3)} ms, ${how}`, async (t) => {
          const { frames, wrong } = readEvidence(report)
          t.same(wrong, [])
          t.same(jumps(frames), [], 'no hole, no duplicate')
          const { 'pre-buffer': before, attack = 0, resolution = 0, ...others } = sizes(report)
          t.equal(before, 500)
          t.same(others, {})
          if (plan.resolve === null) {
            t.equal(report.capped, 'packets')
            t.equal(attack, 9_500)
            t.equal(resolution, 0)
          } else {
            t.equal(report.capped, null)
            t.equal(resolution, 100)
          }
          t.equal(report.error, null)
          t.same(report.loss, { kernel: 0, interface: 0, writer: 0 })
          t.match(report.coverage, { complete: true, gaps: [] })

          for (const [what, at, [earliest, latest], split] of [
            ['T', report.frozenAt, freeze, before as number],
            ['R', report.resolvedAt, resolve, 500 + attack],
          ] as const) {
            const moment = nsOf(at)
            t.ok(moment >= BigInt(earliest) * 1_000_000n, `${what} is not before the call`)
            t.ok(moment <= BigInt(latest + 1) * 1_000_000n, `${what} is not after the call`)
            t.ok((frames[split - 1]?.time ?? 0n) <= moment, `the last before ${what} was before it`)
            if (split < frames.length) t.ok((frames[split]?.time ?? 0n) >= moment, `the first after ${what} was not`)
          }
        })
      }
      rmSync(captures, { recursive: true })
    }
  })
}
