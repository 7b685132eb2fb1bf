// A host that may not capture: figures of the system, one warning, and an incident that is a report.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PcapRing, PcapRingError } from '@flowtriq/pcap-ring'
import { sendNumbered } from './steps.mjs'

const ring = new PcapRing({ device: 'lo', directory: 'without-permission' })
const warnings = []
ring.on('warning', (warning) => warnings.push(warning))
await ring.start()
assert.equal(ring.mode, 'statistics')
assert.ok(warnings[0] instanceof PcapRingError)
assert.deepEqual(
  warnings.map(({ code }) => code),
  ['ERR_PCAP_PERMISSION'],
)
const incident = ring.freeze()
await sendNumbered(9_005, 0, 20)
while (ring.stats().total.packets < 20) await once(ring, 'stats', { signal: AbortSignal.timeout(10_000) })
const { file, mode, statistics } = await incident.resolve()
await ring.close()
assert.deepEqual([file, mode], [null, 'statistics'])
assert.ok(statistics.packets >= 20)
