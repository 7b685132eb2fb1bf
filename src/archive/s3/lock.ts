import type { ObjectLockMode } from '@aws-sdk/client-s3'

import { PcapRingError } from '../../errors.js'
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
    this.#mode ??= this.#find().catch((error: unknown) => {
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
    } catch (cause) {
      // It has none, or the store knows no such thing.
      if (isAbsent(cause) || isAnswer(cause, 400, 405, 501)) return null
      if (!isAnswer(cause, 'AccessDenied')) throw cause
      throw new PcapRingError(
        'ERR_PCAP_ARCHIVE_UNAVAILABLE',
        `the bucket ${this.#bucket.name} may have an object lock, and the credentials do not allow to ask: what was put would not be locked; ` +
          'allow s3:GetBucketObjectLockConfiguration',
        { cause },
      )
    }
  }
}
