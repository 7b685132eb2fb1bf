// Whether a value from anywhere is a report: a file may hold anything, and what is rendered must not be guessed.

import type { IncidentReport } from '../types.js'
import type { AnyReport } from './types.js'

type Shape = (value: unknown) => boolean

const text: Shape = (value) => typeof value === 'string'
const number: Shape = (value) => typeof value === 'number' && Number.isFinite(value)
const flag: Shape = (value) => typeof value === 'boolean'
const time: Shape = (value) =>
  typeof value === 'string' &&
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,9}Z$/.test(value) &&
  !Number.isNaN(Date.parse(value))
const oneOf =
  (...values: unknown[]): Shape =>
  (value) =>
    values.includes(value)
const orNull =
  (shape: Shape): Shape =>
  (value) =>
    value === null || shape(value)
const orAbsent =
  (shape: Shape): Shape =>
  (value) =>
    value === undefined || shape(value)
const listOf =
  (shape: Shape): Shape =>
  (value) =>
    Array.isArray(value) && value.every(shape)
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const object =
  (members: Record<string, Shape>): Shape =>
  (value) =>
    isObject(value) && Object.entries(members).every(([name, shape]) => shape(value[name]))
const numbers = (...names: string[]): Shape => object(Object.fromEntries(names.map((name) => [name, number])))

const protocols = numbers('tcp', 'udp', 'icmp', 'other')
const tcpFlags = numbers('syn', 'synack', 'ack', 'rst', 'fin')
const sampling = numbers('min', 'max')
const addresses = object({
  count: number,
  estimated: flag,
  top: listOf(object({ address: text, packets: number, bytes: number })),
  other: number,
})
const traffic = object({
  protocols,
  tcpFlags,
  fragments: number,
  sizes: listOf(object({ upTo: orNull(number), packets: number })),
  sources: addresses,
  destinations: addresses,
  ports: listOf(object({ proto: text, side: text, port: number, packets: number })),
  timeline: listOf(object({ at: time, packets: number, bytes: number, section: text })),
})
const sections = listOf(
  object({
    name: text,
    packets: number,
    bytes: number,
    from: time,
    to: time,
    firstFrame: number,
    lastFrame: number,
    sampling: orNull(sampling),
  }),
)
const peak = object({ value: number, at: time })

const incident = object({
  version: oneOf(1),
  id: text,
  kind: oneOf('incident', 'manual'),
  reason: orNull(text),
  labels: (value) => isObject(value) && Object.values(value).every(text),
  attack: orNull(
    object({
      at: time,
      onsetAt: orNull(time),
      pps: number,
      bps: number,
      baseline: numbers('pps', 'bps'),
      cause: text,
      vector: text,
      severity: text,
    }),
  ),
  source: oneOf('device', 'file'),
  mode: oneOf('capture', 'statistics'),
  file: orNull(text),
  format: text,
  linkType: text,
  snaplen: number,
  filter: orNull(text),
  direction: text,
  bytes: number,
  packets: number,
  sha256: orNull(text),
  capped: orNull(text),
  recovered: flag,
  error: orNull(text),
  frozenAt: time,
  resolvedAt: time,
  duration: number,
  from: orNull(time),
  to: orNull(time),
  sections,
  coverage: object({
    onsetAt: orNull(time),
    onsetSource: orNull(text),
    preOnsetPackets: number,
    preOnsetSpan: number,
    complete: flag,
    gaps: listOf(object({ from: time, to: time, packets: orNull(number), exact: flag, reason: text })),
    clock: numbers('backSteps', 'largestBackStep'),
  }),
  loss: numbers('kernel', 'interface', 'writer'),
  statistics: object({
    packets: number,
    bytes: number,
    peakPps: peak,
    peakBps: peak,
    protocols: orNull(protocols),
    tcpFlags: orNull(tcpFlags),
    fragments: orNull(number),
    sampling: orAbsent(sampling),
    timeline: listOf(object({ at: time, packets: number, bytes: number })),
  }),
  traffic: orNull(traffic),
  custody: object({
    host: object({ hostname: text, bootId: orNull(text), kernel: text }),
    software: object({ version: text, libpcap: text, node: text }),
    device: orNull(
      object({
        name: text,
        index: number,
        mac: orNull(text),
        mtu: orNull(number),
        speed: orNull(number),
        driver: orNull(text),
        promiscuous: flag,
      }),
    ),
    clock: object({ synchronised: orNull(flag), maxErrorUs: orNull(number) }),
  }),
})

const recording = object({
  version: oneOf(1),
  kind: oneOf('recording'),
  id: text,
  file: text,
  format: orNull(text),
  linkTypes: listOf(object({ name: text, packets: number })),
  bytes: number,
  packets: number,
  sha256: text,
  error: orNull(text),
  from: orNull(time),
  to: orNull(time),
  duration: orNull(number),
  sections,
  traffic,
})

export const isIncidentReport = (value: unknown): value is IncidentReport => incident(value)

export const isReport = (value: unknown): value is AnyReport => incident(value) || recording(value)
