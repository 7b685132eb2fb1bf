import { ahead } from '../ahead.js'
import { longestHead, random, sealHead } from '../envelope.js'
import { mediaType } from '../handler.js'
import { isName, type KeyRing } from '../keys.js'
import { checked } from '../pieces.js'
import { SealedFile, seal } from '../sealed-file.js'
import { Sealer, sealedSize } from '../stream.js'
import type { Incoming, Known, Vault } from '../vault.js'
import type { Bucket } from './bucket.js'
import { askFor, type Encryption, expectEncrypted } from './encryption.js'
import { retentionTag } from './lifecycle.js'
import type { Lock } from './lock.js'
import { abandonedAfterMs, metadata, Objects } from './objects.js'
import { nonceOf, PlainCapture } from './plain-capture.js'
import { S3File } from './s3-file.js'

const reportsAtOnce = 16

export interface S3VaultOptions {
  bucket: Bucket
  prefix: string
  lock: Lock
  encryption: Encryption
  onProgress: ((id: string, bytes: number, of: number) => void) | undefined
}

/** An object for each capture. Whether it is sealed, or plain and encrypted by the store, was decided when it was put. */
export class S3Vault implements Vault {
  readonly presigns: boolean
  readonly #bucket: Bucket
  readonly #objects: Objects
  readonly #captures: string
  readonly #reports: string
  readonly #lock: Lock
  readonly #encryption: Encryption

  constructor({ bucket, prefix, lock, encryption, onProgress }: S3VaultOptions) {
    this.presigns = encryption !== 'client'
    this.#bucket = bucket
    this.#captures = `${prefix}captures/`
    this.#reports = `${prefix}reports/`
    this.#lock = lock
    this.#encryption = encryption
    const told = (key: string, bytes: number, of: number): void => {
      if (key.startsWith(this.#captures)) onProgress?.(key.slice(this.#captures.length), bytes, of)
    }
    this.#objects = new Objects(bucket, askFor(encryption), told)
  }

  #key(id: string): string {
    return this.#captures + id
  }

  #where(key: string): string {
    return `s3://${this.#bucket.name}/${key}`
  }

  location(id: string): string {
    return this.#where(this.#key(id))
  }

  async create(incoming: Incoming, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#encryption !== 'client') return this.#createPlain(incoming, signal)
    const { id, report, bytes } = incoming.known
    const content = {
      pieces: seal(incoming),
      size: longestHead + sealedSize(report + bytes),
      ...(await this.#described(incoming.known)),
    }
    return (await this.#objects.create(this.#key(id), content, signal)) !== false
  }

  /** The report goes first: if the store does not encrypt that, it gets nothing of the capture. */
  async #createPlain(incoming: Incoming, signal: AbortSignal | undefined): Promise<boolean> {
    const { known, key, report, capture, enter } = incoming
    const { bytes, dataKey } = sealHead(known, key, random(), 'plain')
    const captureKey = this.#key(known.id)
    const reportKey = `${this.#reports}${known.id}.${nonceOf(bytes)}`
    const described = await this.#described(known)
    const sealer = new Sealer(dataKey)
    const sealed = Buffer.concat([sealer.update(report), sealer.final()])
    const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = described.fields
    const lockReport = async (): Promise<void> => {
      if (mode !== undefined) await this.#objects.lock(reportKey, mode, until)
    }
    const all = async function* (): AsyncGenerator<Uint8Array> {
      yield* checked(known, capture)
      // As late as can be, since what is locked stays if the rest fails; and no capture is there whose report is not locked.
      await lockReport()
      await enter()
    }
    let kept = false
    try {
      const made = await this.#objects.create(
        reportKey,
        {
          ...described,
          pieces: piecesOf(sealed),
          size: sealed.length,
          fields: { ContentType: 'application/octet-stream' },
        },
        signal,
      )
      expectEncrypted(this.#encryption, made || {}, this.#where(reportKey))
      const there = await this.#objects.create(
        captureKey,
        {
          pieces: all(),
          size: known.bytes,
          tagging: described.tagging,
          metadata: { ...described.metadata, [metadata.head]: bytes.toString('base64') },
          fields: { ...described.fields, ContentType: mediaType[known.format] },
        },
        signal,
      )
      if (there === false) return false
      try {
        expectEncrypted(this.#encryption, there, this.#where(captureKey))
      } catch (error) {
        await this.#objects.remove(captureKey)
        throw error
      }
      kept = true
      return true
    } finally {
      if (!kept) await this.#objects.remove(reportKey).catch(() => {}) // what stays is found by tidy()
    }
  }

  async #described({ retainedUntil, storedAt }: Known) {
    const until = new Date(retainedUntil)
    return {
      metadata: { [metadata.retainedUntil]: retainedUntil },
      tagging: new URLSearchParams(retentionTag(until.getTime() - Date.parse(storedAt))).toString(),
      fields: { ContentType: 'application/octet-stream', ...(await this.#lock.until(until)) },
    }
  }

  async open(id: string, keys: KeyRing): Promise<SealedFile<S3File> | PlainCapture | null> {
    const file = await this.find(id)
    if (file === null) return null
    if (file.metadata[metadata.head] === undefined) return SealedFile.open(file, id, keys, this.location(id))
    return PlainCapture.open(this.#bucket, file, id, keys, this.#reports)
  }

  /** What is no placeholder. */
  async find(id: string): Promise<S3File | null> {
    const file = await S3File.open(this.#bucket, this.#key(id))
    return file?.metadata[metadata.upload] === undefined ? file : null
  }

  async *ids(): AsyncGenerator<string> {
    for await (const { key } of this.#objects.list(this.#captures)) {
      const id = key.slice(this.#captures.length)
      if (isName(id)) yield id
    }
  }

  async remove(id: string, only: SealedFile<S3File> | PlainCapture | S3File): Promise<boolean> {
    const { metadata: was, version, etag } = only instanceof S3File ? only : only.file
    const there = await this.#objects.head(this.#key(id))
    if (there === null || there.VersionId !== version) return false
    // The same bytes have one ETag, whoever puts them.
    if ((there.ETag || undefined) !== etag || there.Metadata?.[metadata.writer] !== was[metadata.writer]) return false
    const removed = await this.#objects.remove(this.#key(id), there)
    const head = was[metadata.head]
    if (head !== undefined) await this.#objects.remove(`${this.#reports}${id}.${nonceOf(Buffer.from(head, 'base64'))}`)
    return removed
  }

  async tidy(): Promise<void> {
    const open = await this.#objects.tidy(this.#captures)
    const before = Date.now() - abandonedAfterMs
    const orphan = async ({ key, modified }: { key: string; modified: Date }): Promise<string | null> => {
      if (modified.getTime() > before) return null
      const id = key.slice(this.#reports.length, key.lastIndexOf('.'))
      // It is put before the upload of its capture begins.
      if (open.has(this.#key(id))) return null
      return (await this.#objects.head(this.#key(id))) === null ? key : null
    }
    for await (const key of ahead(this.#objects.list(this.#reports), reportsAtOnce, orphan)) {
      if (key === null) continue
      const there = await this.#objects.head(key)
      const lockedUntil = there?.ObjectLockRetainUntilDate?.getTime() ?? 0
      if (lockedUntil <= Date.now()) await this.#objects.remove(key, there)
    }
  }
}

async function* piecesOf(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes
}
