import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'

import type { PutObjectCommandInput } from '@aws-sdk/client-s3'

import type { Journal } from '../audit-trail.js'
import { type Bucket, isAbsent, isAnswer } from './bucket.js'
import { metadata } from './objects.js'
import { s3 } from './sdk.js'
import { standing, standingBeside } from './versions.js'

const digits = 15
const pattern = /^(\d{15})\.jsonl$/
const last = 10 ** digits - 1
/** More than any store lists at once. */
const pageSize = 1_000
const attempts = 5

/** An object for each batch, put on the condition that there is none of its name. */
export class S3Journal implements Journal {
  readonly location: string
  readonly #bucket: Bucket
  readonly #prefix: string
  readonly #fields: () => Promise<Partial<PutObjectCommandInput>>
  /** As far as an answer has told. */
  #versioned = false

  /** @param fields further headers of an entry that is put now */
  constructor(bucket: Bucket, prefix: string, fields: () => Promise<Partial<PutObjectCommandInput>>) {
    this.#bucket = bucket
    this.#prefix = prefix
    this.#fields = fields
    this.location = `s3://${bucket.name}/${prefix}`
  }

  #key(batch: number): string {
    return `${this.#prefix}${String(batch).padStart(digits, '0')}.jsonl`
  }

  /** The next page behind a key that has a batch, or the last one: anything may lie between two batches. */
  async #after(key: string): Promise<{ batches: number[]; upTo: string; more: boolean }> {
    for (let upTo = key; ; ) {
      const what = { Bucket: this.#bucket.name, Prefix: this.#prefix, StartAfter: upTo, MaxKeys: pageSize }
      const { Contents = [], IsTruncated = false } = await this.#bucket.send(new s3.ListObjectsV2Command(what))
      const names = Contents.map(({ Key = '' }) => Key.slice(this.#prefix.length))
      const batches = names.flatMap((name) => pattern.exec(name)?.[1] ?? []).map(Number)
      upTo = Contents.at(-1)?.Key ?? upTo
      const more = IsTruncated && names.length > 0 && upTo < this.#key(last)
      if (batches.length > 0 || !more) return { batches, upTo, more }
    }
  }

  async batches(): Promise<number[]> {
    const all: number[] = []
    let page = { upTo: this.#key(0), more: true }
    while (page.more) {
      const { batches, ...rest } = await this.#after(page.upTo)
      all.push(...batches)
      page = rest
    }
    return all
  }

  /** By doubling and halving, as no store lists from its end. */
  async newest(): Promise<number | null> {
    let { batches, more } = await this.#after(this.#key(0))
    let newest = batches.at(-1) ?? null
    let none = Number.POSITIVE_INFINITY
    while (more && newest !== null && newest + 1 < none) {
      const middle = none === Number.POSITIVE_INFINITY ? newest * 2 : Math.floor((newest + none - 1) / 2)
      ;({ batches, more } = await this.#after(this.#key(middle)))
      newest = batches.at(-1) ?? newest
      if (batches.length > 0) continue
      none = middle + 1
      more = true
    }
    return newest
  }

  async read(batch: number): Promise<string | null> {
    const key = this.#key(batch)
    const newest = await this.#get(key)
    this.#versioned ||= newest?.version !== undefined
    if (!this.#versioned) return newest?.text ?? null
    // Also where it says that there is none: for a moment it does, while somebody takes a second version away.
    const version = await standing(this.#bucket, key)
    if (version === undefined || version === newest?.version) return newest?.text ?? null
    return (await this.#get(key, version))?.text ?? null
  }

  async #get(Key: string, VersionId?: string): Promise<{ text: string; version: string | undefined } | null> {
    try {
      const command = new s3.GetObjectCommand({ Bucket: this.#bucket.name, Key, VersionId })
      const { Body, VersionId: version } = await this.#bucket.send(command)
      return { text: (await Body?.transformToString('utf8')) ?? '', version }
    } catch (error) {
      if (isAbsent(error)) return null
      throw error
    }
  }

  async create(batch: number, text: string): Promise<boolean> {
    const writer = randomBytes(12).toString('hex')
    const Key = this.#key(batch)
    const command = new s3.PutObjectCommand({
      Bucket: this.#bucket.name,
      Key,
      Body: Buffer.from(text),
      ContentType: 'application/jsonl',
      IfNoneMatch: '*',
      Metadata: { [metadata.writer]: writer },
      ...(await this.#fields()),
    })
    for (let attempt = 1; ; attempt++) {
      try {
        const { VersionId } = await this.#bucket.put(command)
        this.#versioned ||= VersionId !== undefined
        return VersionId === undefined || (await this.#stands(Key, VersionId, writer))
      } catch (error) {
        // Two at once: the store has not decided which.
        if (isAnswer(error, 409) && attempt < attempts) {
          await delay(50 * attempt)
          continue
        }
        if (!isAnswer(error, 412)) throw error
        // The SDK may have tried twice, and its first try have gone through.
        return await this.#isBy(writer, Key)
      }
    }
  }

  /** Whether no other one was put before, by a store that did not look. A lock may keep what was second. */
  async #stands(Key: string, VersionId: string, writer: string): Promise<boolean> {
    const first = await standingBeside(this.#bucket, Key, VersionId)
    if (first === undefined || first === VersionId) return true
    const second = new s3.DeleteObjectCommand({ Bucket: this.#bucket.name, Key, VersionId })
    await this.#bucket.send(second).catch(() => {})
    return this.#isBy(writer, Key, first)
  }

  async #isBy(writer: string, Key: string, VersionId?: string): Promise<boolean> {
    const there = await this.#bucket.send(new s3.HeadObjectCommand({ Bucket: this.#bucket.name, Key, VersionId }))
    return there.Metadata?.[metadata.writer] === writer
  }

  /** An object is there whole, or not at all. */
  async abandoned(): ReturnType<Journal['abandoned']> {
    return { found: [], more: false }
  }
}
