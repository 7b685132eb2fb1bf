import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

import type {
  CreateMultipartUploadCommandOutput,
  DeleteObjectCommandInput,
  HeadObjectCommandOutput,
  PutObjectCommandInput,
} from '@aws-sdk/client-s3'

import { PcapRingError } from '../../errors.js'
import { type Bucket, isAbsent, isAnswer } from './bucket.js'
import { s3, Upload } from './sdk.js'
import { hasPartSince, uploadsUnder } from './uploads.js'
import { hide, standing, standingBeside, versionsOf } from './versions.js'

/** Under which names we leave word with an object. */
export const metadata = {
  /** Drawn for each try to make it: whether what is there is what we made. */
  writer: 'pcap-ring-writer',
  /** Of a placeholder: the upload that is about to take its place. */
  upload: 'pcap-ring-upload',
  /** Of a plain capture: its head, base64. */
  head: 'pcap-ring-head',
  retainedUntil: 'pcap-ring-retained-until',
} as const

/** What is smaller is put in one go. Parts are held in memory, some at a time. */
const leastPart = 8 * 1024 * 1024
const partsAtOnce = 3
const mostParts = 10_000

/** Between all parts being there and their becoming an object there is one request. */
const placeholderLifeMs = 60_000
const pollMs = 250
/** Of whatever the store does not get done, a pause between them. */
const mostTries = 10
/** Others may take and leave a name several times. */
const settledWithinMs = 5 * placeholderLifeMs
/** Nobody goes on any more with what has stood still for so long. */
export const abandonedAfterMs = 3_600_000

/** Uploads that this process is at work on, of whichever archive. */
const atWork = new Set<string>()

export interface Content {
  pieces: AsyncIterable<Uint8Array>
  size: number
  metadata: Record<string, string>
  tagging: string
  /** Further headers. */
  fields: Partial<PutObjectCommandInput>
}

/** A try to make an object. */
interface Attempt {
  key: string
  writer: string
  content: Content
  signal: AbortSignal | undefined
}

/** What the store says of an object. */
export type Made = Pick<HeadObjectCommandOutput, 'ServerSideEncryption' | 'SSEKMSKeyId'>

/**
 * Objects that are made once. One that is put in one go is on the condition that there is none. That condition is not known to every
 * store where a multipart upload is completed; so an empty object takes the name on the same condition before that, and the upload takes
 * its place. Whoever finds such a placeholder waits; if it stays, its writer died: the upload is aborted first, so that it never can be
 * completed, and then the placeholder goes.
 */
export class Objects {
  readonly #bucket: Bucket
  readonly #onProgress: ((key: string, bytes: number, of: number) => void) | undefined
  /** Uploads that could not be aborted when they failed. */
  readonly #left = new Map<string, string>()
  /** Headers of everything that is put. */
  readonly #fields: Partial<PutObjectCommandInput>

  constructor(
    bucket: Bucket,
    fields: Partial<PutObjectCommandInput>,
    onProgress?: (key: string, bytes: number, of: number) => void,
  ) {
    this.#bucket = bucket
    this.#fields = fields
    this.#onProgress = onProgress
  }

  /**
   * False: there is one already. What fails leaves nothing.
   * @returns what the store says of it
   */
  async create(key: string, content: Content, signal: AbortSignal | undefined): Promise<Made | false> {
    await this.#abortLeft()
    const writer = randomBytes(12).toString('hex')
    const attempt = { key, writer, content, signal }
    const stop = new AbortController()
    const stopping = (): void => stop.abort(signal?.reason)
    signal?.addEventListener('abort', stopping)
    if (signal?.aborted) stopping()
    let failure: unknown
    const failed = (error: unknown): void => {
      failure ??= error
      stop.abort(error)
    }
    const body = Readable.from(watched(content.pieces, stop.signal, failed))
    body.on('error', () => {})
    const underWay = new Set<Promise<unknown>>()
    let begun: string | undefined
    const send = async (command: unknown): Promise<unknown> => {
      const sent = (async () => {
        if (command instanceof s3.PutObjectCommand) {
          command.input.IfNoneMatch = '*'
          return this.#bucket.put(command, stop.signal)
        }
        if (command instanceof s3.CompleteMultipartUploadCommand) {
          if (!(await this.#take(key, writer, command.input.UploadId as string, stop.signal))) throw taken
          return this.#bucket.put(command, stop.signal)
        }
        const answer: unknown = await this.#bucket.send(command as never, stop.signal)
        if (command instanceof s3.CreateMultipartUploadCommand) {
          begun = (answer as CreateMultipartUploadCommandOutput).UploadId
          if (begun !== undefined) atWork.add(begun)
        }
        return answer
      })()
      underWay.add(sent)
      try {
        return await sent
      } catch (error) {
        failed(error)
        throw error
      } finally {
        underWay.delete(sent)
      }
    }
    const upload = new Upload({
      client: { config: this.#bucket.client.config, send } as never,
      params: {
        Bucket: this.#bucket.name,
        Key: key,
        Body: body,
        Metadata: { ...content.metadata, [metadata.writer]: writer },
        Tagging: content.tagging,
        ...this.#fields,
        ...content.fields,
      },
      partSize: Math.max(leastPart, Math.ceil(content.size / mostParts)),
      queueSize: partsAtOnce,
      // It is aborted below, when no part is under way any more.
      leavePartsOnError: true,
    })
    upload.on('httpUploadProgress', ({ loaded = 0 }) => this.#onProgress?.(key, loaded, content.size))
    try {
      const answer = await upload.done()
      // Without versions the condition has decided.
      if (upload.uploadId === undefined && answer.VersionId === undefined) return answer
      return await this.#finished(attempt, upload.uploadId, answer.VersionId)
    } catch (error) {
      failed(error)
      body.destroy()
      await Promise.allSettled(underWay)
      if (upload.uploadId !== undefined) await this.#abort(key, upload.uploadId)
      return await this.#afterwards(attempt, upload.uploadId, failure)
    } finally {
      signal?.removeEventListener('abort', stopping)
      if (begun !== undefined) atWork.delete(begun)
    }
  }

  /** @param put the version, if the store has told of one */
  async #finished(
    { key, writer, content, signal }: Attempt,
    uploadId: string | undefined,
    put: string | undefined,
  ): Promise<Made | false> {
    const there = (await this.#headBeside(key, put)) ?? (await this.#headOfStanding(key))
    if (there?.Metadata?.[metadata.writer] !== writer) {
      if (there?.VersionId === undefined) throw this.#lost(key)
      await this.#withdraw(key, writer)
      await this.#settled(key, signal)
      return false
    }
    try {
      if (uploadId !== undefined) await this.#complete(key, there, content)
      return there
    } catch (error) {
      await this.#undo(key, writer, there)
      throw error
    }
  }

  /** What a multipart upload was begun with does not reach its object in every store. */
  async #complete(key: string, there: HeadObjectCommandOutput, content: Content): Promise<void> {
    const what = { Bucket: this.#bucket.name, Key: key, VersionId: there.VersionId }
    const TagSet = [...new URLSearchParams(content.tagging)].map(([Key, Value]) => ({ Key, Value }))
    await this.#bucket.send(new s3.PutObjectTaggingCommand({ ...what, Tagging: { TagSet } }))
    const { ObjectLockMode: mode, ObjectLockRetainUntilDate: until } = content.fields
    // The bucket's default may have locked it, for less.
    const lockedMs = there.ObjectLockRetainUntilDate?.getTime() ?? 0
    if (mode !== undefined && until !== undefined && lockedMs < until.getTime()) {
      await this.lock(key, mode, until, there.VersionId)
    }
    // The placeholders, where the bucket keeps older versions.
    if (there.VersionId !== undefined) await this.#removeOlder(key, there.VersionId).catch(() => {})
  }

  async lock(
    key: string,
    mode: PutObjectCommandInput['ObjectLockMode'],
    until: Date | undefined,
    VersionId?: string,
  ): Promise<void> {
    const Retention = { Mode: mode as 'GOVERNANCE' | 'COMPLIANCE', RetainUntilDate: until }
    const what = { Bucket: this.#bucket.name, Key: key, VersionId, Retention, ChecksumAlgorithm: 'CRC32' as const }
    await this.#bucket.send(new s3.PutObjectRetentionCommand(what))
  }

  /** It failed as far as we were told. */
  async #afterwards(attempt: Attempt, uploadId: string | undefined, failure: unknown): Promise<Made | false> {
    const { key, writer, signal } = attempt
    const there = await this.head(key).catch(() => null)
    if (there?.Metadata?.[metadata.writer] === writer) {
      // It may be there all the same: the answer was lost, or the SDK asked twice.
      const isFinished = there.Metadata[metadata.upload] === undefined
      if (isFinished) return this.#finished(attempt, uploadId, there.VersionId)
    }
    if (there !== null) await this.#undo(key, writer, there)
    if (failure !== taken && !isAnswer(failure, 409, 412, 'NoSuchKey')) throw failure
    const isThere = await this.#settled(key, signal)
    if (!isThere && isAnswer(failure, 'NoSuchKey')) throw failure
    return false
  }

  /** Takes away what another one's was before. A lock may keep it there, where it does not stand. */
  async #withdraw(key: string, writer: string): Promise<void> {
    for (const { VersionId } of await versionsOf(this.#bucket, key).catch(() => [])) {
      const version = { Bucket: this.#bucket.name, Key: key, VersionId }
      try {
        const { Metadata } = await this.#bucket.send(new s3.HeadObjectCommand(version))
        if (Metadata?.[metadata.writer] === writer) await this.#bucket.send(new s3.DeleteObjectCommand(version))
      } catch {
        // As said.
      }
    }
  }

  /** What is there may be another one's: of versions just ours go. */
  async #undo(key: string, writer: string, there: HeadObjectCommandOutput): Promise<void> {
    if (there.Metadata?.[metadata.writer] === writer) {
      if (there.VersionId === undefined) await this.remove(key, there).catch(() => {})
      else await this.#delete(key, { VersionId: there.VersionId }).catch(() => {})
    }
    if (there.VersionId !== undefined) await this.#withdraw(key, writer)
  }

  #lost(key: string): PcapRingError {
    return new PcapRingError(
      'ERR_PCAP_ARCHIVE_UNAVAILABLE',
      `s3://${this.#bucket.name}/${key} is not there, or is another one, right after it was stored; see who else writes to this bucket`,
    )
  }

  /** A placeholder for the upload. False: something is there. */
  async #take(key: string, writer: string, uploadId: string, signal: AbortSignal): Promise<boolean> {
    const Metadata = { [metadata.writer]: writer, [metadata.upload]: uploadId }
    for (let tries = 0; tries < mostTries; tries++) {
      if (tries > 0) await pause(signal)
      try {
        const what = {
          Bucket: this.#bucket.name,
          Key: key,
          Body: new Uint8Array(),
          ContentLength: 0,
          IfNoneMatch: '*',
          Metadata,
          ...this.#fields,
        }
        await this.#bucket.put(new s3.PutObjectCommand(what), signal)
        return true
      } catch (error) {
        if (!isAnswer(error, 409, 412)) throw error
      }
      const there = await this.head(key)
      if (there?.Metadata?.[metadata.writer] === writer) return true
      if (await this.#settled(key, signal)) return false
    }
    throw this.#stuck(key, 'is refused as if something were there, and nothing is')
  }

  /** Waits until there is no placeholder. Whether there is a capture. */
  async #settled(key: string, signal: AbortSignal | undefined): Promise<boolean> {
    const began = performance.now()
    let seen: string | undefined
    let since = 0
    while (performance.now() - began < settledWithinMs) {
      const there = await this.head(key)
      if (there === null) return false
      const uploadId = there.Metadata?.[metadata.upload]
      if (uploadId === undefined) return true
      if (uploadId !== seen) {
        seen = uploadId
        since = performance.now()
      } else if (performance.now() - since > placeholderLifeMs) await this.#clear(key, uploadId)
      await pause(signal)
    }
    throw this.#stuck(key, 'is the name of an upload still that is not completed, nor goes away')
  }

  #stuck(key: string, what: string): PcapRingError {
    const where = `s3://${this.#bucket.name}/${key}`
    return new PcapRingError(
      'ERR_PCAP_ARCHIVE_UNAVAILABLE',
      `${where} ${what}: see who else writes to this bucket, and try again later`,
    )
  }

  /** Takes a placeholder away whose writer died, once its upload can be completed no more. */
  async #clear(key: string, uploadId: string): Promise<void> {
    if (!(await this.#abort(key, uploadId))) {
      const where = `s3://${this.#bucket.name}/${key}`
      throw new PcapRingError(
        'ERR_PCAP_ARCHIVE_UNAVAILABLE',
        `an upload to ${where} was left behind and cannot be aborted; see that the credentials allow it, or try again later`,
      )
    }
    const there = await this.head(key)
    if (there?.Metadata?.[metadata.upload] !== uploadId) return
    const lockedMs = there.ObjectLockRetainUntilDate?.getTime() ?? 0
    // The rule of a bucket may lock whatever is put, for years.
    if (lockedMs > Date.now()) await hide(this.#bucket, key, there.ETag)
    else await this.remove(key, there)
  }

  /** Whether there is no such upload any more. A part that was under way may make it necessary to ask again. */
  async #abort(key: string, uploadId: string): Promise<boolean> {
    const what = { Bucket: this.#bucket.name, Key: key, UploadId: uploadId }
    let gone = false
    try {
      for (let tries = 0; tries < mostTries; tries++) {
        await this.#bucket.send(new s3.AbortMultipartUploadCommand(what))
        await this.#bucket.send(new s3.ListPartsCommand({ ...what, MaxParts: 1 }))
        await pause()
      }
    } catch (error) {
      gone = isAbsent(error)
    }
    if (gone) this.#left.delete(uploadId)
    else this.#left.set(uploadId, key)
    return gone
  }

  async #abortLeft(): Promise<void> {
    for (const [uploadId, key] of this.#left) await this.#clear(key, uploadId).catch(() => {})
  }

  /** Of the version that stands. null: there is none. */
  head(key: string): Promise<HeadObjectCommandOutput | null> {
    return this.#headOf(key, () => standing(this.#bucket, key))
  }

  #headBeside(key: string, put: string | undefined): Promise<HeadObjectCommandOutput | null> {
    return this.#headOf(key, () => standingBeside(this.#bucket, key, put))
  }

  async #headOf(key: string, stands: () => Promise<string | undefined>): Promise<HeadObjectCommandOutput | null> {
    const what = { Bucket: this.#bucket.name, Key: key }
    try {
      const newest = await this.#bucket.send(new s3.HeadObjectCommand(what))
      if (newest.VersionId === undefined) return newest
      const VersionId = (await stands()) ?? newest.VersionId
      if (VersionId === newest.VersionId) return newest
      return await this.#bucket.send(new s3.HeadObjectCommand({ ...what, VersionId }))
    } catch (error) {
      if (isAbsent(error)) return null
      throw error
    }
  }

  /** Where others withdraw at this moment, a store may say for a while that there is none. */
  async #headOfStanding(key: string): Promise<HeadObjectCommandOutput | null> {
    const VersionId = await standing(this.#bucket, key)
    if (VersionId === undefined) return null
    return this.#bucket.send(new s3.HeadObjectCommand({ Bucket: this.#bucket.name, Key: key, VersionId }))
  }

  /**
   * In all its versions: else one that does not stand came to light. Of what takes the name meanwhile none, where there are versions: as
   * long as the one that was looked at is there, nothing else can stand. Without versions none where the store looks at a condition.
   * @param there what is to go
   * @returns false: it is not there any more
   */
  async remove(key: string, there?: HeadObjectCommandOutput | null): Promise<boolean> {
    const looked = there === undefined ? await this.head(key) : there
    if (looked === null) return false
    if (looked.VersionId === undefined) return this.#deleteJust(key, looked)
    const versions = await this.#versionsBeside(key, looked.VersionId)
    for (const VersionId of versions) await this.#delete(key, { VersionId }, looked.ObjectLockRetainUntilDate)
    return versions.length > 0
  }

  async #deleteJust(key: string, { ETag }: HeadObjectCommandOutput): Promise<boolean> {
    try {
      await this.#delete(key, { IfMatch: ETag || undefined })
      return true
    } catch (error) {
      if (isAbsent(error) || isAnswer(error, 412)) return false
      if (!isAnswer(error, 501)) throw error
      await this.#delete(key, {})
      return true
    }
  }

  /** The newest first, so that the one that stands does so until it goes. None: that one has gone. */
  async #versionsBeside(key: string, version: string): Promise<(string | undefined)[]> {
    try {
      const all = (await versionsOf(this.#bucket, key)).map(({ VersionId }) => VersionId)
      return all.includes(version) ? all : []
    } catch (error) {
      if (isAnswer(error, 403, 501)) return [version]
      throw error
    }
  }

  async #delete(
    key: string,
    which: Pick<DeleteObjectCommandInput, 'VersionId' | 'IfMatch'>,
    lockedUntil?: Date,
  ): Promise<void> {
    try {
      await this.#bucket.send(new s3.DeleteObjectCommand({ Bucket: this.#bucket.name, Key: key, ...which }))
    } catch (cause) {
      if (!isAnswer(cause, 403) || lockedUntil === undefined || lockedUntil.getTime() < Date.now()) throw cause
      const where = `s3://${this.#bucket.name}/${key}`
      const message = `${where} is locked in its bucket until ${lockedUntil.toISOString()}, and cannot be removed before`
      throw new PcapRingError('ERR_PCAP_ARCHIVE_UNAVAILABLE', message, { cause })
    }
  }

  async #removeOlder(key: string, newest: string): Promise<void> {
    for (const { VersionId, Size } of await versionsOf(this.#bucket, key)) {
      if (VersionId === newest || Size !== 0) continue
      await this.#bucket.send(new s3.DeleteObjectCommand({ Bucket: this.#bucket.name, Key: key, VersionId }))
    }
  }

  async *list(prefix: string): AsyncGenerator<{ key: string; size: number; modified: Date }> {
    let ContinuationToken: string | undefined
    do {
      const page = await this.#bucket.send(
        new s3.ListObjectsV2Command({ Bucket: this.#bucket.name, Prefix: prefix, ContinuationToken }),
      )
      for (const { Key = '', Size = 0, LastModified = new Date() } of page.Contents ?? []) {
        yield { key: Key, size: Size, modified: LastModified }
      }
      ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined
    } while (ContinuationToken !== undefined)
  }

  /**
   * Drops uploads and placeholders that nobody has gone on with for an hour, and what this process could not abort itself.
   * @returns the keys of the uploads that somebody is at work on
   */
  async tidy(prefix: string): Promise<Set<string>> {
    await this.#abortLeft()
    const before = Date.now() - abandonedAfterMs
    for await (const { key, size, modified } of this.list(prefix)) {
      if (size > 0 || modified.getTime() > before) continue
      const uploadId = (await this.head(key))?.Metadata?.[metadata.upload]
      if (uploadId !== undefined && !atWork.has(uploadId)) await this.#clear(key, uploadId)
    }
    const open = new Set<string>()
    for await (const { Key = '', UploadId = '', Initiated } of uploadsUnder(this.#bucket, prefix)) {
      const isOld = Initiated !== undefined && Initiated.getTime() < before && !atWork.has(UploadId)
      if (isOld && !(await hasPartSince(before, this.#bucket, Key, UploadId))) await this.#abort(Key, UploadId)
      else open.add(Key)
    }
    return open
  }
}

/** @throws the signal's reason, once it has fired */
async function pause(signal?: AbortSignal): Promise<void> {
  await delay(pollMs, undefined, { signal }).catch(() => signal?.throwIfAborted())
}

/** Something has the name. */
const taken = new Error('taken')

/** The pieces; what ends them early is known before the SDK has made something else of it. */
async function* watched(
  pieces: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
  failed: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of pieces) {
      signal.throwIfAborted()
      yield piece
    }
    signal.throwIfAborted()
  } catch (error) {
    failed(error)
    throw error
  }
}
