// Rings over recordings, and what they wrote, for the tests of replay and incidents.

import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Incident, IncidentReport, PcapRingError, PcapRingOptions, Stats } from '../../src/index.js'
import { PcapRing } from '../../src/index.js'
import type { GeneratedPacket } from './generate.js'
import { sequenceOf } from './generate.js'
import type { PcapFile } from './pcap-file.js'
import { parseCapture } from './pcapng-file.js'
import { pcapBytes, toRaw } from './recording.js'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** A directory of its own that goes with the test. */
export function scratch(t: Teardown): string {
  const dir = mkdtempSync(join(tmpdir(), 'pcap-ring-test-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A ring that is closed with the test, its directory in a scratch one unless given. */
export function ringOf(t: Teardown, options: PcapRingOptions): PcapRing {
  const directory = options.directory ?? scratch(t)
  const ring = new PcapRing({ ...options, directory })
  // Closed before its directory goes: teardowns run last first.
  t.teardown(() => ring.close())
  return ring
}

/** A recording of generated packets. */
export const recordingOf = (...parts: GeneratedPacket[][]): Buffer => pcapBytes(toRaw(parts.flat()))

export interface Seen {
  stats: Stats[]
  warnings: PcapRingError[]
  events: string[]
}

const names = ['start', 'stats', 'warning', 'freeze', 'flush', 'cap', 'resolve', 'end', 'close'] as const

/** What a ring tells from here on. */
export function watch(ring: PcapRing): Seen {
  const seen: Seen = { stats: [], warnings: [], events: [] }
  for (const name of names) ring.on(name, () => void seen.events.push(name))
  ring.on('stats', (stats) => void seen.stats.push(stats))
  ring.on('warning', (warning) => void seen.warnings.push(warning))
  return seen
}

/** Starts the ring and waits for the recording's end. */
export async function replay(ring: PcapRing): Promise<Seen> {
  const seen = watch(ring)
  const end = once(ring, 'end')
  await ring.start()
  await end
  return seen
}

/** The file at its final name, read by somebody else. */
export const fileOf = (path: string): PcapFile => parseCapture(path)

/** Sequence numbers of the generated packets in a file. */
export const sequencesIn = (path: string): number[] => fileOf(path).records.map(({ data }) => sequenceOf(data))

/** `count` numbers from `first` on. */
export const range = (first: number, count: number): number[] => Array.from({ length: count }, (_, i) => first + i)

interface Asserts {
  equal(found: unknown, wanted: unknown, ...extra: unknown[]): unknown
  strictSame(found: unknown, wanted: unknown, ...extra: unknown[]): unknown
  notOk(value: unknown, ...extra: unknown[]): unknown
}

/** What others print of 100,000 packets and more. */
const maxBuffer = 64 * 1024 * 1024

/** Whether tcpdump reads a file to its end. */
export function tcpdumpCount(path: string): number {
  const text = execFileSync('tcpdump', ['-nt', '-r', path], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer,
  })
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('\t')).length
}

/** How many frames tshark reads in a file. */
export function tsharkCount(path: string): number {
  const text = execFileSync('tshark', ['-r', path, '-T', 'fields', '-e', 'frame.number'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer,
  })
  return text.split('\n').length - 1
}

/** A finished incident's file and report agree and are valid for others; returns the sequence numbers in the file. */
export async function validIncident(t: Asserts, incident: Incident): Promise<[IncidentReport, number[]]> {
  const report = await incident.finished
  const path = incident.file as string
  t.equal(report.file, path)
  t.equal(report.error, null)
  t.strictSame(JSON.parse(readFileSync(path.replace(/\.pcap(ng)?$/, '.json'), 'utf8')), report)
  t.notOk(existsSync(`${path}.part`), 'no part is left')
  const bytes = readFileSync(path)
  const { records } = fileOf(path)
  t.equal(report.bytes, bytes.length)
  t.equal(report.packets, records.length)
  t.equal(incident.packets, records.length)
  t.equal(tcpdumpCount(path), records.length, 'tcpdump reads all of it')
  let frame = 1
  for (const { firstFrame, lastFrame, packets } of report.sections) {
    t.equal(firstFrame, frame)
    t.equal(lastFrame - firstFrame + 1, packets)
    frame = lastFrame + 1
  }
  t.equal(frame - 1, records.length, 'the sections cover the file')
  return [report, records.map(({ data }) => sequenceOf(data))]
}

/** Packets by section, as `{ 'pre-buffer': 500, attack: 20 }`. */
export const sectionCounts = ({ sections }: IncidentReport): Record<string, number> =>
  Object.fromEntries(sections.map(({ name, packets }) => [name, packets]))
