// A replay in the time that passed when it was recorded. No times are measured here: what is asked is the order of things,
// and that nothing is lost or doubled at a boundary that falls anywhere.

import { once } from 'node:events'
import { test } from 'tap'

import type { Incident } from '../../src/index.js'
import { defaultStart, udpPackets } from '../support/generate.js'
import { pcapBytes, timeString, udpAt, usOf, usOfTime } from '../support/recording.js'
import { fileOf, range, recordingOf, replay, ringOf, sectionCounts, validIncident } from '../support/replay.js'

test('it does not run ahead of the recording, and all of it comes', async (t) => {
  const ring = ringOf(t, { file: recordingOf(udpPackets({ pps: 5_000, count: 5_000 })), pace: 'recorded' })
  const begun = performance.now()
  const { stats, events } = await replay(ring)
  t.ok(performance.now() - begun >= 950, 'a recording of a second takes a second')
  t.strictSame(events, ['start', 'stats', 'stats', 'stats', 'stats', 'end'])
  t.strictSame(
    stats.slice(0, 3).map(({ time, interval, packets }) => [time, interval, packets]),
    [1, 2, 3].map((n) => [timeString(defaultStart * 1_000 + n * 250_000), 250, 1_250]),
  )
  t.equal(ring.stats().total.packets, 5_000)
})

test('listeners are not waited for', async (t) => {
  const ring = ringOf(t, { file: recordingOf(udpPackets({ pps: 100, count: 60 })), pace: 'recorded' })
  ring.on('stats', () => new Promise(() => {}) as unknown as undefined)
  const { stats } = await replay(ring)
  t.equal(stats.length, 3)
})

test('a freeze takes effect at its moment, between two boundaries', async (t) => {
  const pps = 3_000
  const ring = ringOf(t, { file: recordingOf(udpPackets({ pps, count: 2_400 })), pace: 'recorded' })
  const incidents: Incident[] = []
  let ended = false
  ring.once('end', () => {
    ended = true
  })
  ring.once('stats', () => {
    const more = (): void => {
      if (ended) return
      incidents.push(ring.freeze())
      if (incidents.length < 8) setTimeout(more, 17)
    }
    more()
  })
  await replay(ring)
  t.ok(incidents.length > 0)
  let last = 0
  for (const incident of incidents) {
    incident.resolve()
    const [report, sequences] = await validIncident(t, incident)
    const { records } = fileOf(incident.file as string)
    t.strictSame(sequences, range(sequences[0] ?? 0, sequences.length), 'no hole, none twice')
    t.equal(sequences.at(-1), 2_399)
    const counts = sectionCounts(report)
    t.equal(counts['pre-buffer'], 500)
    const frozen = usOfTime(report.frozenAt)
    t.ok(frozen > last, 'time goes on between freezes')
    last = frozen
    const times = records.map(usOf)
    t.ok(
      times.slice(0, 500).every((us) => us <= frozen),
      'all before the boundary are older',
    )
    t.ok(
      times.slice(500).every((us) => us >= frozen),
      'all behind it are not',
    )
  }
})

test('resolve() takes effect at its moment: the resolution section ends after its time or its packets', async (t) => {
  const pps = 2_000
  const ring = ringOf(t, { file: recordingOf(udpPackets({ pps, count: 1_600 })), pace: 'recorded' })
  const seen = once(ring, 'stats').then(() => {
    const incident = ring.freeze({ resolution: { packets: 30 } })
    const timed = ring.freeze({ resolution: { packets: 1_000, duration: '50ms' } })
    return new Promise<[Incident, Incident]>((resolve) => {
      setTimeout(() => {
        incident.resolve()
        timed.resolve()
        resolve([incident, timed])
      }, 60)
    })
  })
  await replay(ring)
  const [incident, timed] = await seen
  const [report] = await validIncident(t, incident)
  t.equal(sectionCounts(report).resolution, 30)
  const [late] = await validIncident(t, timed)
  const resolution = late.sections.at(-1)
  t.equal(resolution?.name, 'resolution')
  const resolved = usOfTime(late.resolvedAt)
  t.ok(usOfTime(resolution?.from as string) >= resolved)
  t.ok(usOfTime(resolution?.to as string) < resolved + 50_000)
  t.ok(Math.abs((resolution?.packets ?? 0) - 100) <= 1, `${resolution?.packets} packets in 50 ms of ${pps} a second`)
})

test('a cap by time fires without packets', async (t) => {
  const ring = ringOf(t, { file: pcapBytes(udpAt(0, 10, 20, 900)), pace: 'recorded', statsInterval: 50 })
  let incident: Incident | undefined
  ring.once('stats', () => {
    incident = ring.capture({ cap: { duration: 100 } })
  })
  let open: readonly Incident[] = []
  ring.once('resolve', () => {
    open = ring.incidents
  })
  const { events } = await replay(ring)
  t.ok(events.indexOf('resolve') < events.lastIndexOf('stats'), 'long before the next packet')
  t.strictSame(open, [])
  const report = await incident?.finished
  t.match(report, { capped: 'duration', duration: 100, packets: 0 })
})

test('close() does not wait for the next packet', async (t) => {
  const ring = ringOf(t, { file: pcapBytes(udpAt(0, 10, 3_600_000)), pace: 'recorded' })
  const first = once(ring, 'stats')
  await ring.start()
  await first
  const incident = ring.freeze()
  await ring.close()
  t.match(await incident.finished, { packets: 2 })
})
