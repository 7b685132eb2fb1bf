// A ring that is started in the middle of traffic: what it has of it is without a hole that it does not tell of.

import { test } from 'tap'

import type { IncidentReport, PcapRing } from '../../src/index.js'
import { jumps, readEvidence } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

interface State {
  rings: PcapRing[]
}

for (const direction of ['both', 'in', 'out'] as const) {
  test(`direction ${direction}`, { skip }, async (t) => {
    const { here, there } = makePair(t)
    const host = await Host.start(t, { netns: here.name })
    const sending = send(t, direction === 'out' ? here : there, { count: 1e9, pps: 200_000 })
    const reports = await host.call<State, IncidentReport[], object>(
      async ({ PcapRing }, options) => {
        const reports: IncidentReport[] = []
        for (let i = 0; i < 25; ++i) {
          const ring = new PcapRing(options)
          await ring.start()
          const incident = ring.freeze()
          await new Promise((resolve) => ring.once('cap', resolve))
          reports.push(await incident.resolve())
          await ring.close()
        }
        return reports
      },
      {
        device: here.device,
        direction,
        directory: t.testdir({}),
        latency: 10,
        cpuBudget: null,
        cap: { packets: 2_000 },
      },
    )
    await sending.stop()
    for (const report of reports) {
      const { frames, wrong } = readEvidence(report)
      t.same(wrong, [])
      t.same(jumps(frames), [])
      t.equal(report.coverage.complete, true)
    }
  })
}
