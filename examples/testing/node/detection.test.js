// node record.js && node --test node/
'use strict'

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { test } = require('node:test')
const { PcapRing } = require('@flowtriq/pcap-ring')
const { stats } = require('@flowtriq/pcap-ring/testing')
const { Detection, guard } = require('../detection.js')

test('figures in, decision out', () => {
  const detection = new Detection()
  const judged = [100, 100, 100, 100, 5_000, 5_000, 999, 1_000, 1_000, 1_000].map((pps) =>
    detection.judge(stats({ inbound: { pps } })),
  )
  assert.deepEqual(judged, [...Array(9).fill(false), true])
})

test('on a recorded attack: frozen in its first second, with what was before it', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'detection-'))
  const ring = new PcapRing({ file: 'attack.pcap', directory })
  // Also when the test fails: an open ring keeps the process alive.
  t.after(async () => {
    await ring.close()
    rmSync(directory, { recursive: true, force: true })
  })
  guard(ring)
  await ring.start()
  await once(ring, 'end')
  assert.equal(ring.incidents.length, 1)
  const report = await ring.incidents[0].resolve()
  assert.equal(report.frozenAt, '2026-01-05T00:00:02.750000Z')
  assert.deepEqual(
    report.sections.map(({ name }) => name),
    ['pre-buffer', 'onset', 'attack'],
  )
  assert(report.coverage.preOnsetPackets >= 200)
})
