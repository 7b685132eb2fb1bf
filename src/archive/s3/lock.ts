import type { ObjectLockMode } from '@aws-sdk/client-s3'

import { type Bucket, isAbsent, isAnswer } from './bucket.js'
import { s3 } from './sdk.js'

export interface Locked {
  ObjectLockMode?: ObjectLockMode
  ObjectLockRetainUntilDate?: Date
  /** Stores want a digest with what is locked. */
  ChecksumAlgorithm?: 'CRC32'
}

/** The bucket's object lock, where it has one: in the mode that it names as its default, else the one that can be lifted. */
export class Lock {
  readonly #bucket: Bucket
  #mode: Promise<ObjectLockMode | null> | null = null

  constructor(bucket: Bucket) {
    this.#bucket = bucket
  }

  async until(date: Date): Promise<Locked> {
    this.#mode ??= this.#find().catch((error) => {
      this.#mode = null
      throw error
    })
    const mode = await this.#mode
    if (mode === null) return {}
    return { ObjectLockMode: mode, ObjectLockRetainUntilDate: date, ChecksumAlgorithm: 'CRC32' }
  }

  async #find(): Promise<ObjectLockMode | null> {
    try {
      const command = new s3.GetObjectLockConfigurationCommand({ Bucket: this.#bucket.name })
      const { ObjectLockConfiguration: found } = await this.#bucket.send(command)
      if (found?.ObjectLockEnabled !== 'Enabled') return null
      return found.Rule?.DefaultRetention?.Mode ?? 'GOVERNANCE'
    } catch (error) {
      // It has none, the store knows no such thing, or the credentials may not ask: then nobody relies on it.
      if (isAbsent(error) || isAnswer(error, 400, 403, 405, 501)) return null
      throw error
    }
  }
}
