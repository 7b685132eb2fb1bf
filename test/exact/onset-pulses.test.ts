// Micro-bursts are normal: 500 frames at line rate, again and again, are no onset and take nothing of the ring.
//
// PCAP_RING_FULL=1: five times each (tap's --timeout=0).

import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { sizes } from '../support/evidence.js'
import { Floods } from '../support/floods.js'
import { judgeLive } from '../support/live-evidence.js'
import { noNamespaces, noTool } from '../support/netns.js'
import { random, seed } from '../support/random.js'
import { noSender } from '../support/sender.js'
import { packetsByTools } from '../support/tools.js'

const skip = noNamespaces || noSender || noTool('tshark') || noTool('capinfos') || noTool('tcpdump')

const full = process.env.PCAP_RING_FULL === '1'
const pulsesEnd = 10_500

for (const { size, pulse } of [
  { size: 64, pulse: '500:100:500' },
  { size: 1_514, pulse: '500:100' },
] as const) {
  test(`pulses ${pulse}, ${size} bytes`, { skip, timeout: full ? 600_000 : 120_000 }, async (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const next = random(size)
    const floods = await Floods.begin(t)
    const directory = t.testdir({})
    for (let round = 0; round < (full ? 5 : 1); ++round) {
      const captures = join(directory, `${round}`)
      mkdirSync(captures)
      const random = Math.floor(next() * 2 ** 31)
      // One in a calm moment behind them, the others at any moment.
      const moments = [2_000 + next() * 4_000, 6_000 + next() * 4_000, pulsesEnd + 300 + next() * 100]
      const { reports, sent, total, onsets } = await floods.run(captures, {
        sources: [
          { begin: 0, end: pulsesEnd + 1_000, pps: 1_000, pattern: 'poisson', size, seed: random, cpu: 1 },
          { begin: 500, end: pulsesEnd, pulse, size, seed: random, cpu: 0 },
        ],
        freezes: moments.map((at) => ({ at, open: 20 })),
        options: { cap: { packets: 2_500 }, format: round % 2 === 0 ? 'pcap' : 'pcapng' },
      })
      await t.test(`round ${round + 1}`, async (t) => {
        t.same(onsets, [])
        t.ok(((sent[1]?.log.count ?? 0) / 500) % 1 === 0, `${(sent[1]?.log.count ?? 0) / 500} pulses`)
        for (const [i, report] of reports.entries()) {
          await t.test(`frozen at ${(moments[i] as number).toFixed(3)} ms`, async (t) => {
            const { wrong, missing } = judgeLive(report, { sent, total })
            t.same(wrong, [])
            t.equal(missing[0], 0, 'no hole')
            const { 'pre-buffer': before, attack: _, resolution: __, ...others } = sizes(report)
            t.equal(before, 500, 'the last 500 packets before the freeze')
            t.same(others, {}, 'and nothing else')
            t.match(report.coverage, { onsetAt: null, onsetSource: null, preOnsetPackets: 0, complete: true, gaps: [] })
            t.same(report.loss, { kernel: 0, interface: 0, writer: 0 })
            const { packets } = report
            t.same(packetsByTools(report.file as string), { capinfos: packets, tshark: packets, tcpdump: packets })
          })
        }
      })
      rmSync(captures, { recursive: true })
    }
  })
}
