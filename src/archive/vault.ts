import type { Readable } from 'node:stream'

import type { Head } from './envelope.js'
import type { ArchiveKey, KeyRing } from './keys.js'

export type Known = Omit<Head, 'version' | 'key'>

/** What is to be kept. */
export interface Incoming {
  known: Known
  /** That it is kept under. */
  key: ArchiveKey
  report: Uint8Array
  capture: AsyncIterable<Uint8Array>
  /** Enters it in the trail. Called once, as the last thing before the capture can be found. */
  enter: () => Promise<void>
}

/** A capture that is kept. Its head is authentic, its size right. */
export interface Kept {
  readonly head: Head
  /** The plain report, JSON. */
  report(): Promise<string>
  /**
   * The plain capture from `start` to before `end`. The stream closes it.
   * @param failed what ended it early, but for whoever destroyed it
   */
  stream(start: number, end: number, failed?: (error: Error) => void): Readable
  /** A link to the store itself, where that holds plain captures. */
  presign?(lifeMs: number): Promise<{ url: string; expiresMs: number }>
  close(): Promise<void>
}

/** A capture of which nothing is known but that it is there. */
interface Found {
  close(): Promise<void>
}

/** Captures under their ids, in whatever form. */
export interface Vault {
  /** False: there is one of this id already. What fails leaves nothing. */
  create(incoming: Incoming, signal: AbortSignal | undefined): Promise<boolean>
  /**
   * null: there is none. Whoever opens it has to close it. If it is removed meanwhile, what is read from a directory goes on to its end,
   * and from a bucket ends in `ERR_PCAP_ARCHIVE_NOT_FOUND`.
   */
  open(id: string, keys: KeyRing): Promise<Kept | null>
  /** One that may be damaged. null: there is none. Whoever finds it has to close it. */
  find(id: string): Promise<Found | null>
  ids(): AsyncIterable<string>
  /** Just that one, which is open, and not what has taken its place since. False: it was gone already. */
  remove(id: string, only: Kept | Found): Promise<boolean>
  /** What others call it: a path, a URL. */
  location(id: string): string
  /** Clears away what writers that died left behind. */
  tidy(): Promise<void>
  /** Whether what it keeps from now on has links of the store's own. */
  readonly presigns: boolean
}
