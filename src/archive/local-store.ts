import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { PcapRingError } from '../errors.js'
import { isName } from './keys.js'
import {
  available,
  createFile,
  namesIn,
  openToRead,
  readAt,
  removeFile,
  removeJust,
  unfinishedIn,
  writeAll,
} from './local-files.js'
import type { Store, StoredFile } from './store.js'

const extension = '.sealed'
const pattern = /^[A-Za-z0-9._-]{1,64}\.sealed$/
/** A capture is written in seconds; what it is read from may be slow. */
const abandonedAfterMs = 3_600_000
/** At a file that another process is removing, which takes it a moment. */
const mostLooks = 50

export class LocalFile implements StoredFile {
  readonly size: number
  readonly #handle: FileHandle
  readonly #path: string
  readonly #stats: BigIntStats
  #readUpTo = -1
  /** What is behind that, of where it is read on and on. */
  #next: { position: number; length: number; bytes: Promise<Buffer> } | null = null

  constructor(path: string, handle: FileHandle, stats: BigIntStats) {
    this.#path = path
    this.#handle = handle
    this.#stats = stats
    this.size = Number(stats.size)
  }

  /** Sound as long as this one is open: until then nobody else gets its number. */
  is({ dev, ino }: BigIntStats): boolean {
    return dev === this.#stats.dev && ino === this.#stats.ino
  }

  async read(position: number, length: number): Promise<Buffer> {
    length = Math.min(length, Math.max(0, this.size - position))
    const goesOn = position === this.#readUpTo
    const next = this.#next
    this.#next = null
    const known = next?.position === position && next.length === length
    const bytes = await (known ? next.bytes : this.#fetch(position, length))
    this.#readUpTo = position + bytes.length
    if (goesOn && this.#readUpTo < this.size) this.#readAhead(this.#readUpTo, length)
    return bytes
  }

  /** While somebody is at work on what is before it. */
  #readAhead(position: number, most: number): void {
    const length = Math.min(most, this.size - position)
    const bytes = this.#fetch(position, length)
    // It is told of where it is read.
    bytes.catch(() => {})
    this.#next = { position, length, bytes }
  }

  #fetch(position: number, length: number): Promise<Buffer> {
    return available(this.#path, () => readAt(this.#handle, position, length))
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** A file for each capture, in one directory. */
export class LocalStore implements Store {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  location(id: string): string {
    return join(this.#directory, `${id}${extension}`)
  }

  async create(id: string, content: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): Promise<boolean> {
    const path = this.location(id)
    return available(`the archive ${this.#directory}`, () =>
      createFile(path, 0o400, async (file) => {
        // One piece is written while the next is made.
        let written: Promise<void> = Promise.resolve()
        for await (const bytes of content) {
          signal?.throwIfAborted()
          await written
          written = writeAll(file, bytes)
          // It is told of before the next, or at the end; if `content` fails meanwhile, that is.
          written.catch(() => {})
        }
        await written
      }),
    )
  }

  open(id: string): Promise<StoredFile | null> {
    const path = this.location(id)
    return available(path, async () => {
      const handle = await openToRead(path)
      if (handle === null) return null
      try {
        return new LocalFile(path, handle, await handle.stat({ bigint: true }))
      } catch (error) {
        await handle.close()
        throw error
      }
    })
  }

  async *ids(): AsyncGenerator<string> {
    const names = await available(`the archive ${this.#directory}`, () => namesIn(this.#directory))
    for (const name of names) {
      const id = name.endsWith(extension) ? name.slice(0, -extension.length) : ''
      if (isName(id)) yield id
    }
  }

  async remove(id: string, only: LocalFile): Promise<boolean> {
    const path = this.location(id)
    for (let looks = 0; looks < mostLooks; looks++) {
      const outcome = await available(path, () => removeJust(path, (stats) => only.is(stats)))
      if (outcome !== 'held') return outcome === 'removed'
      await sleep(20)
    }
    const message = `${path}: another process is removing it, or died in that; a sweep() an hour later clears this up`
    throw new PcapRingError('ERR_PCAP_ARCHIVE_UNAVAILABLE', message)
  }

  tidy(): Promise<void> {
    return available(`the archive ${this.#directory}`, async () => {
      for (const { path, abandoned } of await unfinishedIn(this.#directory, pattern, abandonedAfterMs)) {
        if (abandoned) await removeFile(path)
      }
    })
  }
}
