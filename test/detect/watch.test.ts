// A detector over a ring: an attack is an incident.

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { FloodDetector } from '../../src/detect/index.js'
import type { Attack, Incident, IncidentReport } from '../../src/index.js'
import { defaultStart, udpPackets } from '../support/generate.js'
import { runHost } from '../support/host.js'
import { recordingOf, replay, ringOf, scratch } from '../support/replay.js'

const calm = { pps: 100, count: 300 }
const flood = { pps: 20_000, count: 40_000, start: defaultStart + 3_000, firstSequence: 300 }
const after = { pps: 100, count: 1_500, start: defaultStart + 5_000, firstSequence: 40_300 }
const file = recordingOf(...[calm, flood, after].map((timing) => udpPackets(timing)))
const withoutEnd = recordingOf(udpPackets(calm), udpPackets(flood))

interface Seen {
  attacks: [Attack, Incident | null][]
  clears: Promise<[Attack, IncidentReport | null]>
}

function seenBy(detector: FloodDetector): Seen {
  const attacks: [Attack, Incident | null][] = []
  detector.on('attack', (...all) => void attacks.push(all))
  return { attacks, clears: new Promise((resolve) => detector.once('clear', (...all) => resolve(all))) }
}

test('it freezes at an attack, within a second of its first packet, and resolves when it clears', async (t) => {
  const ring = ringOf(t, { file })
  const detector = new FloodDetector()
  const { attacks, clears } = seenBy(detector)
  detector.watch(ring)
  await replay(ring)
  const [attack, report] = await clears
  t.equal(attacks.length, 1)
  const [[first, incident]] = attacks as [[Attack, Incident]]
  t.ok(Date.parse(first.at) - (defaultStart + 3_000) < 1_000, first.at)
  t.equal(first.onsetAt, '2024-01-01T00:00:03.000000Z', 'to the packet, as the ring kept its onset')
  t.match(first, { cause: 'baseline', vector: 'udp-flood' })
  t.equal(incident.id, report?.id)
  t.match(report, {
    attack: first,
    reason: /^udp-flood, \w+: \d+ packets/,
    coverage: { onsetSource: 'watch', onsetAt: first.onsetAt },
  })
  t.ok((report?.coverage.preOnsetPackets as number) > 250)
  const clearedAt = Date.parse(report?.resolvedAt as string) - (defaultStart + 5_000)
  t.ok(clearedAt >= 10_000 && clearedAt < 11_000, `${clearedAt} ms behind the flood`)
  t.ok(attack.pps >= first.pps)
})

test('a recording that ends amid an attack clears it', async (t) => {
  const ring = ringOf(t, { file: withoutEnd })
  const detector = new FloodDetector()
  const { clears } = seenBy(detector)
  detector.watch(ring)
  await replay(ring)
  t.match(await clears, [{ vector: 'udp-flood' }, { error: null }])
  t.strictSame(ring.incidents, [])
})

test('closed amid an attack, or while its end is recorded: whoever hears of the close has heard of the clear', async (t) => {
  for (const moment of ['attack', 'resolving'] as const) {
    const ring = ringOf(t, { file })
    const detector = new FloodDetector()
    const events: string[] = []
    ring.on('close', () => void events.push('close'))
    ring.on('resolve', () => void events.push('resolve'))
    detector.on('clear', () => void events.push('clear'))
    const { clears } = seenBy(detector)
    detector.watch(ring)
    if (moment === 'attack') detector.once('attack', () => void ring.close())
    else ring.on('stats', () => void (ring.incidents[0]?.state === 'resolving' && ring.close()))
    const closed = once(ring, 'close')
    await ring.start()
    await closed
    t.strictSame(events, ['resolve', 'clear', 'close'], moment)
    t.match(await clears, [{ vector: 'udp-flood' }, { error: null }])
    t.equal(ring.listenerCount('close'), 1, 'its own listener is gone')
  }
})

test('a clear listener that throws: an uncaught exception, and whoever listens to the close hears of it', async (t) => {
  for (const moment of ['close', 'end'] as const) {
    const directory = scratch(t)
    const recording = join(directory, 'x.pcap')
    writeFileSync(recording, withoutEnd)
    const { status, stdout, stderr } = await runHost(
      t,
      {},
      async ({ PcapRing, once, require }, { file, directory, moment }) => {
        const { FloodDetector } = require(`${process.env.PCAP_RING_ROOT}/lib/detect/index.js`)
        const uncaught: string[] = []
        process.on('uncaughtException', ({ message }, origin) => void uncaught.push(`${origin}: ${message}`))
        const ring = new PcapRing({ file, directory })
        let closes = 0
        ring.on('close', () => void closes++)
        const detector = new FloodDetector()
        detector.on('clear', () => {
          throw new Error('clear')
        })
        detector.watch(ring)
        const over = once(ring, moment)
        if (moment === 'close') detector.once('attack', () => void ring.close())
        await ring.start()
        await over
        if (moment === 'end') await ring.close()
        while (uncaught.length === 0) await new Promise((resolve) => setImmediate(resolve))
        process.stdout.write(JSON.stringify({ uncaught, closes }))
      },
      { file: recording, directory, moment },
    ).ended
    t.equal(status, 0, stderr)
    t.strictSame(JSON.parse(stdout), { uncaught: ['uncaughtException: clear'], closes: 1 }, moment)
  }
})

test('closed amid an attack without an incident: the clear comes all the same', async (t) => {
  const ring = ringOf(t, { file })
  ring.freeze = () => {
    throw new Error('not now')
  }
  ring.on('warning', () => {})
  const detector = new FloodDetector()
  const events: unknown[] = []
  ring.on('close', () => void events.push('close'))
  detector.on('clear', (_attack, report) => void events.push(report))
  detector.watch(ring)
  detector.once('attack', () => void ring.close())
  const closed = once(ring, 'close')
  await ring.start()
  await closed
  t.strictSame(events, [null, 'close'])
})

test('a freeze that fails is a warning, and it goes on', async (t) => {
  const ring = ringOf(t, { file })
  ring.freeze = () => {
    throw new Error('not now')
  }
  const detector = new FloodDetector()
  const { attacks, clears } = seenBy(detector)
  detector.watch(ring)
  const { warnings } = await replay(ring)
  t.match(await clears, [{ vector: 'udp-flood' }, null])
  t.match(attacks, [[{ cause: 'baseline' }, null]])
  t.match(warnings, [{ name: 'PcapRingError', message: /not now/ }])
})

test('an incident that fails later is the ring’s warning; the detector clears without a report', async (t) => {
  const ring = ringOf(t, { file, minFree: Number.MAX_SAFE_INTEGER })
  const detector = new FloodDetector()
  const { attacks, clears } = seenBy(detector)
  detector.watch(ring)
  const { warnings } = await replay(ring)
  const [, report] = await clears
  t.equal(attacks.length, 1)
  t.equal(report, null)
  t.match(warnings, [{ code: 'ERR_PCAP_NO_SPACE' }])
})

test('one ring at a time, until it is disposed of or the signal says so; its incident ends then', async (t) => {
  const detector = new FloodDetector()
  const ring = ringOf(t, { file: withoutEnd })
  const other = ringOf(t, { file })
  const watching = detector.watch(ring)
  t.throws(() => detector.watch(other), { code: 'ERR_INVALID_ARG_VALUE', message: /one ring/ })
  t.throws(() => new FloodDetector().watch({} as never), { code: 'ERR_INVALID_ARG_TYPE' })
  const { clears } = seenBy(detector)
  detector.once('attack', () => setImmediate(() => watching[Symbol.dispose]()))
  await replay(ring)
  t.match(await clears, [{ cause: 'baseline' }, { id: String }])
  const stop = new AbortController()
  const { attacks } = seenBy(detector)
  detector.watch(other, { signal: stop.signal })
  stop.abort()
  for (const event of ['stats', 'onset', 'end', 'close'] as const) t.equal(other.listenerCount(event), 0, event)
  await replay(other)
  t.strictSame(attacks, [])
  detector.watch(ringOf(t, { file }), { signal: AbortSignal.abort() })
  t.doesNotThrow(() => detector.watch(ringOf(t, { file })))
})
