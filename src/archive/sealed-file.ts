import type { Readable } from 'node:stream'

import { PcapRingError } from '../errors.js'
import { expectSize, type Head, longestHead, type OpenedHead, openHead, sealHead } from './envelope.js'
import type { KeyRing } from './keys.js'
import { checked, readableOf } from './pieces.js'
import type { StoredFile } from './store.js'
import { chunkSize, chunksOf, openChunk, Sealer, sealedChunkSize, sealedSize } from './stream.js'
import type { Incoming, Kept } from './vault.js'

/** Read and opened at once. */
const chunksAtOnce = 8

/** The bytes of an archived capture: a head, and in chunks the report and then the capture. */
export async function* seal({ known, key, report, capture, enter }: Incoming): AsyncGenerator<Buffer> {
  const { bytes, dataKey } = sealHead(known, key)
  const sealer = new Sealer(dataKey)
  yield bytes
  yield sealer.update(report)
  for await (const piece of checked(known, capture)) yield sealer.update(piece)
  yield sealer.final()
  // Whoever writes one piece while the next is made has written that one when it asks for another.
  yield Buffer.alloc(0)
  await enter()
}

/** An archived capture that was found whole from the outside: its head is authentic, its size right. */
export class SealedFile<F extends StoredFile = StoredFile> implements Kept {
  readonly head: Head
  readonly file: F
  readonly #opened: OpenedHead
  readonly #where: string

  private constructor(file: F, opened: OpenedHead, where: string) {
    this.head = opened.head
    this.file = file
    this.#opened = opened
    this.#where = where
  }

  /** Closes the file where it rejects. */
  static async open<F extends StoredFile>(file: F, id: string, keys: KeyRing, where: string): Promise<SealedFile<F>> {
    try {
      const opened = openHead(await file.read(0, longestHead), id, keys, where)
      const { report, bytes } = opened.head
      expectSize(file.size, opened.size + sealedSize(report + bytes), where)
      return new SealedFile(file, opened, where)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  close(): Promise<void> {
    return this.file.close()
  }

  async report(): Promise<string> {
    const pieces: Buffer[] = []
    for await (const piece of this.#plain(0, this.head.report)) pieces.push(piece)
    return Buffer.concat(pieces).toString('utf8')
  }

  stream(start: number, end: number, failed?: (error: Error) => void): Readable {
    const { report } = this.head
    return readableOf(this.#plain(report + start, report + end), chunkSize, () => this.close(), failed)
  }

  async *#plain(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    const { head, dataKey, size } = this.#opened
    const chunks = chunksOf(head.report + head.bytes)
    const endChunk = Math.ceil(end / chunkSize)
    for (let first = Math.floor(start / chunkSize); first < endChunk; first += chunksAtOnce) {
      const count = Math.min(chunksAtOnce, endChunk - first)
      const sealed = await this.file.read(size + first * sealedChunkSize, count * sealedChunkSize)
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
