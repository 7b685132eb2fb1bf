// node record.js && npx jest jest/
'use strict'

const { once } = require('node:events')
const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { PcapRing } = require('@flowtriq/pcap-ring')
const { stats } = require('@flowtriq/pcap-ring/testing')
const { Detection, guard } = require('../detection.js')

test('figures in, decision out', () => {
  const detection = new Detection()
  const judged = [100, 100, 100, 100, 5_000, 5_000, 999, 1_000, 1_000, 1_000].map((pps) =>
    detection.judge(stats({ inbound: { pps } })),
  )
  expect(judged).toEqual([...Array(9).fill(false), true])
})

describe('on a recorded attack', () => {
  const directory = mkdtempSync(join(tmpdir(), 'detection-'))
  const ring = new PcapRing({ file: 'attack.pcap', directory })
  // Also when a test fails: an open ring keeps the process alive.
  afterAll(async () => {
    await ring.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('frozen in its first second, with what was before it', async () => {
    guard(ring)
    await ring.start()
    await once(ring, 'end')
    expect(ring.incidents).toHaveLength(1)
    const report = await ring.incidents[0].resolve()
    expect(report.frozenAt).toBe('2026-01-05T00:00:02.750000Z')
    expect(report.sections.map(({ name }) => name)).toEqual(['pre-buffer', 'onset', 'attack'])
    expect(report.coverage.preOnsetPackets).toBeGreaterThanOrEqual(200)
  })
})
