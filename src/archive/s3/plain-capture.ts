import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'

import { PcapRingError } from '../../errors.js'
import { expectSize, type Head, type OpenedHead, openHead } from '../envelope.js'
import { mediaType } from '../handler.js'
import type { KeyRing } from '../keys.js'
import { readableOf } from '../pieces.js'
import { chunksOf, openChunk, sealedChunkSize } from '../stream.js'
import type { Kept } from '../vault.js'
import type { Bucket } from './bucket.js'
import { metadata } from './objects.js'
import { S3File } from './s3-file.js'
import { getSignedUrl, s3 } from './sdk.js'

const pieceSize = 1024 * 1024
const nonceAt = -60
const nonceSize = 12

/** What a head is known by: random in each. */
export const nonceOf = (head: Buffer): string => head.subarray(nonceAt, nonceAt + nonceSize).toString('hex')

/** A capture that lies in the clear, as far as we see; the store encrypts it. Its head is in its metadata, its report apart. */
export class PlainCapture implements Kept {
  readonly head: Head
  readonly file: S3File
  readonly #bucket: Bucket
  readonly #dataKey: OpenedHead['dataKey']
  readonly #reportKey: string

  private constructor(bucket: Bucket, file: S3File, { head, dataKey }: OpenedHead, reportKey: string) {
    this.head = head
    this.#bucket = bucket
    this.file = file
    this.#dataKey = dataKey
    this.#reportKey = reportKey
  }

  /** @param reports the prefix of reports */
  static open(bucket: Bucket, file: S3File, id: string, keys: KeyRing, reports: string): PlainCapture {
    const where = `s3://${bucket.name}/${file.key}`
    const bytes = Buffer.from(file.metadata[metadata.head] ?? '', 'base64')
    const opened = openHead(bytes, id, keys, where, 'plain')
    expectSize(file.size, opened.head.bytes, where)
    return new PlainCapture(bucket, file, opened, `${reports}${id}.${nonceOf(bytes)}`)
  }

  async report(): Promise<string> {
    const where = `s3://${this.#bucket.name}/${this.#reportKey}`
    const file = await S3File.open(this.#bucket, this.#reportKey)
    try {
      const sealed = (await file?.read(0, file.size)) ?? Buffer.alloc(0)
      const chunks = chunksOf(this.head.report)
      const pieces = Array.from({ length: chunks }, (_, chunk) => {
        const piece = sealed.subarray(chunk * sealedChunkSize, (chunk + 1) * sealedChunkSize)
        return openChunk(this.#dataKey, chunk, chunk === chunks - 1, piece)
      })
      return Buffer.concat(pieces).toString('utf8')
    } catch (cause) {
      if (cause instanceof PcapRingError) throw cause
      const message = `${where}, the report of the capture ${this.head.id}, is missing or damaged: restore it from a copy`
      throw new PcapRingError('ERR_PCAP_ARCHIVE_CORRUPT', message, { cause })
    } finally {
      await file?.close()
    }
  }

  stream(start: number, end: number, failed?: (error: Error) => void): Readable {
    return readableOf(this.#pieces(start, end), pieceSize, () => this.close(), failed)
  }

  async *#pieces(start: number, end: number): AsyncGenerator<Buffer, void, undefined> {
    const whole = start === 0 && end === this.head.bytes
    const hash = createHash('sha256')
    for (let at = start; at < end; at += pieceSize) {
      const piece = await this.file.read(at, Math.min(pieceSize, end - at))
      if (whole) hash.update(piece)
      yield piece
    }
    if (!whole || hash.digest('hex') === this.head.sha256) return
    throw new PcapRingError(
      'ERR_PCAP_ARCHIVE_CORRUPT',
      `s3://${this.#bucket.name}/${this.file.key} is not what was stored: its digest is another; restore it from a copy`,
    )
  }

  async presign(lifeMs: number): Promise<{ url: string; expiresMs: number }> {
    const { id, format } = this.head
    const seconds = Math.floor(lifeMs / 1_000)
    const signingDate = new Date()
    const command = new s3.GetObjectCommand({
      Bucket: this.#bucket.name,
      Key: this.file.key,
      VersionId: this.file.version,
      ResponseContentDisposition: `attachment; filename="incident_${id}.${format}"`,
      ResponseContentType: mediaType[format],
      ResponseCacheControl: 'private, no-store',
    })
    try {
      const url = await getSignedUrl(this.#bucket.client, command, { expiresIn: seconds, signingDate })
      return { url, expiresMs: Math.floor(signingDate.getTime() / 1_000) * 1_000 + seconds * 1_000 }
    } catch (error) {
      throw this.#bucket.unavailable(error)
    }
  }

  close(): Promise<void> {
    return this.file.close()
  }
}
