// Acceptance 5: every option outside its type or range, at the documented moment and naming the option.

import { inspect } from 'node:util'
import { test } from 'tap'

import type { IncidentReport, PcapRingOptions } from '../../src/index.js'
import { PcapRing } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { pcapBytes } from '../support/recording.js'
import { recordingOf, replay, ringOf, scratch } from '../support/replay.js'

const file = recordingOf(udpPackets({ pps: 1_000, count: 600 }))
const type = 'ERR_INVALID_ARG_TYPE'
const value = 'ERR_INVALID_ARG_VALUE'
const range = 'ERR_OUT_OF_RANGE'
const classOf: Record<string, string> = { [type]: 'TypeError', [value]: 'TypeError', [range]: 'RangeError' }
const escaped = (text: string): RegExp => new RegExp(text.replace(/[.[\]()]/g, '\\$&'))

type Wrong = [name: string, code: string, ...values: unknown[]]

const notNumbers = [null, '5', true, {}, [], 5n]
const notDurations = [null, true, {}, [], 5n]
const notStrings = [null, 5, true, {}, [], 5n]
const notDurationTexts = ['', '1', '1 s', '5 minutes', 'abc', '1w', '1e3ms', ' 1s']
const integers = (min: number, max: number) => [min - 1, max + 1, min + 0.5, NaN, Infinity, -Infinity, -1]

// Of cap and resolution, for the constructor, freeze() and capture() alike.
const capAndResolution: Wrong[] = [
  ['cap', type, null, 5, 'x', []],
  ['cap.packets', type, ...notNumbers],
  ['cap.packets', range, 0, -1, 1.5, NaN, Infinity, 2 ** 53],
  ['cap.bytes', type, ...notNumbers],
  ['cap.bytes', range, 0, 23, 24.5, NaN, Infinity, 2 ** 53],
  ['cap.duration', type, ...notDurations],
  ['cap.duration', value, ...notDurationTexts],
  ['cap.duration', range, 0, -1, NaN, Infinity, '0s', '-5s'],
]
const resolutions: Wrong[] = [
  ['resolution', type, null, 5, 'x', []],
  ['resolution.packets', type, ...notNumbers],
  ['resolution.packets', range, -1, 0.5, NaN, Infinity],
  ['resolution.duration', type, ...notDurations],
  ['resolution.duration', value, ...notDurationTexts],
  ['resolution.duration', range, -1, NaN, Infinity, '-1s'],
  ['resolution.reserve', type, null, 1, 'true', {}],
]

const ofTheRing: Wrong[] = [
  ['device', type, ...notStrings],
  ['device', value, '', 'any', 'eth\0'],
  ['file', type, null, 5, true, {}, [], new ArrayBuffer(8)],
  ['file', value, '', 'a\0b', new URL('http://example.org/x.pcap')],
  ['pace', type, null, 5, {}],
  ['pace', value, 'fast', ''],
  ['filter', type, ...notStrings],
  ['filter', value, 'udp\0'],
  ['direction', type, null, 5],
  ['direction', value, 'inout', '', 'IN'],
  ['snaplen', type, ...notNumbers],
  ['snaplen', range, ...integers(64, 262_144), 0],
  ['promiscuous', type, null, 0, 'false', {}],
  ['ring', type, null, 500, 'x', []],
  ['ring.packets', type, ...notNumbers],
  ['ring.packets', range, ...integers(1, 1_000_000)],
  ['ring.bytes', type, ...notNumbers],
  ['ring.bytes', range, 0, 2_048 + 65_536 - 1, 100_000.5, NaN, Infinity],
  ['lookback', type, ...notDurations],
  ['lookback', value, ...notDurationTexts],
  ['lookback', range, -1, 600_001, NaN, Infinity, '-1s', '11m'],
  ['onset', type, null, false, 0, 8, 'x', []],
  ['onset.factor', type, ...notNumbers],
  ['onset.factor', range, 0, 1, 1.49, 1_000.1, -8, NaN, Infinity],
  ['onset.minPps', type, ...notNumbers],
  ['onset.minPps', range, -0.1, 1e12 + 1, NaN, Infinity],
  ['onset.minBps', type, ...notNumbers],
  ['onset.minBps', range, -0.1, 1e12 + 1, NaN, Infinity],
  ...capAndResolution,
  ...resolutions,
  ['directory', type, ...notStrings],
  ['directory', value, '', 'a\0b'],
  ['format', type, null, 5],
  ['format', value, 'erf', ''],
  ['precision', type, null, 6],
  ['precision', value, 'milli', ''],
  ['statsInterval', type, ...notDurations],
  ['statsInterval', value, ...notDurationTexts],
  ['statsInterval', range, 49, 60_001, NaN, Infinity, '49ms', '61s', '2m'],
  ['kernelBuffer', type, ...notNumbers],
  ['kernelBuffer', range, ...integers(1024 * 1024, 1024 ** 3)],
  ['latency', type, ...notDurations],
  ['latency', value, ...notDurationTexts],
  ['latency', range, 0, 1_001, NaN, '0ms', '2s'],
  ['cpuBudget', type, ...notNumbers.filter((value) => value !== null)],
  ['cpuBudget', range, 0, -0.005, 1.001, 5, NaN, Infinity],
  ['fallback', type, null, 5, {}],
  ['fallback', value, 'reject', ''],
]

/** `{ a: { b: value } }` of 'a.b'. */
const nested = (name: string, value: unknown): object =>
  name.split('.').reduceRight<unknown>((inner, key) => ({ [key]: inner }), value) as object

const shown = (given: unknown): string => inspect(given, { breakLength: Infinity, maxStringLength: 80 })

for (const [name, code, ...values] of ofTheRing) {
  test(`${name}: ${code}`, (t) => {
    for (const given of values) {
      t.throws(
        () => new PcapRing(nested(name, given)),
        { name: classOf[code] as string, code, message: escaped(`options.${name}`) },
        shown(given),
      )
    }
    t.end()
  })
}

test('true is no fallback', (t) => {
  t.throws(() => new PcapRing({ fallback: true as unknown as false }), {
    name: 'TypeError',
    message: /options\.fallback/,
  })
  t.end()
})

test('options themselves', (t) => {
  for (const given of [null, 5, 'eth0', true, []]) {
    t.throws(() => new PcapRing(given as PcapRingOptions), { name: 'TypeError', code: type }, shown(given))
  }
  t.end()
})

test('the least that a file can be depends on its format', async (t) => {
  const format = 'pcapng'
  const tooFew = { name: 'RangeError', code: range, message: /options\.cap\.bytes/ }
  t.doesNotThrow(() => new PcapRing({ format, cap: { bytes: 148 } }))
  t.throws(() => new PcapRing({ format, cap: { bytes: 147 } }), tooFew)
  const ring = new PcapRing({ file, format, directory: t.testdir({}) })
  await ring.start()
  t.throws(() => ring.freeze({ cap: { bytes: 147 } }), tooFew)
  t.throws(() => ring.capture({ cap: { bytes: 147 } }), tooFew)
  t.equal(ring.freeze({ id: 'x', cap: { bytes: 148 } }).file?.endsWith('/incident_x.pcapng'), true)
  await ring.close()
})

test('device and file exclude one another', (t) => {
  t.throws(() => new PcapRing({ device: 'lo', file }), { name: 'TypeError', code: value, message: /options\.device/ })
  t.end()
})

test('the ends of every range, undefined, and every unit of a duration', (t) => {
  const right: PcapRingOptions[] = [
    { snaplen: 64 },
    { snaplen: 262_144 },
    { ring: { packets: 1 } },
    { ring: { packets: 1_000_000 } },
    { snaplen: 64, ring: { bytes: 64 + 65_536 } },
    { ring: { bytes: 2_048 + 65_536 } },
    { cap: { packets: 1, bytes: 24, duration: 1 } },
    { format: 'pcap' },
    { format: 'pcapng' },
    { resolution: { packets: 0, duration: 0, reserve: true } },
    { statsInterval: 50 },
    { statsInterval: '1m' },
    { statsInterval: '0.05s' },
    { kernelBuffer: 1024 * 1024 },
    { kernelBuffer: 1024 ** 3 },
    { latency: 1 },
    { latency: '1s' },
    { latency: 2.5 },
    { lookback: 0 },
    { lookback: '10m' },
    { lookback: 0.5 },
    { onset: {} },
    { onset: { factor: 1.5, minPps: 0, minBps: 0 } },
    { onset: { factor: 1_000, minPps: 1e12, minBps: 1e12 } },
    { onset: { factor: 2.5, minPps: 0.5, minBps: undefined } },
    { cpuBudget: null },
    { cpuBudget: 0.0001 },
    { cpuBudget: 1 },
    { fallback: false },
    { cap: { duration: '1h' }, resolution: { duration: '7d' } },
    { device: undefined, file: undefined, filter: undefined, cap: undefined, ring: {}, resolution: undefined },
  ]
  for (const options of right) t.doesNotThrow(() => new PcapRing(options), JSON.stringify(options))
  t.end()
})

const reason = 'x'.repeat(1_024)
const ids = ['../x', '', 'x'.repeat(65), '.x', '.', '..', 'a\0b', 'a/b', 'a b', 'ä', 'a\n', 'a\\b', 'x:y']
const ofBoth: Wrong[] = [
  ['id', type, ...notStrings],
  ['id', value, ...ids],
  ['reason', type, ...notStrings],
  ['reason', range, `${reason}x`, 'ä'.repeat(513)],
  ['labels', type, null, 5, 'x', [], new Map([['a', 'b']])],
  ['labels.a', type, null, 5, {}],
  [
    'labels',
    range,
    { a: 'x'.repeat(4_096) },
    Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`k${i}`, 'xxxxx'])),
  ],
  ...capAndResolution,
]
const cycle: { self?: unknown } = {}
cycle.self = cycle
const ofFreeze: Wrong[] = [
  ...resolutions,
  ['since', type, null, 5, true, {}],
  ['since', value, '', 'yesterday', '2024-02-30T00:00:00.000000Z', '2024-01-01T00:00:00Z', new Date(NaN)],
  ['since', range, new Date(8.64e15)],
  ['attack', type, 5, 'x', []],
  ['attack', value, { toJSON: () => undefined }, { toJSON: () => 'x' }, { toJSON: () => [] }, cycle, { n: 1n }],
  ['attack', value, { toJSON: () => null }, new Date(NaN)],
  // With its braces, name and quotes one byte more than 64 KiB.
  ['attack', range, { a: 'x'.repeat(65_536 - 7) }, { a: 'ä'.repeat(32_768) }],
]
const ofCapture: Wrong[] = [['signal', type, null, 5, {}, 'x']]

test('freeze() and capture() throw at once, and the ring goes on', async (t) => {
  const ring = ringOf(t, { file })
  await replay(ring)
  const judged = (act: (options: object) => unknown, all: Wrong[]): void => {
    for (const [name, code, ...values] of all) {
      for (const given of values) {
        const wanted = { name: classOf[code] as string, code, message: escaped(`options.${name}`) }
        t.throws(() => act(nested(name, given)), wanted, `${name}: ${shown(given)}`)
      }
    }
    for (const given of [null, 5, 'x', []]) t.throws(() => act(given as object), { code: type })
  }
  judged((options) => ring.freeze(options), [...ofBoth, ...ofFreeze])
  judged((options) => ring.capture(options), [...ofBoth, ...ofCapture])
  t.strictSame(ring.incidents, [])
  t.match(await ring.freeze().resolve(), { packets: 500, error: null })
})

test('ids and texts of every kind that is allowed', async (t) => {
  const ring = ringOf(t, { file })
  await replay(ring)
  for (const id of ['x', 'A-Z_a.z0', 'x'.repeat(64), '-', '_', '0', 'a..b', 'con', 'x.pcap', 'incident_x']) {
    const incident = ring.freeze({ id, reason, labels: { k: 'x'.repeat(4_095) } })
    t.equal(incident.id, id)
    t.match(await incident.resolve(), { id, reason })
  }
})

test('the largest attack, and objects that speak JSON of their own', async (t) => {
  const ring = ringOf(t, { file })
  await replay(ring)
  const freeze = (options: object): Promise<IncidentReport> => ring.freeze(options).resolve()
  const largest = { a: 'x'.repeat(65_536 - 8) }
  t.strictSame((await freeze({ attack: largest })).attack, largest)
  t.strictSame((await freeze({ attack: { toJSON: () => ({ pps: 5 }) } })).attack, { pps: 5 })
  const labels = Object.assign(Object.create({ toJSON: () => 'x', inherited: 'y' }), { a: 'b' })
  t.strictSame((await freeze({ labels })).labels, { a: 'b' })
  const own = JSON.parse('{"__proto__":"x"}')
  t.equal(JSON.stringify((await freeze({ labels: own })).labels), '{"__proto__":"x"}')
})

test('dump() rejects, start() too', async (t) => {
  const ring = ringOf(t, { file })
  for (const given of [null, 5, {}, undefined]) {
    await t.rejects(ring.dump(given as string), { name: 'TypeError', code: type })
  }
  for (const given of ['', 'a\0b']) await t.rejects(ring.dump(given), { name: 'TypeError', code: value })
  for (const given of [null, 5, 'x', []])
    await t.rejects(ring.start(given as object), { name: 'TypeError', code: type })
  for (const given of [null, 5, {}]) {
    await t.rejects(ring.start({ signal: given as unknown as AbortSignal }), { name: 'TypeError', code: type })
  }
  t.equal(ring.mode, 'idle')
  await replay(ring)
})

test('an id that is open in this ring is taken; afterwards its file is there', async (t) => {
  const ring = ringOf(t, { file: pcapBytes([]), directory: scratch(t) })
  await replay(ring)
  const incident = ring.freeze({ id: 'x' })
  for (const act of [() => ring.freeze({ id: 'x' }), () => ring.capture({ id: 'x' })]) {
    t.throws(act, { name: 'PcapRingError', code: 'ERR_PCAP_FILE_EXISTS' })
  }
  await incident.resolve()
  await t.rejects(ring.freeze({ id: 'x' }).finished, { code: 'ERR_PCAP_FILE_EXISTS' })
  t.match(await ring.freeze({ id: 'y' }).resolve(), { error: null })
})

test('state: not started, closed', async (t) => {
  const ring = new PcapRing({ file, directory: scratch(t) })
  t.throws(() => ring.freeze(), { name: 'PcapRingError', code: 'ERR_PCAP_NOT_STARTED' })
  t.throws(() => ring.capture(), { code: 'ERR_PCAP_NOT_STARTED' })
  await t.rejects(ring.dump('/tmp/x'), { code: 'ERR_PCAP_NOT_STARTED' })
  const starting = ring.start()
  t.throws(() => ring.freeze(), { code: 'ERR_PCAP_NOT_STARTED' }, 'nor while it starts')
  await starting
  const closing = ring.close()
  t.throws(() => ring.freeze(), { code: 'ERR_PCAP_CLOSED' })
  t.throws(() => ring.capture(), { code: 'ERR_PCAP_CLOSED' })
  await t.rejects(ring.dump('/tmp/x'), { code: 'ERR_PCAP_CLOSED' })
  await t.rejects(ring.start(), { code: 'ERR_PCAP_CLOSED' })
  await closing
  t.throws(() => ring.freeze(), { code: 'ERR_PCAP_CLOSED' })
  await t.rejects(ring.start(), { code: 'ERR_PCAP_CLOSED' })
})
