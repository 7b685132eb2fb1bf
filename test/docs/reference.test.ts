// The tables of the pages are those of the sources: options with their defaults and ranges, events, codes, fields.

import { join } from 'node:path'
import { type Test, test } from 'tap'

import { FloodDetector } from '../../src/detect/index.js'
import { PcapRing } from '../../src/index.js'
import { judgeRingOptions } from '../../src/options.js'
import { stats } from '../../src/testing.js'
import type { PcapRingOptions } from '../../src/types.js'
import { members, union } from '../support/declared.js'
import { coded, pageOf } from '../support/markdown.js'

const readme = pageOf('README.md')
const files = pageOf('docs/files.md')

const sameNames = (t: Test, found: string[], wanted: string[], name: string): void => {
  t.strictSame([...found].sort(), [...wanted].sort(), name)
}

interface Option {
  /** As the README has it. */
  shown: string
  /** What a ring without options has. */
  actual: unknown
  good: PcapRingOptions[]
  /** Judged at construction, naming the option. */
  bad: unknown[]
}

const settings = judgeRingOptions({})
const ofReplay = judgeRingOptions({ file: 'x.pcap' })
const miB = 1024 * 1024
const options: Record<string, Option> = {
  device: {
    shown: "the default route's",
    actual: settings.device === '',
    good: [{ device: 'eth0' }],
    bad: [{ device: 'any' }, { device: '' }, { device: 1 }],
  },
  file: {
    shown: '–',
    actual: settings.file === null,
    good: [{ file: 'x.pcap' }, { file: new URL('file:///x.pcapng') }, { file: new Uint8Array() }],
    bad: [{ file: 1 }, { file: 'x.pcap', device: 'eth0' }, { file: new URL('http://localhost/x.pcap') }],
  },
  pace: {
    shown: "`'lockstep'`",
    actual: settings.pace === 'lockstep',
    good: [{ pace: 'lockstep' }, { pace: 'recorded' }],
    bad: [{ pace: 'fast' }],
  },
  filter: { shown: '–', actual: settings.filter === '', good: [{ filter: 'udp' }], bad: [{ filter: 1 }] },
  direction: {
    shown: "`'both'`",
    actual: settings.direction === 'both',
    good: [{ direction: 'in' }, { direction: 'out' }, { direction: 'both' }],
    bad: [{ direction: 'inout' }],
  },
  snaplen: {
    shown: "2048; a replay: the recording's",
    actual: settings.snaplen === 2048 && ofReplay.snaplen === 0,
    good: [{ snaplen: 64 }, { snaplen: 262_144 }],
    bad: [{ snaplen: 63 }, { snaplen: 262_145 }],
  },
  promiscuous: {
    shown: '`false`',
    actual: settings.promiscuous === false,
    good: [{ promiscuous: true }],
    bad: [{ promiscuous: 1 }],
  },
  'ring.packets': {
    shown: '500',
    actual: settings.ringPackets === 500,
    good: [{ ring: { packets: 1 } }, { ring: { packets: 1_000_000 } }],
    bad: [{ ring: { packets: 0 } }, { ring: { packets: 1_000_001 } }],
  },
  'ring.bytes': {
    shown: '4 KiB × `ring.packets`, at least 2 MiB',
    actual:
      settings.ringBytes === 2 * miB && judgeRingOptions({ ring: { packets: 1_000 } }).ringBytes === 4 * 1024 * 1_000,
    good: [{ ring: { bytes: 2048 + 65_536 } }, { snaplen: 64, ring: { bytes: 64 + 65_536 } }],
    bad: [{ ring: { bytes: 2048 + 65_535 } }, { snaplen: 64, ring: { bytes: 64 + 65_535 } }],
  },
  lookback: {
    shown: "`'10s'`",
    actual: settings.lookback === 10_000,
    good: [{ lookback: 0 }, { lookback: '10m' }],
    bad: [{ lookback: -1 }, { lookback: 600_001 }],
  },
  'onset.factor': {
    shown: '8',
    actual: settings.onset.factor === 8,
    good: [{ onset: { factor: 1.5 } }, { onset: { factor: 1_000 } }],
    bad: [{ onset: { factor: 1.4 } }, { onset: { factor: 1_001 } }],
  },
  'onset.minPps': {
    shown: '1,000',
    actual: settings.onset.minPps === 1_000,
    good: [{ onset: { minPps: 0 } }, { onset: { minPps: 1e12 } }],
    bad: [{ onset: { minPps: -1 } }],
  },
  'onset.minBps': {
    shown: '10,000,000',
    actual: settings.onset.minBps === 10_000_000,
    good: [{ onset: { minBps: 0 } }, { onset: { minBps: 1e12 } }],
    bad: [{ onset: { minBps: -1 } }],
  },
  'cap.packets': {
    shown: '10,000',
    actual: settings.cap.packets === 10_000,
    good: [{ cap: { packets: 1 } }],
    bad: [{ cap: { packets: 0 } }],
  },
  'cap.bytes': {
    shown: '–',
    actual: settings.cap.bytes === Infinity,
    good: [{ cap: { bytes: 24 } }],
    bad: [{ cap: { bytes: 23 } }],
  },
  'cap.duration': {
    shown: '–',
    actual: settings.cap.duration === Infinity,
    good: [{ cap: { duration: '5m' } }],
    bad: [{ cap: { duration: 0 } }, { cap: { duration: '5 minutes' } }],
  },
  'resolution.packets': {
    shown: '100',
    actual: settings.resolution.packets === 100,
    good: [{ resolution: { packets: 0 } }],
    bad: [{ resolution: { packets: -1 } }],
  },
  'resolution.duration': {
    shown: "`'1s'`",
    actual: settings.resolution.duration === 1_000,
    good: [{ resolution: { duration: 0 } }],
    bad: [{ resolution: { duration: -1 } }],
  },
  'resolution.reserve': {
    shown: '`false`',
    actual: settings.resolution.reserve === false,
    good: [{ resolution: { reserve: true } }],
    bad: [{ resolution: { reserve: 'yes' } }],
  },
  directory: {
    shown: "`'captures'`",
    actual: settings.directory === join(process.cwd(), 'captures'),
    good: [{ directory: 'x' }],
    bad: [{ directory: '' }, { directory: 1 }],
  },
  format: {
    shown: "`'pcap'`",
    actual: settings.format === 'pcap',
    good: [{ format: 'pcap' }, { format: 'pcapng' }],
    bad: [{ format: 'erf' }],
  },
  precision: {
    shown: "`'micro'`",
    actual: settings.precision === 'micro',
    good: [{ precision: 'nano' }],
    bad: [{ precision: 'milli' }],
  },
  keep: {
    shown: '`false`',
    actual: settings.keep.age === null && settings.keep.bytes === null,
    good: [
      { keep: false },
      { keep: { age: '1s' } },
      { keep: { bytes: 1 } },
      { keep: { age: '30d', bytes: 1024 ** 3 } },
    ],
    bad: [{ keep: true }, { keep: {} }, { keep: { age: 999 } }, { keep: { bytes: 0 } }, { keep: { bytes: 1.5 } }],
  },
  archive: {
    shown: '–',
    actual: settings.archive === null,
    good: [{ archive: { put: () => Promise.reject(new Error()) } }],
    bad: [{ archive: {} }, { archive: null }, { archive: 'x' }],
  },
  minFree: {
    shown: '256 MiB or 5 %',
    actual: settings.minFree === null,
    good: [{ minFree: 0 }, { minFree: 10 * 1024 * miB }],
    bad: [{ minFree: -1 }, { minFree: 1.5 }, { minFree: '1GB' }],
  },
  statsInterval: {
    shown: "`'250ms'`",
    actual: settings.statsInterval === 250,
    good: [{ statsInterval: '50ms' }, { statsInterval: '60s' }],
    bad: [{ statsInterval: 49 }, { statsInterval: 60_001 }],
  },
  kernelBuffer: {
    shown: '2 MiB',
    actual: settings.kernelBuffer === 2 * miB,
    good: [{ kernelBuffer: miB }, { kernelBuffer: 1024 * miB }],
    bad: [{ kernelBuffer: miB - 1 }, { kernelBuffer: 1024 * miB + 1 }],
  },
  latency: {
    shown: "`'100ms'`",
    actual: settings.latency === 100,
    good: [{ latency: 1 }, { latency: '1s' }],
    bad: [{ latency: 0 }, { latency: 1_001 }],
  },
  cpuBudget: {
    shown: '0.005',
    actual: settings.cpuBudget === 0.005,
    good: [{ cpuBudget: null }, { cpuBudget: 0.0001 }, { cpuBudget: 1 }],
    bad: [{ cpuBudget: 0 }, { cpuBudget: 1.001 }, { cpuBudget: '0.5%' }],
  },
  fallback: {
    shown: "`'statistics'`",
    actual: settings.fallback === 'statistics',
    good: [{ fallback: false }, { fallback: 'statistics' }],
    bad: [{ fallback: true }, { fallback: 'none' }],
  },
}

test('options: names, defaults and ranges', (t) => {
  const nested = { ring: 'RingOptions', onset: 'OnsetOptions', cap: 'CapOptions', resolution: 'ResolutionOptions' }
  const inSource = members('PcapRingOptions').flatMap((name) =>
    name in nested ? members(nested[name as keyof typeof nested]).map((sub) => `${name}.${sub}`) : [name],
  )
  const rows = readme.table('Options')
  sameNames(t, readme.firstColumn('Options'), inSource, 'those of the types')
  sameNames(t, Object.keys(options), inSource, 'all are judged here')
  for (const [cell, shown] of rows) {
    const name = `${coded(`${cell}`)[0]}`
    const option = options[name]
    if (option === undefined) continue
    t.equal(shown, option.shown, `${name}: its default`)
    t.ok(option.actual, `${name}: and it is`)
    for (const good of option.good) t.doesNotThrow(() => new PcapRing(good), JSON.stringify(good))
    for (const bad of option.bad) {
      // A sub-option's name is the whole path, as in the table.
      t.throws(
        () => new PcapRing(bad as PcapRingOptions),
        { code: /^ERR_(INVALID_ARG_TYPE|INVALID_ARG_VALUE|OUT_OF_RANGE)$/, message: `options.${name}` },
        JSON.stringify(bad),
      )
    }
  }
  t.end()
})

test("the detector's options", (t) => {
  const title = 'Detecting floods'
  sameNames(t, readme.firstColumn(title), members('DetectorOptions', 'detect/types.ts'), 'those of the types')
  const shown = new Map(
    readme.table(title).flatMap(([cell, value]) => coded(`${cell}`).map((name) => [name, `${value}`] as const)),
  )
  t.match(Object.fromEntries(shown), {
    baseline: "`'5m'`",
    factor: '8',
    floor: '`{ pps: 1_000, bps: 10_000_000 }`',
    sustain: "`'300ms'`",
    clear: "`'10s'`",
  })
  // What it is judged by without options, and with these.
  const given = {
    baseline: '5m',
    factor: 8,
    floor: { pps: 1_000, bps: 10_000_000 },
    sustain: '300ms',
    clear: '10s',
  } as const
  const run = (detector: FloodDetector): unknown[] => {
    const start = Date.UTC(2026, 0, 5)
    const states: unknown[] = []
    for (let i = 0; i < 400; i++) {
      const inbound = { packets: 0, bytes: 0, pps: i % 170 < 100 ? 500 : 4_000 + i, bps: 1e6 }
      const time = new Date(start + i * 250).toISOString()
      const { state, change } = detector.update(stats({ time, interval: 250, inbound }))
      states.push(state, change)
    }
    return [...states, detector.state(), detector.thresholds]
  }
  t.strictSame(run(new FloodDetector()), run(new FloodDetector(given)), 'the defaults are these')
  const states = run(new FloodDetector())
  t.ok(states.includes('attack') && states.includes('clear'), 'through an attack and its end')
  t.end()
})

test('events, errors, report, statistics and the arguments of an incident are those of the sources', (t) => {
  sameNames(t, readme.firstColumn('Events'), members('PcapRingEvents'), 'events')
  sameNames(t, readme.firstColumn('Errors'), union('PcapRingErrorCode', 'errors.ts'), 'error codes')

  sameNames(t, files.firstColumn('Report'), members('IncidentReport'), 'report')
  const figures = coded(readme.section('Statistics'))
  for (const name of [...members('StatsCapture'), ...members('Protocols'), ...members('TcpFlags')]) {
    if (name !== 'mode') t.ok(figures.includes(name), `statistics: ${name}`)
  }
  const incidents = readme.section('Incidents')
  const argumentsOf = (name: string) =>
    `${new RegExp(`\`${name}\\(\\{ (.*) \\}\\)\``).exec(incidents)?.[1]}`.split(', ')
  sameNames(t, argumentsOf('freeze'), members('FreezeOptions'), 'freeze()')
  sameNames(t, argumentsOf('capture'), members('ManualOptions'), 'capture()')
  for (const state of union('IncidentState', 'incident.ts')) t.ok(coded(incidents).includes(`'${state}'`), state)
  for (const name of members('Section')) t.ok(coded(files.section('Sections')).includes(name), `section: ${name}`)
  const sections = union('SectionName', 'types.ts')
  for (const [page, title] of [
    [readme, 'What is in the file'],
    [files, 'Sections'],
  ] as const) {
    const named = [...page.firstColumn(title), 'capture']
    sameNames(t, named, sections, `${page.name}: the sections`)
  }
  sameNames(
    t,
    pageOf('docs/testing.md')
      .firstColumn('The helpers')
      .map((call) => call.replace(/\(.*/, '')),
    ['encodePcap', 'readPackets', 'stats'],
    'the helpers',
  )
  t.end()
})
