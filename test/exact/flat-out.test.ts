// As many frames as the machine can send: what is missing from a file is what its report says, to the packet.

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import type { Incident, IncidentReport, PcapRing } from '../../src/index.js'
import { nsOf, readEvidence, sizes } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { random, seed } from '../support/random.js'
import { frameOf, noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

interface State {
  ring: PcapRing
}

const runs = 20

for (const size of [64, 1_514]) {
  test(`${size} bytes`, { skip, timeout: 300_000 }, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const next = random(size)
    const { here, there } = makePair(t)
    const host = await Host.start(t, { netns: here.name })
    const directory = t.testdir({})

    for (let run = 0; run < runs; ++run) {
      const captures = join(directory, `${run}`)
      mkdirSync(captures)
      // Beside the files that end at the default cap, in 15 ms, some that see many times as much.
      const cap = run % 4 === 3 ? 100_000 : 10_000
      await host.call<State, void, object>(
        async ({ PcapRing, state }, options) => {
          state.ring = new PcapRing(options)
          await state.ring.start()
        },
        { device: here.device, directory: captures, precision: 'nano', cap: { packets: cap } },
      )
      const sending = send(t, there, { count: 1e9, pps: 1e9, size })
      const moment = 50 + next() * 500
      const report = await host.call<State, IncidentReport, number>(async ({ state, require, untilStats }, moment) => {
        const { setTimeout: wait } = require('node:timers/promises') as typeof import('node:timers/promises')
        const { ring } = state
        await untilStats(ring, (stats) => stats.ring?.packets === 500)
        await wait(moment)
        const incident = ring.freeze()
        await new Promise<void>((resolve) => {
          ring.once('cap', (_: Incident) => resolve())
        })
        return incident.resolve()
      }, moment)
      await sending.stop()
      await host.call<State, void>(({ state }) => state.ring.close())

      await t.test(`run ${run + 1}, cap ${cap}, frozen at ${moment.toFixed(3)} ms`, async (t) => {
        const { frames, wrong } = readEvidence(report)
        t.same(wrong, [])
        t.same(sizes(report), { 'pre-buffer': 500, attack: cap - 500 })
        const numbers = frames.map(({ data }) => frameOf(data).number)
        t.ok(
          numbers.every((number, i) => i === 0 || number > (numbers[i - 1] as number)),
          'in order, none twice',
        )
        const holes = numbers.flatMap((number, i) => {
          const lost = i === 0 ? 0 : number - (numbers[i - 1] as number) - 1
          return lost === 0 ? [] : [[`${frames[i - 1]?.time} to ${frames[i]?.time}`, lost]]
        })
        const missing = (numbers.at(-1) as number) - (numbers[0] as number) + 1 - numbers.length
        const { loss } = report
        t.comment(`missing ${missing}, ${JSON.stringify(loss)}`)
        t.equal(loss.kernel + loss.interface + loss.writer, missing, 'what is missing is what was counted')
        if (cap === 10_000) t.equal(loss.writer, 0)
        t.equal(report.coverage.complete, missing === 0)
        const { gaps } = report.coverage
        t.equal(
          gaps.reduce((sum, { packets }) => sum + (packets ?? Number.NaN), 0),
          missing,
        )
        t.ok(
          gaps.every(({ exact }) => exact),
          'counted where they fell',
        )
        // Neighbours are merged where there would be more.
        if (holes.length <= 100) {
          const told = new Map<string, number>()
          for (const { from, to, packets } of gaps) {
            const place = `${nsOf(from)} to ${nsOf(to)}`
            told.set(place, (told.get(place) ?? 0) + (packets as number))
          }
          t.same([...told], holes, 'each hole in the numbering is told where it is')
        }
        const frozen = nsOf(report.frozenAt)
        t.ok((frames[499]?.time ?? 0n) <= frozen, 'the last of the pre-buffer was before T')
        t.ok((frames[500]?.time ?? 0n) >= frozen, 'the first of the attack was not')
      })
      rmSync(captures, { recursive: true })
    }
  })
}
