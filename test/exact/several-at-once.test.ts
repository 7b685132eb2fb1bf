// Three incidents and a manual capture open at once: each file is right on its own, what waits for the disk stays within the
// queue's 32 MiB, and that memory is given back.

import { type Test, test } from 'tap'

import type { IncidentReport, PcapRing } from '../../src/index.js'
import { jumps, nsOf, readEvidence, sizes } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { frameOf, noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender
const miB = 1024 * 1024

interface State {
  ring: PcapRing
}

/** Resident, in bytes: before something was recorded, at most meanwhile, and after. */
interface Memory {
  before: number
  peak: number
  after: number
}

function judgeMemory(t: Test, { before, peak, after }: Memory): void {
  const told = [before, peak, after].map((bytes) => (bytes / miB).toFixed(1)).join(', ')
  t.ok(peak <= before + (32 + 8) * miB, `${told} MiB: the queue's 32 MiB, and what JavaScript took`)
  t.ok(after <= before + 4 * miB, `${told} MiB: given back`)
}

test('three incidents and a manual capture at once', { skip, timeout: 120_000 }, async (t) => {
  const { here, there } = makePair(t)
  const host = await Host.start(t, { netns: here.name, nodeArgs: ['--expose-gc'] })
  await host.call<State, void, object>(
    async ({ PcapRing, state }, options) => {
      state.ring = new PcapRing(options)
      await state.ring.start()
    },
    { device: here.device, directory: t.testdir({}), statsInterval: 50, cpuBudget: null },
  )
  const sending = send(t, there, { count: 1e9, pps: 20_000, size: 64, upto: 1_514 })

  const { reports, memory } = await host.call<State, { reports: IncidentReport[][]; memory: Memory[] }>(
    async ({ state, untilStats, require }) => {
      const { setTimeout: wait } = require('node:timers/promises') as typeof import('node:timers/promises')
      const { ring } = state
      const rss = (): number => process.memoryUsage.rss()
      let peak = 0
      ring.on('stats', () => {
        peak = Math.max(peak, rss())
      })
      const round = async (i: number): Promise<IncidentReport[]> => {
        const one = ring.freeze({ id: `${i}-one`, cap: { packets: 20_000 } })
        await wait(70)
        const two = ring.freeze({ id: `${i}-two` })
        const manual = ring.capture({ id: `${i}-manual`, cap: { packets: 7_000 } })
        await wait(40)
        const three = ring.freeze({ id: `${i}-three`, cap: { bytes: 2_000_000 } })
        const open = [one, two, manual, three]
        if (ring.incidents.length !== 4) throw new Error(`${ring.incidents.length} open`)
        const reports = [manual.finished]
        await untilStats(ring, () => [two, three].every(({ state }) => state === 'capped'))
        reports.push(two.resolve(), three.resolve(), one.resolve())
        await Promise.all(open.map(({ finished }) => finished))
        return Promise.all(reports)
      }
      await untilStats(ring, (stats) => stats.ring?.packets === 500)
      // What Node and libc keep once they had it is no matter of ours.
      await round(0)
      const reports: IncidentReport[][] = []
      const memory: Memory[] = []
      for (let i = 1; i <= 5; ++i) {
        gc?.()
        const before = rss()
        peak = 0
        reports.push(await round(i))
        gc?.()
        // The capture thread lets go of it at the end of its next batch.
        let after = rss()
        for (let looks = 0; looks < 20 && after > before + 2 * 1024 * 1024; ++looks) {
          await untilStats(ring, () => true)
          gc?.()
          after = rss()
        }
        memory.push({ before, peak, after })
      }
      await ring.close()
      return { reports, memory }
    },
  )
  await sending.stop()

  for (const [i, round] of reports.entries()) {
    await t.test(`round ${i + 1}`, async (t) => {
      const [manual, two, three, one] = round as [IncidentReport, IncidentReport, IncidentReport, IncidentReport]
      for (const report of round) {
        const { frames, wrong } = readEvidence(report)
        t.same(wrong, [], report.id)
        t.same(jumps(frames), [], report.id)
        t.same(report.loss, { kernel: 0, interface: 0, writer: 0 }, report.id)
        t.equal(report.error, null)
        const frozen = nsOf(report.frozenAt)
        const before = report.kind === 'incident' ? 500 : 0
        if (before > 0) t.ok((frames[before - 1]?.time ?? 0n) <= frozen)
        t.ok((frames[before]?.time ?? 0n) >= frozen)
      }
      t.same(sizes(manual), { capture: 7_000 })
      t.same(sizes(two), { 'pre-buffer': 500, attack: 9_500 })
      t.equal(three.capped, 'bytes')
      t.ok(three.bytes <= 2_000_000 && three.bytes > 2_000_000 - 1_514 - 16, `${three.bytes} bytes`)
      t.equal(sizes(one)['pre-buffer'], 500)
      t.equal(one.capped, null)
      t.equal(sizes(one).resolution, 100)
    })
  }
  for (const one of memory) judgeMemory(t, one)
})

// Whether the disk takes it all is the machine's matter; where it does not for certain: test/live/writer-queue.test.ts.
test('four of as much as the machine sends: what is missing is counted, and memory is bounded', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const host = await Host.start(t, { netns: here.name, nodeArgs: ['--expose-gc'] })
  await host.call<State, void, object>(
    async ({ PcapRing, state }, options) => {
      state.ring = new PcapRing(options)
      await state.ring.start()
    },
    { device: here.device, directory: t.testdir({}), statsInterval: 50, cpuBudget: null, cap: { packets: 30_000 } },
  )
  const sending = send(t, there, { count: 1e9, pps: 1e9, size: 1_514 })
  const { reports, memory } = await host.call<State, { reports: IncidentReport[]; memory: Memory }>(
    async ({ state, untilStats }) => {
      const { ring } = state
      await untilStats(ring, (stats) => stats.ring?.packets === 500)
      gc?.()
      const memory = { before: process.memoryUsage.rss(), peak: 0, after: 0 }
      ring.on('stats', () => {
        memory.peak = Math.max(memory.peak, process.memoryUsage.rss())
      })
      const open = [ring.freeze(), ring.freeze(), ring.freeze(), ring.capture({ cap: { packets: 30_000 } })]
      await untilStats(ring, () => open.every(({ packets }) => packets === 30_000))
      const reports = await Promise.all(open.map((incident) => incident.resolve()))
      await untilStats(ring, () => {
        gc?.()
        memory.after = process.memoryUsage.rss()
        return memory.after <= memory.before + 4 * 1024 * 1024
      })
      await ring.close()
      return { reports, memory }
    },
  )
  await sending.stop()
  for (const report of reports) {
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [])
    const numbers = frames.map(({ data }) => frameOf(data).number)
    const missing = (numbers.at(-1) as number) - (numbers[0] as number) + 1 - numbers.length
    t.equal(frames.length, 30_000)
    t.equal(report.loss.kernel + report.loss.interface + report.loss.writer, missing)
    t.comment(`missing ${missing}, ${JSON.stringify(report.loss)}`)
  }
  judgeMemory(t, memory)
})
