import type { BigIntStats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { PcapRingError } from '../errors.js'
import { isName } from './keys.js'
import { available, createFile, namesIn, openToRead, removeFile, removeJust, unfinishedIn } from './local-files.js'
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

  read(position: number, length: number): Promise<Buffer> {
    return available(this.#path, async () => {
      const buffer = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, this.size - position)))
      let filled = 0
      while (filled < buffer.length) {
        const { bytesRead } = await this.#handle.read(buffer, filled, buffer.length - filled, position + filled)
        if (bytesRead === 0) break
        filled += bytesRead
      }
      return buffer.subarray(0, filled)
    })
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
        for await (const bytes of content) {
          signal?.throwIfAborted()
          await file.writeFile(bytes)
        }
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
