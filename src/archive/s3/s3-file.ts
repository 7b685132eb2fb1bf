import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'

import { PcapRingError } from '../../errors.js'
import { longestHead } from '../envelope.js'
import type { StoredFile } from '../store.js'
import { type Bucket, isAbsent, isAnswer, isBrokenOff } from './bucket.js'
import { s3 } from './sdk.js'
import { standing } from './versions.js'

/** Fetched at once where an object is read on and on, and so many of them at the same time. */
const partSize = 4 * 1024 * 1024
const partsAhead = 3
const attempts = 3

interface Part {
  start: number
  end: number
  bytes: Promise<Buffer>
}

/** An object that is read in ranges, of one version. */
export class S3File implements StoredFile {
  readonly size: number
  readonly metadata: Record<string, string>
  readonly key: string
  readonly version: string | undefined
  readonly etag: string | undefined
  readonly #bucket: Bucket
  /** The beginning, which came with the rest of this. */
  readonly #first: Buffer
  #parts: Part[] = []
  #readUpTo = -1
  readonly #closed = new AbortController()

  private constructor(bucket: Bucket, key: string, found: GetObjectCommandOutput, size: number, first: Buffer) {
    this.#bucket = bucket
    this.key = key
    this.size = size
    this.metadata = found.Metadata ?? {}
    this.version = found.VersionId
    this.etag = found.ETag || undefined
    this.#first = first
  }

  /** The version that stands. null: there is none. */
  static async open(bucket: Bucket, key: string): Promise<S3File | null> {
    const newest = await S3File.#begin(bucket, key)
    if (newest?.version === undefined) return newest
    const version = (await standing(bucket, key)) ?? newest.version
    return version === newest.version ? newest : S3File.#begin(bucket, key, version)
  }

  static async #begin(bucket: Bucket, key: string, VersionId?: string): Promise<S3File | null> {
    const what = { Bucket: bucket.name, Key: key, VersionId }
    try {
      const found = await bucket.send(new s3.GetObjectCommand({ ...what, Range: `bytes=0-${longestHead - 1}` }))
      const first = await bytesOf(bucket, found)
      const size = Number(/\/(\d+)$/.exec(found.ContentRange ?? '')?.[1] ?? first.length)
      return new S3File(bucket, key, found, size, first)
    } catch (error) {
      if (isAbsent(error)) return null
      // Nothing can be a range of an empty one.
      if (!isAnswer(error, 416)) throw error
      const found = await bucket.send(new s3.GetObjectCommand(what))
      const first = await bytesOf(bucket, found)
      return new S3File(bucket, key, found, first.length, first)
    }
  }

  async read(position: number, length: number): Promise<Buffer> {
    const end = Math.min(position + length, this.size)
    if (end <= position) return Buffer.alloc(0)
    if (end <= this.#first.length) return this.#first.subarray(position, end)
    const goesOn = position === this.#readUpTo
    this.#readUpTo = end
    if (!goesOn) {
      this.#parts = []
      return this.#fetch(position, end)
    }
    const pieces: Buffer[] = []
    for (let at = position; at < end; ) {
      const part = this.#partAt(at)
      const bytes = await part.bytes
      pieces.push(bytes.subarray(at - part.start, Math.min(end, part.end) - part.start))
      at = Math.min(end, part.end)
    }
    return pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces)
  }

  /** What is behind it is asked for meanwhile. */
  #partAt(position: number): Part {
    while (this.#parts[0] !== undefined && this.#parts[0].end <= position) this.#parts.shift()
    while (this.#parts.length < partsAhead) {
      const start = this.#parts.at(-1)?.end ?? position
      const end = Math.min(start + partSize, this.size)
      if (start >= end) break
      const bytes = this.#fetch(start, end)
      // It is told of where it is read.
      bytes.catch(() => {})
      this.#parts.push({ start, end, bytes })
    }
    return this.#parts[0] as Part
  }

  async #fetch(start: number, end: number): Promise<Buffer> {
    const command = new s3.GetObjectCommand({
      Bucket: this.#bucket.name,
      Key: this.key,
      VersionId: this.version,
      IfMatch: this.version === undefined ? this.etag : undefined,
      Range: `bytes=${start}-${end - 1}`,
    })
    for (let attempt = 1; ; attempt++) {
      try {
        return await bytesOf(this.#bucket, await this.#bucket.send(command, this.#closed.signal))
      } catch (error) {
        if (isAbsent(error) || isAnswer(error, 412)) throw this.#gone()
        // What broke off amid an answer the SDK does not ask for again.
        if (!isBrokenOff(error) || attempt === attempts) throw error
      }
    }
  }

  #gone(): PcapRingError {
    return new PcapRingError(
      'ERR_PCAP_ARCHIVE_NOT_FOUND',
      `s3://${this.#bucket.name}/${this.key} was removed or replaced while it was read`,
    )
  }

  async close(): Promise<void> {
    this.#closed.abort()
    this.#parts = []
  }
}

async function bytesOf(bucket: Bucket, { Body }: GetObjectCommandOutput): Promise<Buffer> {
  try {
    const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array()
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  } catch (error) {
    throw bucket.unavailable(error)
  }
}
