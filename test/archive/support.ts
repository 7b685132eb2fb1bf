// Archives and captures for their tests. Whoever imports this is watched for keys: see test/support/canary.ts.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

import { BaseArchive } from '../../src/archive/base-archive.js'
import { LocalArchive, type LocalArchiveOptions } from '../../src/archive/index.js'
import { type IncidentReport, PcapRing } from '../../src/index.js'
import { canaryKey, look, lookIn } from '../support/canary.js'
import { udpPackets } from '../support/generate.js'
import { Host, type HostOptions } from '../support/host.js'
import * as replays from '../support/replay.js'

interface Teardown {
  teardown(fn: () => unknown): void
}

export const keyOf = (id = 'k1') => ({ id, secret: canaryKey() })

/** A directory of its own that goes with the test, and has no key in it then. */
export function scratch(t: Teardown): string {
  const dir = replays.scratch(t)
  t.teardown(() => lookIn(dir))
  return dir
}

/** A host that says no key. */
export async function startHost(t: Teardown, options?: HostOptions): Promise<Host> {
  const host = await Host.start(t, options)
  void host.ended.then((ended) => look('what a host said', ended))
  return host
}

// What archives and rings say.
type Act = (this: BaseArchive, ...args: unknown[]) => Promise<unknown>
const acts = BaseArchive.prototype as unknown as Record<string, Act>
for (const name of ['put', 'open', 'sign', 'remove', 'sweep', 'copyTo']) {
  const act = acts[name] as Act
  acts[name] = async function (...args) {
    try {
      const result = await act.apply(this, args)
      if (name !== 'open') look(`what ${name}() fulfilled with`, result)
      return result
    } catch (error) {
      look(`what ${name}() rejected with`, error)
      throw error
    }
  }
}
const emit = PcapRing.prototype.emit as (this: PcapRing, name: string, ...args: unknown[]) => boolean
PcapRing.prototype.emit = function (this: PcapRing, name: string, ...args: unknown[]) {
  if (['warning', 'resolve', 'archive'].includes(name)) look(`the event ${name}`, args)
  return emit.call(this, name, ...args)
} as typeof PcapRing.prototype.emit

export const archiveOf = (t: Teardown, options: Partial<LocalArchiveOptions> = {}): LocalArchive =>
  new LocalArchive({ directory: join(scratch(t), 'archive'), keys: [keyOf()], ...options })

export interface Capture {
  file: string
  report: IncidentReport
  bytes: Buffer
}

/** A capture of so many packets, and as much of its report as an archive looks at. */
export function captureOf(t: Teardown, id: string, packets = 20): Capture {
  return capturedAs(t, id, replays.recordingOf(udpPackets({ pps: 1_000, count: packets })))
}

export function capturedAs(t: Teardown, id: string, bytes: Buffer): Capture {
  const file = join(scratch(t), `incident_${id}.pcap`)
  writeFileSync(file, bytes)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const report = { version: 1, id, format: 'pcap', file, bytes: bytes.length, sha256, reason: 'a test' }
  return { file, report: report as unknown as IncidentReport, bytes }
}

export async function bytesOf(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces)
}

/** What came before it failed, and the error. */
export async function bytesUpToError(
  stream: Readable,
): Promise<{ bytes: Buffer; error: NodeJS.ErrnoException | null }> {
  const pieces: Buffer[] = []
  try {
    for await (const piece of stream) pieces.push(piece)
    return { bytes: Buffer.concat(pieces), error: null }
  } catch (error) {
    return { bytes: Buffer.concat(pieces), error: error as NodeJS.ErrnoException }
  }
}

export async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

export const trailOf = (directory: string): string => join(directory, 'audit')

export const batchesOf = (directory: string): string[] =>
  readdirSync(trailOf(directory))
    .filter((name) => name.endsWith('.jsonl'))
    .sort()

/** An entry as its process would have made it, had it not died before it got its name. */
export async function unfinishedEntry(
  t: Teardown,
  directory: string,
  keys: ReturnType<typeof keyOf>[],
): Promise<string> {
  const copy = join(scratch(t), 'copy')
  cpSync(directory, copy, { recursive: true })
  const before = batchesOf(copy)
  await new LocalArchive({ directory: copy, keys, baseUrl: 'http://localhost/c' }).sign('a', { actor: 'dying' })
  const [made] = batchesOf(copy).filter((name) => !before.includes(name)) as [string]
  return readFileSync(join(trailOf(copy), made), 'utf8')
}

export const minutesAgo = (path: string): void => {
  const time = Date.now() / 1_000 - 120
  utimesSync(path, time, time)
}

/** A server on loopback that nobody answers for yet; it ends with the test. */
export async function listening(t: Teardown): Promise<{ server: Server; origin: string }> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}
