import { test } from 'tap'

import type { CapOptions, Incident, PcapRingOptions, ResolutionOptions } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { usOfTime } from '../support/recording.js'
import { range, recordingOf, replay, ringOf, scratch, sectionCounts, validIncident } from '../support/replay.js'

const pps = 4_000
const fast = recordingOf(udpPackets({ pps, count: 10_000 }))
const slow = recordingOf(udpPackets({ pps: 40, count: 200 }))

/** Frozen at the second boundary, 500 packets before it; resolved at the fourth. */
async function resolved(
  t: Parameters<typeof ringOf>[0],
  options: PcapRingOptions,
  freeze: Parameters<ReturnType<typeof ringOf>['freeze']>[0] = {},
): Promise<Incident> {
  const ring = ringOf(t, options)
  let incident: Incident | undefined
  let boundaries = 0
  ring.on('stats', () => {
    boundaries++
    if (boundaries === 2) incident = ring.freeze(freeze)
    if (boundaries === 4) void incident?.resolve()
  })
  await replay(ring)
  return incident as Incident
}

test('100 packets by default', async (t) => {
  const [report, sequences] = await validIncident(t, await resolved(t, { file: fast }))
  t.strictSame(sectionCounts(report), { 'pre-buffer': 500, attack: 2_000, resolution: 100 })
  t.strictSame(sequences, range(1_500, 2_600))
  t.equal(report.duration, 500)
  t.equal(report.statistics.packets, 2_000, 'figures are from freeze to resolve')
  t.equal(report.capped, null)
})

test('one second by default, its end not included', async (t) => {
  const [report] = await validIncident(t, await resolved(t, { file: slow }))
  t.strictSame(sectionCounts(report), { 'pre-buffer': 20, attack: 20, resolution: 40 })
  const section = report.sections[2]
  t.equal(section?.from, report.resolvedAt, 'a packet at the very boundary is behind it')
  t.ok(usOfTime(section?.to as string) < usOfTime(report.resolvedAt) + 1_000_000)
})

const none: ResolutionOptions[] = [{ packets: 0 }, { duration: 0 }, { packets: 0, duration: '0s' }]
for (const resolution of none) {
  test(`none: ${JSON.stringify(resolution)} ends at once`, async (t) => {
    const [report] = await validIncident(t, await resolved(t, { file: fast, resolution }))
    t.strictSame(sectionCounts(report), { 'pre-buffer': 500, attack: 2_000 })
    t.strictSame(
      sectionCounts((await validIncident(t, await resolved(t, { file: fast }, { resolution })))[0]),
      { 'pre-buffer': 500, attack: 2_000 },
      'given to freeze()',
    )
  })
}

test('options of freeze() go over those of the ring key by key', async (t) => {
  const ring: PcapRingOptions = { file: slow, resolution: { packets: 30, duration: '500ms' } }
  t.match(sectionCounts(await (await resolved(t, ring)).finished), { resolution: 20 })
  const longer = await resolved(t, ring, { resolution: { duration: '2s' } })
  t.match(sectionCounts(await longer.finished), { resolution: 30 })
  const fewer = await resolved(t, ring, { resolution: { packets: 3 } })
  t.match(sectionCounts(await fewer.finished), { resolution: 3 })
})

test('inside the cap', async (t) => {
  const byPackets = await (await resolved(t, { file: fast, cap: { packets: 2_530 } })).finished
  t.strictSame(sectionCounts(byPackets), { 'pre-buffer': 500, attack: 2_000, resolution: 30 })
  t.equal(byPackets.capped, 'packets')
  const byBytes = await (await resolved(t, { file: fast, cap: { bytes: 24 + 2_540 * 80 } })).finished
  t.strictSame(sectionCounts(byBytes), { 'pre-buffer': 500, attack: 2_000, resolution: 40 })
  t.equal(byBytes.capped, 'bytes')
  const byTime = await (await resolved(t, { file: fast, cap: { duration: '505ms' } })).finished
  t.strictSame(sectionCounts(byTime), { 'pre-buffer': 500, attack: 2_000, resolution: 20 })
  t.equal(byTime.capped, 'duration')
})

test('none of it after the cap', async (t) => {
  const caps: CapOptions[] = [{ packets: 1_000 }, { bytes: 24 + 1_000 * 80 }, { duration: '125ms' }]
  for (const cap of caps) {
    const report = await (await resolved(t, { file: fast, cap })).finished
    t.strictSame(sectionCounts(report), { 'pre-buffer': 500, attack: 500 })
    t.equal(report.duration, 500)
  }
})

test('reserve keeps that many packets of the cap free for it', async (t) => {
  const [report, sequences] = await validIncident(
    t,
    await resolved(t, { file: fast, cap: { packets: 1_000 }, resolution: { reserve: true } }),
  )
  t.strictSame(sectionCounts(report), { 'pre-buffer': 500, attack: 400, resolution: 100 })
  t.strictSame(sequences, [...range(1_500, 900), ...range(4_000, 100)])
  t.equal(report.capped, 'packets')

  const small = await resolved(t, { file: fast, cap: { packets: 300 }, resolution: { reserve: true } })
  t.strictSame(sectionCounts(await small.finished), { 'pre-buffer': 200, resolution: 100 })
  const tiny = await resolved(t, { file: fast, cap: { packets: 60 }, resolution: { reserve: true } })
  t.strictSame(sectionCounts(await tiny.finished), { resolution: 60 })
  // What passed before the file's first packet is not missing in it.
  t.match((await tiny.finished).coverage, { complete: true, gaps: [] })
})

test('at the end of the recording there is none, and what there is of it counts', async (t) => {
  const file = recordingOf(udpPackets({ pps, count: 4_030 }))
  const report = await (await resolved(t, { file })).finished
  t.strictSame(sectionCounts(report), { 'pre-buffer': 500, attack: 2_000, resolution: 30 })
})

test('await using ends without it, in the middle of it too', async (t) => {
  const ring = ringOf(t, { file: slow })
  const ended: Incident[] = []
  let boundaries = 0
  ring.on('stats', async () => {
    boundaries++
    if (boundaries === 2) {
      await using incident = ring.freeze()
      ended.push(incident)
    }
    if (boundaries === 3) {
      ended.push(ring.freeze({ resolution: { duration: '10s' } }))
      void ended[1]?.resolve()
    }
    if (boundaries === 5) await ended[1]?.[Symbol.asyncDispose]()
  })
  await replay(ring)
  const [first, second] = ended as [Incident, Incident]
  t.strictSame(sectionCounts(await first.finished), { 'pre-buffer': 20 })
  t.strictSame(sectionCounts(await second.finished), { 'pre-buffer': 30, resolution: 20 })
})

test('close() ends open incidents without it', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file: fast, directory })
  const incidents: Incident[] = []
  let boundaries = 0
  ring.on('stats', () => {
    boundaries++
    if (boundaries === 2) incidents.push(ring.freeze(), ring.capture(), ring.freeze({ cap: { packets: 600 } }))
    if (boundaries === 4) {
      void incidents[0]?.resolve()
      return ring.close() as unknown as undefined
    }
  })
  const closed = new Promise<void>((resolve) => ring.once('close', resolve))
  await ring.start()
  await closed
  const counts = []
  for (const incident of incidents) counts.push(sectionCounts((await validIncident(t, incident))[0]))
  t.strictSame(counts, [{ 'pre-buffer': 500, attack: 2_000 }, { capture: 2_000 }, { 'pre-buffer': 500, attack: 100 }])
})
