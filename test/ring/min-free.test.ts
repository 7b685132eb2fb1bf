// What stays free on the file system: with less, no incident begins or goes on, and the ring does.

import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import type { Incident } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { range, recordingOf, replay, ringOf, scratch, sequencesIn, validIncident } from '../support/replay.js'
import { makeTmpfs, noTmpfs } from '../support/tmpfs.js'

const miB = 1024 * 1024
const code = 'ERR_PCAP_NO_SPACE'
// 250 in each interval, of a KiB: an interval is more than the writer's buffer holds.
const file = recordingOf(udpPackets({ pps: 1_000, count: 5_000, size: 1_024 }))

test('with less no incident begins, and the ring goes on', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory, minFree: Number.MAX_SAFE_INTEGER })
  const { warnings } = await replay(ring)
  const incident = ring.freeze()
  await t.rejects(incident.flushed, { code, message: /free.*minFree/, errno: -28 })
  await t.rejects(incident.finished, { code })
  await t.rejects(ring.capture().finished, { code })
  t.match(warnings, [{ code }, { code }])
  t.strictSame(readdirSync(directory), [])
  t.match(await ring.dump(join(directory, 'dump.pcap')), { packets: 500 }, 'a dump is none')
})

test('an incident ends when less is free, and the next is fine once there is more', { skip: noTmpfs }, async (t) => {
  const { directory, fill, empty } = makeTmpfs(t, 32 * miB)
  const ring = ringOf(t, { file, directory, minFree: 4 * miB })
  const incidents: Incident[] = []
  let interval = 0
  const warned = once(ring, 'warning')
  // The replay waits for what is returned: until the writer has come so far.
  ring.on('stats', async () => {
    interval += 1
    if (interval === 2) incidents.push(ring.freeze({ id: 'a' }))
    if (interval === 4) await incidents[0]?.flushed
    if (interval === 6) fill(3.9 * miB)
    if (interval === 12) await warned.then(empty)
    if (interval === 14) incidents.push(ring.freeze({ id: 'b' }))
  })
  const { warnings } = await replay(ring)
  const [a, b] = incidents as [Incident, Incident]
  const { packets, error, sections } = await a.resolve()
  t.equal(error, code)
  t.equal(a.state, 'failed')
  t.ok(packets >= 500 && packets < 5_000, `${packets} were written before`)
  t.equal(sections[0]?.packets, 500)
  t.strictSame(sequencesIn(a.file as string), range(0, packets))
  await b.resolve()
  const [, sequences] = await validIncident(t, b)
  t.strictSame(sequences, range(3_000, 2_000))
  t.match(warnings, [{ code }])
})

test('by default 5 % of a small file system', { skip: noTmpfs }, async (t) => {
  const { directory, fill, empty } = makeTmpfs(t, 40 * miB)
  const ring = ringOf(t, { file, directory })
  await replay(ring)
  fill(1.9 * miB)
  await t.rejects(ring.freeze().finished, { code })
  empty()
  fill(2.2 * miB)
  t.match(await ring.freeze({ cap: { packets: 100 } }).resolve(), { error: null, packets: 100 })
})

test('0: until it is full', { skip: noTmpfs }, async (t) => {
  const { directory, fill, empty } = makeTmpfs(t, 32 * miB)
  const ring = ringOf(t, { file, directory, minFree: 0 })
  let incident: Incident | undefined
  let interval = 0
  ring.on('stats', async () => {
    interval += 1
    if (interval === 2) incident = ring.freeze({ id: 'a' })
    if (interval === 4) await incident?.flushed
    if (interval === 6) fill(0)
  })
  const { warnings } = await replay(ring)
  const report = await incident?.resolve()
  t.match(warnings[0], { code, errno: -28, syscall: 'write' })
  t.equal(report?.error, code)
  t.strictSame(sequencesIn(incident?.file as string), range(0, report?.packets as number))
  await ring.close()
  empty()
  // What is known of it had no room for a report: the next start makes one.
  const next = ringOf(t, { file, directory, minFree: 0 })
  t.strictSame((await replay(next)).warnings, [])
  t.strictSame(readdirSync(directory).sort(), ['incident_a.json', 'incident_a.pcap'])
  t.match(await next.freeze().resolve(), { error: null })
})
