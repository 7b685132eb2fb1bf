import type { KeyObject } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'

import type { ArchivedCapture, ArchiveSink, Duration } from '../types.js'

export type { ArchivedCapture, ArchiveSink } from '../types.js'

/** A key of the host's, from which those that the archive works with are derived. */
export interface Key {
  /** 1 to 64 of `A-Z a-z 0-9 . _ -`. Stands in the archive, the trail and in links as it is. */
  id: string
  /** 32 random bytes. */
  secret: KeyObject | Uint8Array
}

/** What every archive is made with. */
export interface ArchiveOptions {
  /** The first one is used; the others still open older captures, links and entries of the trail. */
  keys: readonly Key[]
  /**
   * For how long captures are kept, 1 to 365 days.
   * @default '7d'
   */
  retention?: Duration | undefined
  /** Where the host serves {@link Archive.handler}, as it is seen from outside: `'https://example.org/captures'`. */
  baseUrl?: string | undefined
}

/** What was done: to a capture, or to the trail itself (`key`: another key goes on with it). */
export type AuditAction = 'put' | 'sign' | 'download' | 'remove' | 'sweep' | 'copy' | 'key'

/** One thing that was done, or tried. */
export interface AuditEntry {
  /** Of this format. */
  version: 1
  /** Counted from 1. */
  seq: number
  /** When it was entered; never before the entry in front of it. */
  at: string
  /** Who, as the host names them. `'pcap-ring'`: the archive itself; `'unknown'`: whoever asked with a link that is none. */
  actor: string
  /** What. */
  action: AuditAction
  /** The id of the capture; of a `key` entry the id of the key by which the entries behind it are chained; null: unknown. */
  capture: string | null
  /** It was done; whoever asked was refused; it was begun, and failed. */
  outcome: 'ok' | 'refused' | 'failed'
  /** `hash` of the entry before; 64 zeros in the first. */
  previous: string
  /** HMAC-SHA-256 of all above, hexadecimal. */
  hash: string
}

/** What {@link AuditTrail.verify} found. */
export interface Verification {
  /** Whether all entries are right, and none is missing. */
  ok: boolean
  /** Entries that are right, from the first one on. */
  entries: number
  /** `seq` of the first one that is not, or is missing; null where all are. */
  brokenAt: number | null
}

/** Who did what, in the order in which it was done. */
export interface AuditTrail {
  /** @throws {PcapRingError} `ERR_PCAP_ARCHIVE_CORRUPT` at the first one that cannot be read */
  entries(): AsyncIterable<AuditEntry>
  /** `hash` of the newest entry: kept elsewhere, it shows later that nothing up to here was taken away. */
  head(): Promise<string>
  /** Every entry, by its key and its place. `since`: a head that was kept. Wants all keys that the trail ever had. */
  verify(options?: { since?: string | undefined }): Promise<Verification>
}

/** What {@link Archive.sign} gives. */
export interface SignedLink {
  /** Leads to the capture, for whoever has it. */
  url: string
  /** Until when it does. */
  expiresAt: string
}

/**
 * Captures, encrypted at rest. Every method rejects with `ERR_PCAP_ARCHIVE_KEY` where no key fits the trail's newest entry,
 * with `ERR_PCAP_ARCHIVE_UNAVAILABLE` where the store is away, and with Node's `ERR_INVALID_ARG_*` and `ERR_OUT_OF_RANGE`.
 */
export interface Archive extends ArchiveSink {
  /**
   * What is kept, in no order.
   * @throws {PcapRingError} `ERR_PCAP_ARCHIVE_CORRUPT`, `_KEY` or `_UNAVAILABLE`, after all others, where one cannot be read
   */
  list(): AsyncIterable<ArchivedCapture>
  /**
   * The plain capture. Each byte was authenticated before it comes; what is damaged further on is the stream's error.
   * Read it to its end, or destroy it: it holds a descriptor until then. If the capture is removed meanwhile, a directory's is read to its
   * end all the same; a bucket's ends in `ERR_PCAP_ARCHIVE_NOT_FOUND`.
   * @param options.range of bytes, both ends included
   * @throws {PcapRingError} `ERR_PCAP_ARCHIVE_NOT_FOUND`, `_EXPIRED`, `_CORRUPT`, `_KEY`
   */
  open(id: string, options: { actor: string; range?: { start: number; end: number } | undefined }): Promise<Readable>
  /**
   * A link for whoever has it.
   * @param options.actor to whom it is given, for the trail
   * @param options.expiresIn 1 s to 7 days; `'15m'` unless given
   * @throws {PcapRingError} `ERR_PCAP_ARCHIVE_NOT_FOUND`, `_EXPIRED`, `_CORRUPT`, `_KEY`
   */
  sign(id: string, options: { actor: string; expiresIn?: Duration | undefined }): Promise<SignedLink>
  /** Serves links: for node:http, and as middleware. */
  handler(): (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void) => void
  /**
   * Removes a capture.
   * @throws {PcapRingError} `ERR_PCAP_ARCHIVE_NOT_FOUND`
   */
  remove(id: string, options: { actor: string }): Promise<void>
  /**
   * Removes what is past its retention, and returns it. What is damaged stays, as nobody can tell how long it was to be kept.
   * @param now by default the system's clock; set forward while the process runs, it is not believed for an hour
   * @throws {PcapRingError} `ERR_PCAP_ARCHIVE_UNAVAILABLE`, after all others, where one could not be looked at or removed
   */
  sweep(now?: Date): Promise<ArchivedCapture[]>
  /**
   * Puts a capture into another archive. It lies in the clear in a directory of its own meanwhile, which only this user may read.
   * @throws {PcapRingError} `ERR_PCAP_ARCHIVE_NOT_FOUND`, `_EXPIRED`, `_CORRUPT`, `_KEY`, and what `to` rejects with
   */
  copyTo(id: string, to: ArchiveSink, options: { actor: string }): Promise<ArchivedCapture>
  /** Who did what with it. */
  readonly audit: AuditTrail
}
