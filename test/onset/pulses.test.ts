// Acceptance 4: micro-bursts are normal, and cost nothing of what the ring holds.

import { test } from 'tap'

import { frozenAt } from '../support/freezes.js'
import { arrivals, pulses } from '../support/generate.js'
import { judgeOnset, placed } from '../support/onset-evidence.js'
import { random, seed } from '../support/random.js'
import { recordingOfStreams } from '../support/streams.js'

const cap = { packets: 1_200 }

for (const calm of [50, 1_000, 20_000]) {
  for (const every of [100, 200, 333, 500]) {
    test(`500 packets at once every ${every} ms on a calm of ${calm} pps`, async (t) => {
      t.comment(`PCAP_RING_SEED=${seed}`)
      const next = random(calm + every)
      // Boundaries fall on multiples of 50 ms: pulses of 100 ms leave them alone from here.
      const from = 3.03
      const recording = recordingOfStreams(
        { times: arrivals({ pps: calm, for: 13.5, spacing: 'poisson', next }) },
        { times: pulses({ count: 500, pps: 1e6, every, from, for: 10 }) },
      )
      const moments = [3.05, 3.6, 5.1, 8, 12, 13.1]
      const { reports, onsets } = await frozenAt(t, recording, moments, { cap })
      t.strictSame(onsets, [])
      for (const [i, report] of reports.entries()) {
        const wrong = judgeOnset(report, recording.truth, { cap, statsInterval: 50 })
        t.strictSame(wrong, [], `frozen at ${moments[i]} s`)
        const { frames } = placed(report, recording.truth)
        const before = frames.filter(({ section }) => section === 'pre-buffer')
        t.equal(before.length, 500)
        t.equal(report.sections[0]?.name, 'pre-buffer', 'nothing else before')
        t.equal(report.coverage.onsetAt, null)
        t.equal(report.coverage.complete, true)
      }
    })
  }
}

test('a pulse of every length up to where an onset begins', async (t) => {
  // 20 kpps for so many ms: what is shorter than 125 ms is never an onset.
  for (const ms of [5, 25, 50, 75, 100, 120]) {
    const recording = recordingOfStreams(
      { times: arrivals({ pps: 500, for: 6 }) },
      { times: arrivals({ pps: 20_000, from: 3.013, for: ms / 1_000 }) },
    )
    const { reports, onsets } = await frozenAt(t, recording, [3.5, 5], { cap })
    t.strictSame(onsets, [], `${ms} ms`)
    for (const report of reports) {
      t.strictSame(judgeOnset(report, recording.truth, { cap, statsInterval: 50 }), [])
      t.match(report, { sections: [{ name: 'pre-buffer', packets: 500 }], coverage: { onsetAt: null } })
    }
  }
  for (const ms of [250, 500]) {
    const recording = recordingOfStreams(
      { times: arrivals({ pps: 500, for: 6 }) },
      { times: arrivals({ pps: 20_000, from: 3.013, for: ms / 1_000 }) },
    )
    const { reports, onsets } = await frozenAt(t, recording, [5], { cap })
    t.equal(onsets.length, 1, `${ms} ms`)
    t.strictSame(judgeOnset(reports[0] as never, recording.truth, { cap, statsInterval: 50 }), [])
  }
})
