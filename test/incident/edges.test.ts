// Acceptance 4: the odd moments, each with a valid file.

import { test } from 'tap'

import type { Incident } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { pcapBytes, timeString, udpAt } from '../support/recording.js'
import {
  fileOf,
  range,
  recordingOf,
  replay,
  ringOf,
  scratch,
  sectionCounts,
  sequencesIn,
  validIncident,
} from '../support/replay.js'

const pps = 4_000
const recording = (count: number): Buffer => recordingOf(udpPackets({ pps, count }))
const file = recording(8_000)

/** Calls `act` in the listener of boundary n, counted from 1. */
function atBoundary(ring: ReturnType<typeof ringOf>, n: number, act: () => unknown): void {
  let boundaries = 0
  ring.on('stats', () => {
    if (++boundaries === n) return act() as undefined
  })
}

test('fewer packets than the ring holds', async (t) => {
  const ring = ringOf(t, { file: recordingOf(udpPackets({ pps: 400, count: 300 })) })
  let incident: Incident | undefined
  atBoundary(ring, 1, () => {
    incident = ring.freeze()
  })
  await replay(ring)
  void incident?.resolve()
  const [report, sequences] = await validIncident(t, incident as Incident)
  t.strictSame(sectionCounts(report), { 'pre-buffer': 100, attack: 200 })
  t.strictSame(sequences, range(0, 300))
})

test('no packet at all', async (t) => {
  const ring = ringOf(t, { file: pcapBytes([]) })
  await ring.start()
  const early = ring.freeze()
  const manual = ring.capture()
  await new Promise<void>((resolve) => ring.once('end', resolve))
  const late = ring.freeze()
  for (const incident of [early, late]) incident.resolve()
  for (const incident of [early, manual, late]) {
    const [report] = await validIncident(t, incident)
    t.match(report, { packets: 0, bytes: 24, sections: [], from: null, to: null, coverage: { complete: true } })
    t.strictSame(await incident.flushed, [])
  }
})

test('no packet that the filter lets pass', async (t) => {
  const ring = ringOf(t, { file, filter: 'icmp' })
  let incident: Incident | undefined
  atBoundary(ring, 2, () => {
    incident = ring.freeze()
  })
  await replay(ring)
  void incident?.resolve()
  const [report] = await validIncident(t, incident as Incident)
  t.match(report, { packets: 0, statistics: { packets: 0, peakPps: { value: 0 } } })
})

for (const start of [0, 1_000_000]) {
  test(`the highest rate of packets from ${start} ms after the epoch on`, async (t) => {
    // A quarter of a second of 4,000 a second, then ten a second.
    const dense = Array.from({ length: 1_000 }, (_, i) => start + i * 0.25)
    const sparse = Array.from({ length: 20 }, (_, i) => start + 300 + i * 100)
    const ring = ringOf(t, { file: pcapBytes(udpAt(...dense, ...sparse)) })
    await ring.start()
    const incident = ring.freeze()
    await new Promise<void>((resolve) => ring.once('end', resolve))
    incident.resolve()
    const [report] = await validIncident(t, incident)
    t.strictSame(report.statistics.peakPps, { value: 4_000, at: timeString(start * 1_000) })
    t.match(report.statistics.timeline[0], { at: timeString(start * 1_000), packets: 1_000 })
  })
}

test('a freeze before the first packet', async (t) => {
  const ring = ringOf(t, { file })
  await ring.start()
  const incident = ring.freeze()
  await new Promise<void>((resolve) => ring.once('end', resolve))
  incident.resolve()
  const [report, sequences] = await validIncident(t, incident)
  t.strictSame(sectionCounts(report), { attack: 8_000 })
  t.strictSame(sequences, range(0, 8_000))
})

test('freeze and resolve before the first packet; freeze and close', async (t) => {
  const ring = ringOf(t, { file })
  await ring.start()
  const resolved = ring.freeze({ resolution: { packets: 0 } })
  resolved.resolve()
  const [report] = await validIncident(t, resolved)
  t.match(report, { packets: 0, duration: 0 })

  const other = ringOf(t, { file })
  await other.start()
  const incident = other.freeze()
  await other.close()
  await validIncident(t, incident)
})

test('two freezes in one tick', async (t) => {
  const ring = ringOf(t, { file })
  let incidents: Incident[] = []
  atBoundary(ring, 3, () => {
    incidents = [ring.freeze({ id: 'a' }), ring.freeze({ id: 'b' })]
  })
  await replay(ring)
  t.strictSame(ring.incidents, incidents)
  for (const incident of incidents) {
    incident.resolve()
    const [report, sequences] = await validIncident(t, incident)
    t.strictSame(sectionCounts(report), { 'pre-buffer': 500, attack: 5_000 })
    t.strictSame(sequences, range(2_500, 5_500))
  }
  const [a, b] = incidents.map(({ file }) => fileOf(file as string))
  t.strictSame(a, b)
  t.strictSame(ring.incidents, [])
})

test('a freeze while another flushes, and one while it goes on', async (t) => {
  const ring = ringOf(t, { file })
  const incidents: Incident[] = []
  const order: string[] = []
  ring.on('stats', () => {
    if (incidents.length === 5) return
    const incident = ring.freeze()
    incidents.push(incident)
    order.push('freeze')
    void incident.flushed.then(() => order.push('flushed'))
  })
  await replay(ring)
  for (const [i, incident] of incidents.entries()) {
    incident.resolve()
    const [report, sequences] = await validIncident(t, incident)
    const at = 1_000 * (i + 1)
    t.strictSame(sectionCounts(report), { 'pre-buffer': 500, attack: 8_000 - at })
    t.strictSame(sequences, range(at - 500, 8_500 - at))
  }
})

test('resolve() twice', async (t) => {
  const ring = ringOf(t, { file })
  let incident: Incident | undefined
  atBoundary(ring, 3, () => {
    incident = ring.freeze()
    t.equal(incident.resolve(), incident.finished)
    t.equal(incident.state, 'resolving')
    t.equal(incident.resolve(), incident.finished)
  })
  atBoundary(ring, 4, () => void incident?.resolve())
  const { events } = await replay(ring)
  const [report] = await validIncident(t, incident as Incident)
  t.strictSame(sectionCounts(report), { 'pre-buffer': 500, resolution: 100 })
  t.equal(incident?.resolve(), incident?.finished)
  t.equal(incident?.state, 'resolved')
  t.equal(events.filter((event) => event === 'resolve').length, 1)
})

test('resolve() after the cap', async (t) => {
  const ring = ringOf(t, { file })
  let incident: Incident | undefined
  atBoundary(ring, 1, () => {
    incident = ring.freeze({ cap: { packets: 700 } })
  })
  atBoundary(ring, 4, () => {
    t.equal(incident?.state, 'capped')
    t.equal(incident?.packets, 700)
    void incident?.resolve()
  })
  const { events } = await replay(ring)
  const [report, sequences] = await validIncident(t, incident as Incident)
  t.strictSame(sequences, range(500, 700))
  t.match(report, { capped: 'packets', duration: 750, statistics: { packets: 3_000 } })
  t.equal(events.filter((event) => event === 'cap').length, 1)
})

test('resolve() after the cap and before the flush', async (t) => {
  const ring = ringOf(t, { file })
  let incident: Incident | undefined
  atBoundary(ring, 1, () => {
    // The ring alone fills it.
    incident = ring.freeze({ cap: { packets: 500 } })
    void incident.resolve()
  })
  await replay(ring)
  const [report, sequences] = await validIncident(t, incident as Incident)
  t.strictSame(sequences, range(500, 500))
  t.match(report, { capped: 'packets', duration: 0 })
  t.equal((await incident?.flushed)?.[0]?.packets, 500)
})

test('dump() during an incident', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  let incident: Incident | undefined
  atBoundary(ring, 2, () => {
    incident = ring.freeze()
    return ring.dump(`${directory}/at-the-freeze.pcap`)
  })
  atBoundary(ring, 5, () => ring.dump(`${directory}/later.pcap`))
  await replay(ring)
  t.strictSame(sequencesIn(`${directory}/at-the-freeze.pcap`), range(1_500, 500))
  t.strictSame(sequencesIn(`${directory}/later.pcap`), range(4_500, 500))
  void incident?.resolve()
  const [, sequences] = await validIncident(t, incident as Incident)
  t.strictSame(sequences, range(1_500, 6_500))
})

test('many at once, more than the queue to the writer takes in one go', async (t) => {
  const ring = ringOf(t, { file: recording(30_000), cap: { packets: 100_000 } })
  let incidents: Incident[] = []
  atBoundary(ring, 2, () => {
    incidents = Array.from({ length: 60 }, () => ring.freeze())
  })
  await replay(ring)
  for (const incident of incidents) incident.resolve()
  for (const incident of incidents) {
    t.match(await incident.finished, { packets: 28_500, loss: { writer: 0 } })
    t.strictSame(sequencesIn(incident.file as string), range(1_500, 28_500))
  }
})
