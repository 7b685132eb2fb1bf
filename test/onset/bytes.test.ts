// Acceptance 2: the packets say little, the bytes say all.

import { test } from 'tap'

import { frozenAt, inSection, usInto } from '../support/freezes.js'
import { arrivals, type Spacing } from '../support/generate.js'
import { judgeOnset, placed } from '../support/onset-evidence.js'
import { random, seed } from '../support/random.js'
import { recordingOfStreams } from '../support/streams.js'

const cap = { packets: 1_500 }
const asked = { cap, statsInterval: 50 }

for (const pps of [2_000, 5_000]) {
  for (const spacing of ['even', 'poisson', 'bursty'] as Spacing[]) {
    test(`${pps} pps become twice as many, their bytes fifteenfold: ${spacing}`, async (t) => {
      t.comment(`PCAP_RING_SEED=${seed}`)
      for (let stream = 1; stream <= (pps < 5_000 ? 5 : 3); stream++) {
        const next = random(stream * 7_919)
        const recording = recordingOfStreams(
          { times: arrivals({ pps, for: 6.3, spacing, next }), size: 100 },
          { times: arrivals({ pps, from: 3, for: 3.3, next }), size: 1_400 },
        )
        const { reports, onsets } = await frozenAt(t, recording, [3.2, 4, 6], { cap })
        t.equal(onsets.length, 1)
        t.ok((onsets[0]?.bps ?? 0) > 8 * (onsets[0]?.baselineBps ?? Infinity), 'by bytes')
        for (const report of reports) {
          t.strictSame(judgeOnset(report, recording.truth, asked), [], `seed ${stream}`)
          t.equal(report.coverage.onsetSource, 'watch')
          const { frames } = placed(report, recording.truth)
          const calm = inSection(frames, 'pre-buffer').filter(({ stream }) => stream === 'calm')
          t.ok(calm.length >= 450, `${calm.length} calm packets from before`)
          const { onsetAt } = report.coverage
          const off = onsetAt === null ? null : usInto(recording, onsetAt) / 1_000 - 3_000
          t.ok(off !== null && Math.abs(off) <= 20, `onsetAt is ${off} ms off`)
        }
      }
    })
  }
}

test('twice the packets of the same size are none', async (t) => {
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 2_000, for: 8 }), size: 1_400 },
    { times: arrivals({ pps: 2_000, from: 3, for: 5 }), size: 1_400 },
  )
  const { reports, onsets } = await frozenAt(t, recording, [3.2, 5, 7], { cap })
  t.strictSame(onsets, [])
  for (const report of reports) {
    t.strictSame(judgeOnset(report, recording.truth, asked), [])
    t.match(report, { sections: [{ name: 'pre-buffer', packets: 500 }], coverage: { onsetAt: null } })
  }
})

test('bytes below the minimum are none, and those above it are, where it was lowered', async (t) => {
  // 50 kbit/s become 2 Mbit/s.
  const recording = recordingOfStreams(
    { times: arrivals({ pps: 100, for: 6 }), size: 64 },
    { times: arrivals({ pps: 200, from: 3, for: 3 }), size: 1_400 },
  )
  const below = await frozenAt(t, recording, [5], { cap })
  t.strictSame(below.onsets, [])
  t.strictSame(judgeOnset(below.reports[0] as never, recording.truth, asked), [])
  const above = await frozenAt(t, recording, [5], { cap, onset: { minBps: 1_000_000 } })
  t.equal(above.onsets.length, 1)
  t.strictSame(judgeOnset(above.reports[0] as never, recording.truth, asked), [])
  t.equal(above.reports[0]?.coverage.onsetSource, 'watch')
})
