import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'

import { invalidArgType, invalidArgValue, outOfRange } from './errors.js'
import { parseDuration, parseTime } from './time.js'
import type { ArchiveSink, CaptureFormat, FreezeOptions, ManualOptions, PcapRingOptions, Precision } from './types.js'

const kiB = 1024
const miB = 1024 * kiB
const giB = 1024 * miB

/** The bounds of a file; `Infinity` is no bound. Duration in ms. */
export interface Cap {
  packets: number
  bytes: number
  duration: number
}

export interface Resolution {
  packets: number
  duration: number
  reserve: boolean
}

/** What counts as an onset. Rates per second, `minBps` in bits. */
interface OnsetThresholds {
  factor: number
  minPps: number
  minBps: number
}

/** A ring's options, judged and complete. Durations in ms; `snaplen` 0: the recording's. */
export interface RingSettings {
  device: string
  file: string | Uint8Array | null
  pace: 'lockstep' | 'recorded'
  filter: string
  direction: string
  snaplen: number
  promiscuous: boolean
  ringPackets: number
  ringBytes: number
  lookback: number
  onset: OnsetThresholds
  cap: Cap
  resolution: Resolution
  directory: string
  /** Bytes; null: by the file system. */
  minFree: number | null
  /** ms and bytes; null: no bound. */
  keep: { age: number | null; bytes: number | null }
  archive: ArchiveSink | null
  format: CaptureFormat
  precision: Precision
  statsInterval: number
  kernelBuffer: number
  latency: number
  /** Share of one core; `null`: none. */
  cpuBudget: number | null
  fallback: 'statistics' | false
}

/** What an incident is opened with. */
export interface IncidentSettings {
  id: string
  reason: string | null
  labels: Record<string, string>
  attack: string
  since: bigint | null
  cap: Cap
  resolution: Resolution
}

type Fields = Record<string, unknown>

function object(value: unknown, name: string): Fields {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidArgType(name, 'object', value)
  return value as Fields
}

function integer(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value)
  if (!Number.isInteger(value) || value < min || value > max) {
    throw outOfRange(name, `an integer >= ${min} and <= ${max}`, value)
  }
  return value
}

function number(value: unknown, name: string, min: number, max: number): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value)
  if (!(value >= min && value <= max)) throw outOfRange(name, `>= ${min} and <= ${max}`, value)
  return value
}

function boolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw invalidArgType(name, 'boolean', value)
  return value
}

function text(value: unknown, name: string): string {
  if (typeof value !== 'string') throw invalidArgType(name, 'string', value)
  if (value.includes('\0')) throw invalidArgValue(name, value, 'must not contain null bytes')
  return value
}

function filled(value: unknown, name: string): string {
  if (text(value, name) === '') throw invalidArgValue(name, value, 'must not be empty')
  return value as string
}

function oneOf<T>(value: unknown, name: string, allowed: readonly T[]): T {
  if (allowed.includes(value as T)) return value as T
  const type = typeof allowed[0]
  if (typeof value !== type && value !== false) throw invalidArgType(name, type, value)
  throw invalidArgValue(name, value, `must be one of: ${allowed.map((item) => JSON.stringify(item)).join(', ')}`)
}

function judgeFile(value: unknown): string | Uint8Array {
  const name = 'options.file'
  if (types.isUint8Array(value)) return value
  if (value instanceof URL) {
    if (value.protocol !== 'file:') throw invalidArgValue(name, value.href, 'must be a file: URL')
    return text(fileURLToPath(value), name)
  }
  if (typeof value !== 'string') throw invalidArgType(name, ['string', 'URL', 'Uint8Array'], value)
  return resolve(filled(value, name))
}

function judgeDevice(value: unknown): string {
  const device = filled(value, 'options.device')
  if (device === 'any') {
    throw invalidArgValue('options.device', device, 'must name one device: open one ring per device')
  }
  return device
}

const noBound: Cap = { packets: Infinity, bytes: Infinity, duration: Infinity }
/** Bytes of the smallest file, one without packets and, where they can be left out, without comments. */
const emptyFile: Record<CaptureFormat, number> = { pcap: 24, pcapng: 148 }

function judgeCap(value: unknown, name: string, format: CaptureFormat, defaults: Cap): Cap {
  const { packets, bytes, duration } = object(value, name)
  return {
    packets: packets === undefined ? defaults.packets : integer(packets, `${name}.packets`, 1, Number.MAX_SAFE_INTEGER),
    bytes:
      bytes === undefined
        ? defaults.bytes
        : integer(bytes, `${name}.bytes`, emptyFile[format], Number.MAX_SAFE_INTEGER),
    duration: duration === undefined ? defaults.duration : parseDuration(duration, `${name}.duration`, { min: 1 }),
  }
}

function judgeResolution(value: unknown, name: string, defaults: Resolution): Resolution {
  const { packets, duration, reserve } = object(value, name)
  return {
    packets: packets === undefined ? defaults.packets : integer(packets, `${name}.packets`, 0, Number.MAX_SAFE_INTEGER),
    duration: duration === undefined ? defaults.duration : parseDuration(duration, `${name}.duration`),
    reserve: reserve === undefined ? defaults.reserve : boolean(reserve, `${name}.reserve`),
  }
}

function judgeKeep(value: unknown): { age: number | null; bytes: number | null } {
  const name = 'options.keep'
  if (value === undefined || value === false) return { age: null, bytes: null }
  const { age, bytes } = object(value, name)
  if (age === undefined && bytes === undefined) throw invalidArgValue(name, value, "must have 'age', 'bytes' or both")
  return {
    age: age === undefined ? null : parseDuration(age, `${name}.age`, { min: 1_000 }),
    bytes: bytes === undefined ? null : integer(bytes, `${name}.bytes`, 1, Number.MAX_SAFE_INTEGER),
  }
}

function judgeOnset(value: unknown): OnsetThresholds {
  const name = 'options.onset'
  const { factor, minPps, minBps } = object(value, name)
  const mostPerSecond = 1e12
  return {
    factor: factor === undefined ? 8 : number(factor, `${name}.factor`, 1.5, 1_000),
    minPps: minPps === undefined ? 1_000 : number(minPps, `${name}.minPps`, 0, mostPerSecond),
    minBps: minBps === undefined ? 10_000_000 : number(minBps, `${name}.minBps`, 0, mostPerSecond),
  }
}

function judgeArchive(value: unknown): ArchiveSink | null {
  if (value === undefined) return null
  if (typeof ((value ?? {}) as Partial<ArchiveSink>).put !== 'function') {
    throw invalidArgType('options.archive', 'ArchiveSink', value)
  }
  return value as ArchiveSink
}

/**
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, naming the option
 */
export function judgeRingOptions(options: PcapRingOptions | undefined): RingSettings {
  const given = object(options, 'options')
  const replay = given.file !== undefined
  if (replay && given.device !== undefined) {
    throw invalidArgValue('options.file', given.file, "must not be given together with 'options.device'")
  }
  const or = <T>(name: string, fallback: T, judge: (value: unknown, name: string) => T): T =>
    given[name] === undefined ? fallback : judge(given[name], `options.${name}`)

  const minSnaplen = 64
  const snaplen = or('snaplen', replay ? 0 : 2048, (value, name) => integer(value, name, minSnaplen, 262_144))
  const ring = object(given.ring, 'options.ring')
  const ringPackets = ring.packets === undefined ? 500 : integer(ring.packets, 'options.ring.packets', 1, 1_000_000)
  const fewestBytes = Math.max(snaplen, minSnaplen) + 64 * kiB
  const ringBytes =
    ring.bytes === undefined
      ? Math.max(4 * kiB * ringPackets, 2 * miB)
      : integer(ring.bytes, 'options.ring.bytes', fewestBytes, 64 * giB)
  const format = or<CaptureFormat>('format', 'pcap', (value, name) =>
    oneOf<CaptureFormat>(value, name, ['pcap', 'pcapng']),
  )

  return {
    device: or('device', '', judgeDevice),
    file: or<string | Uint8Array | null>('file', null, judgeFile),
    pace: or('pace', 'lockstep', (value, name) => oneOf(value, name, ['lockstep', 'recorded'])),
    filter: or('filter', '', text),
    direction: or('direction', 'both', (value, name) => oneOf(value, name, ['both', 'in', 'out'])),
    snaplen,
    promiscuous: or('promiscuous', false, boolean),
    ringPackets,
    ringBytes,
    lookback: or('lookback', 10_000, (value, name) => parseDuration(value, name, { max: 600_000 })),
    onset: judgeOnset(given.onset),
    cap: judgeCap(given.cap, 'options.cap', format, { ...noBound, packets: 10_000 }),
    resolution: judgeResolution(given.resolution, 'options.resolution', {
      packets: 100,
      duration: 1_000,
      reserve: false,
    }),
    directory: resolve(or('directory', 'captures', filled)),
    keep: judgeKeep(given.keep),
    archive: judgeArchive(given.archive),
    minFree: or<number | null>('minFree', null, (value, name) => integer(value, name, 0, Number.MAX_SAFE_INTEGER)),
    format,
    precision: or<Precision>('precision', 'micro', (value, name) => oneOf<Precision>(value, name, ['micro', 'nano'])),
    statsInterval: or('statsInterval', 250, (value, name) => parseDuration(value, name, { min: 50, max: 60_000 })),
    kernelBuffer: or('kernelBuffer', 2 * miB, (value, name) => integer(value, name, miB, giB)),
    // The kernel's timer counts whole milliseconds.
    latency: Math.ceil(or('latency', 100, (value, name) => parseDuration(value, name, { min: 1, max: 1_000 }))),
    cpuBudget: or<number | null>('cpuBudget', 0.005, (value, name) =>
      value === null ? null : number(value, name, 0.0001, 1),
    ),
    fallback: or<'statistics' | false>('fallback', 'statistics', (value, name) =>
      oneOf<'statistics' | false>(value, name, ['statistics', false]),
    ),
  }
}

function judgeId(value: unknown): string {
  if (value === undefined) return randomBytes(4).toString('hex')
  if (typeof value !== 'string') throw invalidArgType('options.id', 'string', value)
  if (!/^(?!\.)[A-Za-z0-9._-]{1,64}$/.test(value)) {
    throw invalidArgValue('options.id', value, 'must be 1 to 64 of A-Z a-z 0-9 . _ - and not start with a dot')
  }
  return value
}

function judgeReason(value: unknown): string | null {
  if (value === undefined) return null
  if (typeof value !== 'string') throw invalidArgType('options.reason', 'string', value)
  const bytes = Buffer.byteLength(value)
  if (bytes > kiB) throw outOfRange('options.reason', `at most ${kiB} bytes long`, bytes)
  return value
}

function judgeLabels(value: unknown): Record<string, string> {
  if (types.isMap(value)) throw invalidArgType('options.labels', 'object', value)
  const labels = object(value, 'options.labels')
  let bytes = 0
  for (const [key, label] of Object.entries(labels)) {
    if (typeof label !== 'string') throw invalidArgType(`options.labels.${key}`, 'string', label)
    bytes += Buffer.byteLength(key) + Buffer.byteLength(label)
  }
  if (bytes > 4 * kiB) throw outOfRange('options.labels', `at most ${4 * kiB} bytes in all`, bytes)
  // A copy, without what the object may have inherited.
  return Object.fromEntries(Object.entries(labels)) as Record<string, string>
}

function judgeAttack(value: unknown): string {
  if (value === undefined || value === null) return 'null'
  object(value, 'options.attack')
  let json: string | undefined
  try {
    json = JSON.stringify(value)
  } catch {
    // a cycle, a BigInt
  }
  if (json === undefined || !json.startsWith('{')) {
    throw invalidArgValue('options.attack', value, 'must be an object that JSON can hold')
  }
  if (Buffer.byteLength(json) > 64 * kiB) {
    throw outOfRange('options.attack', `at most ${64 * kiB} bytes of JSON`, Buffer.byteLength(json))
  }
  return json
}

/** Given keys go over the ring's. */
export function judgeFreezeOptions(options: FreezeOptions | undefined, ring: RingSettings): IncidentSettings {
  const given = object(options, 'options')
  return {
    id: judgeId(given.id),
    reason: judgeReason(given.reason),
    labels: judgeLabels(given.labels),
    attack: judgeAttack(given.attack),
    since: given.since === undefined ? null : parseTime(given.since, 'options.since'),
    cap: judgeCap(given.cap, 'options.cap', ring.format, ring.cap),
    resolution: judgeResolution(given.resolution, 'options.resolution', ring.resolution),
  }
}

/** A manual capture has bounds of its own in packets and time, and no resolution section. */
export function judgeManualOptions(
  options: ManualOptions | undefined,
  ring: RingSettings,
): { settings: IncidentSettings; signal: AbortSignal | undefined } {
  const given = object(options, 'options')
  const settings: IncidentSettings = {
    id: judgeId(given.id),
    reason: judgeReason(given.reason),
    labels: judgeLabels(given.labels),
    attack: 'null',
    since: null,
    cap: judgeCap(given.cap, 'options.cap', ring.format, { packets: 10_000, bytes: ring.cap.bytes, duration: 30_000 }),
    resolution: { packets: 0, duration: 0, reserve: false },
  }
  return { settings, signal: judgeSignal(given.signal) }
}

export function judgeSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined
  // By what it can do: a signal may come from another realm.
  const { aborted, addEventListener } = (value ?? {}) as Partial<AbortSignal>
  if (typeof aborted !== 'boolean' || typeof addEventListener !== 'function') {
    throw invalidArgType('options.signal', 'AbortSignal', value)
  }
  return value as AbortSignal
}

/** For what takes an options bag of its own. */
export const judgeObject = object
/** A file name to write to. */
export const judgePath = (value: unknown, name: string): string => resolve(filled(value, name))
