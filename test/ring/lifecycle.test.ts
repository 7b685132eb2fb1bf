import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'tap'

import type { Incident } from '../../src/index.js'
import { PcapRing } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { fileOf, range, recordingOf, replay, ringOf, scratch, validIncident, watch } from '../support/replay.js'

const file = recordingOf(udpPackets({ pps: 4_000, count: 6_000 }))

test('modes, device, incidents from birth to death', async (t) => {
  const ring = ringOf(t, { file })
  t.equal(ring.mode, 'idle')
  t.equal(ring.device, null)
  t.strictSame(ring.incidents, [])
  const starting = ring.start()
  t.equal(ring.mode, 'idle')
  await starting
  t.equal(ring.mode, 'capture')
  t.equal(ring.device, null)
  await once(ring, 'end')
  const incident = ring.freeze()
  t.strictSame(ring.incidents, [incident])
  t.not(ring.incidents, ring.incidents, 'a list of its own each time')
  await ring.close()
  t.equal(ring.mode, 'closed')
  t.strictSame(ring.incidents, [])
  t.equal(new PcapRing({ device: 'lo' }).device, 'lo')
})

test('calls of start() share one start', async (t) => {
  const ring = ringOf(t, { file })
  const seen = watch(ring)
  const end = once(ring, 'end')
  const first = ring.start()
  t.equal(ring.start(), first, 'and one promise')
  await Promise.all([first, ring.start(), ring.start({})])
  await ring.start()
  await end
  t.equal(seen.events.filter((event) => event === 'start').length, 1)
  t.equal(ring.stats().total.packets, 6_000)
})

test('calls of a start() that fails share the failure; then it may be tried again', async (t) => {
  const ring = ringOf(t, { file: '/nonexistent/x.pcap' })
  const seen = watch(ring)
  const outcomes = await Promise.allSettled([ring.start(), ring.start(), ring.start()])
  t.match(
    outcomes,
    [1, 2, 3].map(() => ({ status: 'rejected', reason: { code: 'ERR_PCAP_BAD_FILE' } })),
  )
  await t.rejects(ring.start(), { code: 'ERR_PCAP_BAD_FILE' })
  t.equal(ring.mode, 'idle')
  await ring.close()
  t.strictSame(seen.events, ['close'])
})

test('a signal: aborted before, during, after the start', async (t) => {
  const reason = new Error('no longer wanted')
  const ring = ringOf(t, { file })
  await t.rejects(ring.start({ signal: AbortSignal.abort(reason) }), reason)
  t.equal(ring.mode, 'idle')

  const controller = new AbortController()
  const starting = ring.start({ signal: controller.signal })
  controller.abort(reason)
  await t.rejects(starting, reason)
  t.equal(ring.mode, 'idle')

  const later = new AbortController()
  const end = once(ring, 'end')
  await ring.start({ signal: later.signal })
  later.abort(reason)
  await end
  t.equal(ring.mode, 'capture', 'started is started')
})

test('events come in a later turn than the call that caused them', async (t) => {
  const ring = ringOf(t, { file })
  let calling = false
  let early = 0
  for (const name of ['start', 'stats', 'freeze', 'flush', 'cap', 'resolve', 'end', 'close', 'warning'] as const) {
    ring.on(name, () => {
      if (calling) early++
    })
  }
  const during = <T>(act: () => T): T => {
    calling = true
    // The turn of the call, its microtasks included.
    const over = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await Promise.resolve()
      calling = false
    }
    void over()
    return act()
  }
  const end = once(ring, 'end')
  await during(() => ring.start())
  await end
  await turn()
  const incident = during(() => ring.freeze())
  await incident.flushed
  await turn()
  await during(() => incident.resolve())
  await turn()
  const capped = during(() => ring.freeze({ cap: { packets: 10 } }))
  await capped.flushed
  await turn()
  await during(() => ring.close())
  t.equal(early, 0)
})

test('close() of an idle ring: the event comes later, and it is final', async (t) => {
  const ring = new PcapRing({ file, directory: scratch(t) })
  let closed = 0
  ring.on('close', () => void closed++)
  const first = ring.close()
  t.equal(ring.close(), first)
  t.equal(closed, 0)
  await first
  t.equal(closed, 1)
  t.equal(ring.mode, 'closed')
  await ring.close()
  await ring[Symbol.asyncDispose]()
  t.equal(closed, 1)
})

test('close() at any moment', async (t) => {
  // Before, during and after the start, and a number of turns into the replay.
  for (let turns = -1; turns < 40; turns++) {
    const ring = new PcapRing({ file, directory: scratch(t) })
    const seen = watch(ring)
    const starting = ring.start()
    const outcome = starting.then(
      () => 'started',
      ({ code }) => code,
    )
    let incident: Incident | null = null
    if (turns >= 0) {
      for (let i = 0; i < turns; i++) await turn()
      if (ring.mode === 'capture') incident = ring.freeze()
    }
    const closing = ring.close()
    t.equal(ring.close(), closing)
    await closing
    t.equal(ring.mode, 'closed')
    t.match(await outcome, incident === null ? /^(started|ERR_PCAP_CLOSED)$/ : 'started')
    if (incident !== null) {
      const report = await incident.finished
      t.equal(report.error, null)
      t.equal(fileOf(incident.file as string).records.length, report.packets)
    }
    await turn()
    t.equal(seen.events.at(-1), 'close')
    t.equal(seen.events.filter((event) => event === 'close').length, 1)
  }
})

test('close() rejects what cannot be any more and ends what is open', async (t) => {
  const ring = new PcapRing({ file, directory: scratch(t) })
  await replay(ring)
  const incidents = [ring.freeze(), ring.freeze({ cap: { packets: 3 } })]
  const dump = ring.dump(`${scratch(t)}/x.pcap`)
  await ring.close()
  t.match(await dump, { packets: 500 }, 'asked before, done before')
  for (const incident of incidents) await validIncident(t, incident)
  t.throws(() => ring.freeze(), { code: 'ERR_PCAP_CLOSED' })
})

test('await using', async (t) => {
  let outside: PcapRing
  let incident: Incident
  {
    await using ring = new PcapRing({ file, directory: scratch(t) })
    outside = ring
    await replay(ring)
    incident = ring.freeze()
  }
  t.equal(outside.mode, 'closed')
  t.strictSame((await validIncident(t, incident))[1], range(5_500, 500))
})

test('ref() and unref() at any moment give the ring', async (t) => {
  const ring = new PcapRing({ file, directory: scratch(t) })
  t.equal(ring.unref(), ring)
  t.equal(ring.ref(), ring)
  await ring.start()
  t.equal(ring.unref().ref(), ring)
  await once(ring, 'end')
  await ring.close()
  t.equal(ring.unref().ref(), ring)
})

test('many rings at once, on the same recording', async (t) => {
  const rings = Array.from({ length: 12 }, () => ringOf(t, { file }))
  await Promise.all(rings.map((ring) => replay(ring)))
  for (const ring of rings) t.match(await ring.freeze().resolve(), { packets: 500 })
})

test('nothing is left of a hundred rings', async (t) => {
  const { readdirSync } = await import('node:fs')
  const count = (): number => readdirSync('/proc/self/task').length + readdirSync('/proc/self/fd').length
  const directory = scratch(t)
  const one = async (): Promise<void> => {
    const ring = new PcapRing({ file, directory })
    await replay(ring)
    await ring.freeze().resolve()
    await ring.close()
  }
  await one()
  const before = count()
  for (let i = 0; i < 100; i++) await one()
  t.ok(count() <= before + 2, `${before} threads and descriptors before, ${count()} after`)
})
