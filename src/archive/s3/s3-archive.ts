import type { BucketLifecycleConfiguration, S3Client } from '@aws-sdk/client-s3'

import { invalidArgType, invalidArgValue } from '../../errors.js'
import { judgeObject } from '../../options.js'
import { judgeRetention } from '../arguments.js'
import { BaseArchive } from '../base-archive.js'
import type { ArchiveOptions } from '../types.js'
import { Bucket } from './bucket.js'
import { askFor, type Encryption } from './encryption.js'
import { lifecycleOf } from './lifecycle.js'
import { Lock } from './lock.js'
import { S3Journal } from './s3-journal.js'
import { S3Vault } from './s3-vault.js'

/** How far an upload is, in bytes as they are stored; `of` may be a little more than comes. */
export interface S3Progress {
  /** The incident's. */
  id: string
  /** What is stored of it. */
  bytes: number
  /** What is to be stored of it. */
  of: number
}

/** Options of an {@link S3Archive}. */
export interface S3ArchiveOptions extends ArchiveOptions {
  /** Yours, with its endpoint, region, credentials and retries. */
  client: S3Client
  /** It has to be there. */
  bucket: string
  /**
   * In front of every name, a slash behind it. Archives of different prefixes know nothing of one another: give each node its own, and each
   * has its own audit trail.
   * @default '', the bucket itself
   */
  prefix?: string | undefined
  /**
   * Who encrypts. `'client'`: this process, and the store never sees a packet. `'sse-s3'` or `{ kms: keyId }`: the store, which holds plain
   * captures then, and serves links itself; one that does not say that it encrypted is refused.
   * @default 'client'
   */
  encryption?:
    | 'client'
    | 'sse-s3'
    | {
        /** Id, ARN or alias of a key of its key service. */
        kms: string
      }
    | undefined
  /** Told of each part of a capture that is stored. */
  onProgress?: ((progress: S3Progress) => void) | undefined
}

function judgeText(value: unknown, name: string, least: number): string {
  if (typeof value !== 'string') throw invalidArgType(name, 'string', value)
  if (value.length < least || value.length > 512 || /[\p{Control}\p{Surrogate}]/u.test(value)) {
    throw invalidArgValue(name, value, `must be text of ${least} to 512 characters`)
  }
  return value
}

function judgePrefix(value: unknown): string {
  const prefix = value === undefined ? '' : judgeText(value, 'options.prefix', 0)
  return prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`
}

function judgeEncryption(value: unknown): Encryption {
  const name = 'options.encryption'
  if (value === undefined || value === 'client' || value === 'sse-s3') return value ?? 'client'
  if (typeof value === 'string') throw invalidArgValue(name, value, "must be 'client', 'sse-s3' or { kms: keyId }")
  return { kms: judgeText(judgeObject(value, name).kms, `${name}.kms`, 1) }
}

function judgeClient(value: unknown): S3Client {
  // Not by its class, of which the host may have another copy.
  if (typeof (value as Partial<S3Client> | null | undefined)?.send === 'function') return value as S3Client
  const error = invalidArgType('options.client', 'S3Client', undefined)
  error.message = error.message.replace(/Received .*$/s, 'Received something else')
  throw error
}

/**
 * An archive in a bucket of any S3-compatible store that knows `If-None-Match: *` for what is put, or keeps versions in this bucket. Any number
 * of processes may use it at once.
 *
 * `new S3Archive()` asks the store nothing; it throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` and, for a retention that is
 * not of 1 to 365 days, `ERR_OUT_OF_RANGE`.
 */
export class S3Archive extends BaseArchive {
  readonly #prefix: string
  readonly #retentionMs: number

  constructor(options: S3ArchiveOptions) {
    const given = judgeObject(options, 'options')
    const bucket = new Bucket(judgeClient(given.client), judgeText(given.bucket, 'options.bucket', 1))
    const prefix = judgePrefix(given.prefix)
    const encryption = judgeEncryption(given.encryption)
    const { onProgress } = given
    if (onProgress !== undefined && typeof onProgress !== 'function') {
      throw invalidArgType('options.onProgress', 'function', onProgress)
    }
    const lock = new Lock(bucket)
    const retentionMs = judgeRetention(given.retention)
    const tell = onProgress as ((progress: S3Progress) => void) | undefined
    super(
      options,
      new S3Vault({
        bucket,
        prefix,
        lock,
        encryption,
        // What it throws is the host's own error, and no upload's.
        onProgress: tell && ((id, bytes, of) => queueMicrotask(() => tell({ id, bytes, of }))),
      }),
      new S3Journal(bucket, `${prefix}audit/`, async () => ({
        ...askFor(encryption),
        ...(await lock.until(new Date(Date.now() + retentionMs))),
      })),
    )
    this.#prefix = prefix
    this.#retentionMs = retentionMs
  }

  /**
   * Lifecycle rules for the bucket, as `PutBucketLifecycleConfiguration` takes them: a second net under `sweep()`, for where no process
   * runs any more. They remove what this archive's retention is over for, a day later, and the trail does not tell of it. In a bucket with
   * versions a capture is hidden then, and gone when the retention has passed once more, as what stands there may be no newest version.
   * Reports of plain captures stay until a `sweep()`. A bucket has one configuration: add these to it.
   */
  lifecycle(): BucketLifecycleConfiguration {
    return lifecycleOf(this.#prefix, this.#retentionMs)
  }
}
