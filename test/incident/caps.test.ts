import { existsSync } from 'node:fs'
import { test } from 'tap'

import type { CapOptions, Incident, PcapRing, PcapRingOptions } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { usOf, usOfTime } from '../support/recording.js'
import { fileOf, range, recordingOf, replay, ringOf, sectionCounts, validIncident } from '../support/replay.js'

const pps = 4_000
// Every record has 16 + 64 bytes.
const recordSize = 80
const file = recordingOf(udpPackets({ pps, count: 14_000 }))

/** Something done in the listener of one boundary of the recording, 1,000 packets apart. */
async function withAt<T>(ring: PcapRing, n: number, act: () => T): Promise<T> {
  let boundaries = 0
  let made: T | undefined
  ring.on('stats', () => {
    if (++boundaries === n) made = act()
  })
  await replay(ring)
  return made as T
}

async function frozen(t: Parameters<typeof ringOf>[0], cap: CapOptions, options: PcapRingOptions = {}) {
  const ring = ringOf(t, { file, ...options })
  const incident = await withAt(ring, 2, () => ring.freeze({ cap }))
  return { ring, incident, reasons: [] as string[] }
}

test('the default: exactly 10,000 packets, everything from before the freeze included', async (t) => {
  const ring = ringOf(t, { file })
  const caps: unknown[] = []
  ring.on('cap', (incident, reason) => void caps.push(incident, reason))
  const incident = await withAt(ring, 2, () => ring.freeze())
  t.equal(incident.state, 'capped')
  t.strictSame(caps, [incident, 'packets'])
  incident.resolve()
  const [report, sequences] = await validIncident(t, incident)
  t.strictSame(sequences, range(1_500, 10_000))
  t.match(report, { capped: 'packets', statistics: { packets: 12_000 } })
})

test('one packet less than the cap is not capped', async (t) => {
  const { incident } = await frozen(t, { packets: 12_501 })
  t.equal(incident.state, 'capturing')
  incident.resolve()
  t.match(await incident.finished, { capped: null, packets: 12_500 })
})

test('smaller than the ring: the newest packets from before the freeze, capped at once', async (t) => {
  for (const packets of [1, 20, 499, 500]) {
    const { incident } = await frozen(t, { packets })
    incident.resolve()
    const [report, sequences] = await validIncident(t, incident)
    t.strictSame(sequences, range(2_000 - packets, packets))
    t.strictSame(sectionCounts(report), { 'pre-buffer': packets })
    t.equal(report.capped, 'packets')
  }
})

test('by bytes, of the whole file', async (t) => {
  const room = 24 + 700 * recordSize
  for (const [bytes, packets] of [
    [room, 700],
    [room + recordSize - 1, 700],
    [room - 1, 699],
  ] as const) {
    const { incident } = await frozen(t, { bytes })
    t.equal(incident.state, 'capped')
    incident.resolve()
    const [report, sequences] = await validIncident(t, incident)
    t.strictSame(sequences, range(1_500, packets), `${bytes} bytes`)
    t.equal(report.bytes, 24 + packets * recordSize)
    t.equal(report.capped, 'bytes')
  }
})

test('by bytes that the ring alone fills: the newest', async (t) => {
  for (const packets of [0, 1, 300]) {
    const { incident } = await frozen(t, { bytes: 24 + packets * recordSize + 5 })
    incident.resolve()
    const [report, sequences] = await validIncident(t, incident)
    t.strictSame(sequences, range(2_000 - packets, packets))
    t.equal(report.capped, 'bytes')
  }
})

test('by duration from the freeze on', async (t) => {
  const { incident } = await frozen(t, { duration: '101ms' })
  t.equal(incident.state, 'capped')
  incident.resolve()
  const [report, sequences] = await validIncident(t, incident)
  // At 101 ms after the freeze: a packet every 250 µs, that at the end itself is not in.
  t.strictSame(sequences, range(1_500, 500 + 404))
  t.equal(report.capped, 'duration')
})

test('whichever comes first', async (t) => {
  const all: [CapOptions, string, number][] = [
    [{ packets: 600, bytes: 1_000_000, duration: '1s' }, 'packets', 600],
    [{ packets: 6_000, bytes: 24 + 550 * recordSize, duration: '1s' }, 'bytes', 550],
    [{ packets: 6_000, bytes: 1_000_000, duration: '10ms' }, 'duration', 540],
  ]
  for (const [cap, reason, packets] of all) {
    const { incident } = await frozen(t, cap)
    incident.resolve()
    t.match(await incident.finished, { capped: reason, packets })
  }
})

test('given to freeze() they are merged key by key over those of the ring', async (t) => {
  const { incident } = await frozen(t, { packets: 9_000 }, { cap: { packets: 10, bytes: 24 + 530 * recordSize } })
  incident.resolve()
  t.match(await incident.finished, { capped: 'bytes', packets: 530 })
  const other = await frozen(t, { bytes: undefined, duration: undefined }, { cap: { packets: 510 } })
  other.incident.resolve()
  t.match(await other.incident.finished, { capped: 'packets', packets: 510 })
})

test('after the cap it stays open: nothing more is written, statistics go on', async (t) => {
  const { ring, incident } = await frozen(t, { packets: 600 })
  await incident.flushed
  t.ok(existsSync(`${incident.file}.part`))
  t.notOk(existsSync(incident.file as string))
  t.strictSame(ring.incidents, [incident])
  const finished = await incident.resolve()
  t.equal(finished.statistics.packets, 12_000)
  t.equal(finished.packets, 600)
})

interface ManualEnd {
  cap: CapOptions | undefined
  capped: string
  packets: number
}

const manualEnds: ManualEnd[] = [
  { cap: undefined, capped: 'packets', packets: 10_000 },
  { cap: { packets: 123 }, capped: 'packets', packets: 123 },
  { cap: { bytes: 24 + 50 * recordSize }, capped: 'bytes', packets: 50 },
  { cap: { duration: '250ms' }, capped: 'duration', packets: 1_000 },
]
for (const { cap, capped, packets } of manualEnds) {
  test(`a manual capture ends by itself: ${JSON.stringify(cap) ?? 'defaults'}`, async (t) => {
    const ring = ringOf(t, { file })
    const incident = await withAt(ring, 2, () => ring.capture({ ...(cap && { cap }) }))
    const [report, sequences] = await validIncident(t, incident)
    t.strictSame(sequences, range(2_000, packets), 'from the call on, nothing from before')
    t.match(report, { kind: 'manual', capped, sections: [{ name: 'capture', packets }] })
    const { records } = fileOf(incident.file as string)
    t.ok(records.every((record) => usOf(record) >= usOfTime(report.frozenAt)))
  })
}

test('a manual capture lasts 30 s by default', async (t) => {
  const slow = recordingOf(udpPackets({ pps: 10, count: 400 }))
  const ring = ringOf(t, { file: slow })
  await ring.start()
  const incident = ring.capture()
  const [report, sequences] = await validIncident(t, incident)
  t.strictSame(sequences, range(0, 300))
  t.match(report, { capped: 'duration', duration: 30_000 })
})

test('a signal ends a manual capture, before it begins too', async (t) => {
  const ring = ringOf(t, { file })
  const controller = new AbortController()
  const made: Incident[] = []
  let boundaries = 0
  ring.on('stats', () => {
    boundaries++
    if (boundaries === 2) made.push(ring.capture({ signal: controller.signal }))
    if (boundaries === 4) controller.abort()
    if (boundaries === 6) made.push(ring.capture({ signal: controller.signal }))
  })
  await replay(ring)
  const [aborted, born] = made as [Incident, Incident]
  const [report, sequences] = await validIncident(t, aborted)
  t.strictSame(sequences, range(2_000, 2_000))
  t.match(report, { capped: null, duration: 500, sections: [{ name: 'capture' }] })
  t.match(await born.finished, { packets: 0, duration: 0, capped: null, sections: [] })
})
