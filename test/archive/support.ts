// Archives and captures for their tests.

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

import { LocalArchive, type LocalArchiveOptions } from '../../src/archive/index.js'
import type { IncidentReport } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { recordingOf, scratch } from '../support/replay.js'

interface Teardown {
  teardown(fn: () => unknown): void
}

export const keyOf = (id = 'k1', fill?: number) => ({
  id,
  secret: fill === undefined ? randomBytes(32) : Buffer.alloc(32, fill),
})

export const archiveOf = (t: Teardown, options: Partial<LocalArchiveOptions> = {}): LocalArchive =>
  new LocalArchive({ directory: join(scratch(t), 'archive'), keys: [keyOf()], ...options })

export interface Capture {
  file: string
  report: IncidentReport
  bytes: Buffer
}

/** A capture of so many packets, and as much of its report as an archive looks at. */
export function captureOf(t: Teardown, id: string, packets = 20): Capture {
  return capturedAs(t, id, recordingOf(udpPackets({ pps: 1_000, count: packets })))
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
