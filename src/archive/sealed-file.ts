import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'

import { PcapRingError } from '../errors.js'
import { type Head, longestHead, type OpenedHead, openHead, sealHead } from './envelope.js'
import type { ArchiveKey, KeyRing } from './keys.js'
import type { Store, StoredFile } from './store.js'
import { chunkSize, chunksOf, openChunk, Sealer, sealedChunkSize } from './stream.js'

/** Read and opened at once. */
const chunksAtOnce = 16

/** The bytes of an archived capture: a head, and in chunks the report and then the capture. */
export async function* seal(
  known: Omit<Head, 'version' | 'key'>,
  key: ArchiveKey,
  report: Uint8Array,
  capture: AsyncIterable<Uint8Array>,
): AsyncGenerator<Buffer> {
  const { bytes, dataKey } = sealHead(known, key)
  const sealer = new Sealer(dataKey)
  const hash = createHash('sha256')
  let size = 0
  yield bytes
  yield sealer.update(report)
  for await (const piece of capture) {
    hash.update(piece)
    size += piece.length
    yield sealer.update(piece)
  }
  if (size !== known.bytes || hash.digest('hex') !== known.sha256) {
    throw new PcapRingError(
      'ERR_PCAP_ARCHIVE_CORRUPT',
      `capture ${known.id} is not what its report says: it was changed since; it is not archived`,
    )
  }
  yield sealer.final()
}

/** An archived capture that was found whole from the outside: its head is authentic, its size right. */
export class SealedFile {
  readonly head: Head
  readonly #file: StoredFile
  readonly #opened: OpenedHead
  readonly #where: string

  private constructor(file: StoredFile, opened: OpenedHead, where: string) {
    this.head = opened.head
    this.#file = file
    this.#opened = opened
    this.#where = where
  }

  /** null: there is none. Whoever opens it has to close it. */
  static async open(store: Store, id: string, keys: KeyRing): Promise<SealedFile | null> {
    const file = await store.open(id)
    if (file === null) return null
    try {
      const where = store.location(id)
      const bytes = await file.read(0, longestHead)
      return new SealedFile(file, openHead(bytes, file.size, id, keys, where), where)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** The plain report, JSON. */
  async report(): Promise<string> {
    const pieces: Buffer[] = []
    for await (const piece of this.#plain(0, this.head.report)) pieces.push(piece)
    return Buffer.concat(pieces).toString('utf8')
  }

  /**
   * The plain capture from `start` to before `end`. The stream closes the file.
   * @param failed what ended it early, but for whoever destroyed it
   */
  stream(start: number, end: number, failed?: (error: Error) => void): Readable {
    const { report } = this.head
    const pieces = this.#plain(report + start, report + end)
    return new Readable({
      highWaterMark: chunkSize,
      read() {
        pieces.next().then(
          ({ done, value }) => void this.push(done ? null : value),
          (error) => {
            failed?.(error)
            this.destroy(error)
          },
        )
      },
      destroy: (error, callback) => {
        // A read under way ends first.
        pieces
          .return(undefined)
          .catch(() => {})
          .then(() => this.close())
          .then(() => callback(error), callback)
      },
    })
  }

  async *#plain(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    const { head, dataKey, size } = this.#opened
    const chunks = chunksOf(head.report + head.bytes)
    const endChunk = Math.ceil(end / chunkSize)
    for (let first = Math.floor(start / chunkSize); first < endChunk; first += chunksAtOnce) {
      const count = Math.min(chunksAtOnce, endChunk - first)
      const sealed = await this.#file.read(size + first * sealedChunkSize, count * sealedChunkSize)
      for (let i = 0; i < count; i++) {
        const chunk = first + i
        const piece = this.#openChunk(dataKey, chunk, chunk === chunks - 1, sealed, i)
        const at = chunk * chunkSize
        yield piece.subarray(Math.max(0, start - at), Math.min(piece.length, end - at))
      }
    }
  }

  #openChunk(dataKey: OpenedHead['dataKey'], chunk: number, last: boolean, sealed: Buffer, i: number): Buffer {
    try {
      return openChunk(dataKey, chunk, last, sealed.subarray(i * sealedChunkSize, (i + 1) * sealedChunkSize))
    } catch (cause) {
      throw new PcapRingError(
        'ERR_PCAP_ARCHIVE_CORRUPT',
        `${this.#where} is damaged within its chunk ${chunk}; what came before it is right: restore this file from a copy`,
        { cause },
      )
    }
  }
}
