import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { types } from 'node:util'

import { invalidArgType, invalidArgValue, PcapRingError } from '../errors.js'
import { judgeObject, judgeSignal } from '../options.js'
import { formatTime, parseTime } from '../time.js'
import type { Duration, IncidentReport } from '../types.js'
import { ahead } from './ahead.js'
import {
  type Given,
  judgeActor,
  judgeBaseUrl,
  judgeCapture,
  judgeExpiry,
  judgeId,
  judgeRange,
  judgeRetention,
} from './arguments.js'
import { ChainedTrail, type Deed, type Journal } from './audit-trail.js'
import { SteadyClock } from './clock.js'
import type { Head } from './envelope.js'
import { handle, type Served } from './handler.js'
import { inPassing } from './in-passing.js'
import { KeyRing } from './keys.js'
import { readLink, writeLink } from './links.js'
import { isSystemError, readAt } from './local-files.js'
import type { Archive, ArchivedCapture, ArchiveOptions, ArchiveSink, AuditTrail, SignedLink } from './types.js'
import type { Kept, Known, Vault } from './vault.js'

/** Read from a capture at once. */
const pieceSize = 1024 * 1024
/** Heads that are read at once, where all are. */
const headsAtOnce = 16

/** Where others put and remove the same all the time. */
const mostPuts = 10
const pauseMs = 20

/** The archive itself, and whoever comes with a link that is none. */
const self = 'pcap-ring'
const stranger = 'unknown'

const textOfMs = (ms: number): string => formatTime(BigInt(Math.floor(ms)) * 1_000_000n)
const msOfText = (text: string): number => Number(parseTime(text, 'time') / 1_000_000n)

const isOurs = (error: unknown, ...codes: string[]): error is PcapRingError =>
  error instanceof PcapRingError && codes.includes(error.code)

/** Anything else is nothing to go on after. */
function ours(error: unknown): PcapRingError {
  if (error instanceof PcapRingError) return error
  throw error
}

/** Of several the first, which holds them all. */
function throwAll(failures: readonly PcapRingError[]): void {
  const [first, ...others] = failures
  if (first === undefined) return
  if (others.length === 0) throw first
  const cause = new AggregateError(failures)
  throw new PcapRingError(first.code, `${first.message} (and ${others.length} others)`, { cause })
}

/** All that an archive is but where it lies: a {@link Vault} for the captures, a {@link Journal} for the trail. */
export abstract class BaseArchive implements Archive {
  /** Who did what with it. */
  readonly audit: AuditTrail
  readonly #trail: ChainedTrail
  readonly #vault: Vault
  readonly #keys: KeyRing
  readonly #retentionMs: number
  readonly #baseUrl: { base: string; path: string } | null
  readonly #clock = new SteadyClock()

  protected constructor(options: ArchiveOptions, vault: Vault, journal: Journal) {
    const { keys, retention, baseUrl } = judgeObject(options, 'options')
    this.#keys = new KeyRing(keys)
    this.#retentionMs = judgeRetention(retention)
    this.#baseUrl = judgeBaseUrl(baseUrl)
    this.#vault = vault
    this.#trail = new ChainedTrail(journal, this.#keys, () => this.#clock.forAge())
    this.audit = this.#trail
  }

  // ---------------------------------------------------------------------------------------------- in

  async put(
    capture: { file: string; report: IncidentReport },
    options?: { signal?: AbortSignal | undefined },
  ): Promise<ArchivedCapture> {
    const given = judgeCapture(capture)
    const signal = judgeSignal(judgeObject(options, 'options').signal)
    signal?.throwIfAborted()
    await this.#trail.check()
    const deed = { actor: self, action: 'put', capture: given.report.id } as const
    try {
      return await this.#put(given, deed, signal)
    } catch (error) {
      await this.#enterInstead({ ...deed, outcome: isOurs(error, 'ERR_PCAP_FILE_EXISTS') ? 'refused' : 'failed' })
      throw error
    }
  }

  async #put(
    given: Given,
    deed: Omit<Deed, 'outcome'>,
    signal: AbortSignal | undefined,
    tries = 1,
  ): Promise<ArchivedCapture> {
    const { id } = given.report
    const file = await openSource(given.file)
    try {
      const { size } = await file.stat()
      if (size !== given.report.bytes) throw changedSince(given, `has ${size} bytes in place of ${given.report.bytes}`)
      const sha256 = given.report.sha256 ?? (await digestOf(file))
      const stored = await this.#storedAlready(id, file)
      if (stored !== null) {
        await this.#trail.append({ ...deed, outcome: 'ok' })
        return stored
      }
      // Not before anything that the trail has: a clock that was set back makes nothing older than it is.
      const newest = await this.#trail.newestTime()
      const storedMs = Math.max(this.#clock.forAge(), newest === null ? 0 : msOfText(newest))
      const known = {
        id,
        format: given.report.format,
        report: given.json.length,
        bytes: size,
        sha256,
        storedAt: textOfMs(storedMs),
        retainedUntil: textOfMs(storedMs + this.#retentionMs),
      }
      const incoming = {
        known,
        key: this.#keys.first,
        report: given.json,
        capture: piecesOf(file, signal),
        // Nothing is there that the trail does not tell of.
        enter: () => this.#trail.append({ ...deed, outcome: 'ok' }),
      }
      if (await this.#vault.create(incoming, signal)) return this.#described(known)
      // Another process was quicker.
      const other = await this.#storedAlready(id, file)
      if (other !== null) return other
    } finally {
      await file.close()
    }
    // And one that removes.
    if (tries === mostPuts) throw neverFree(id)
    await delay(pauseMs * tries)
    return this.#put(given, deed, signal, tries + 1)
  }

  /** What is kept under this id, if it is the same; null: nothing is any more. */
  async #storedAlready(id: string, file: FileHandle): Promise<ArchivedCapture | null> {
    const kept = await this.#vault.open(id, this.#keys)
    if (kept === null) return null
    await kept.close()
    const { head } = kept
    const nowText = textOfMs(this.#clock.forAge())
    if (head.retainedUntil <= nowText) {
      // It may go at any moment; what is put now is kept for its whole time.
      await this.#sweep(id, nowText)
      return null
    }
    if (head.sha256 === (await digestOf(file))) return this.#described(head)
    throw new PcapRingError(
      'ERR_PCAP_FILE_EXISTS',
      `the archive holds another capture under the id ${id}, stored at ${head.storedAt}; give this one another id`,
    )
  }

  // ---------------------------------------------------------------------------------------------- out

  async *list(): AsyncGenerator<ArchivedCapture> {
    await this.#trail.check()
    const failures: PcapRingError[] = []
    const headOf = (id: string) => this.#headOf(id).catch((error: unknown) => void failures.push(ours(error)))
    for await (const head of ahead(this.#vault.ids(), headsAtOnce, headOf)) if (head) yield this.#described(head)
    throwAll(failures)
  }

  async open(
    id: string,
    options: { actor: string; range?: { start: number; end: number } | undefined },
  ): Promise<Readable> {
    judgeId(id)
    const { actor, range } = judgeObject(options, 'options')
    const deed = { actor: judgeActor(actor), action: 'download', capture: id } as const
    const kept = await this.#openFor(deed)
    try {
      const { start, end } = judgeRange(range, kept.head.bytes)
      await this.#trail.append({ ...deed, outcome: 'ok' })
      return this.#stream(kept, start, end, deed)
    } catch (error) {
      await kept.close()
      throw error
    }
  }

  async sign(id: string, options: { actor: string; expiresIn?: Duration | undefined }): Promise<SignedLink> {
    judgeId(id)
    const given = judgeObject(options, 'options')
    const actor = judgeActor(given.actor)
    const lifeMs = judgeExpiry(given.expiresIn)
    if (!this.#vault.presigns) this.#linkBase()
    const deed = { actor, action: 'sign', capture: id } as const
    const kept = await this.#openFor(deed)
    try {
      // What the store cannot hand out itself is ours to serve.
      const base = kept.presign === undefined ? this.#linkBase() : ''
      await this.#trail.append({ ...deed, outcome: 'ok' })
      if (kept.presign !== undefined) {
        const { url, expiresMs } = await this.#act(deed, kept.presign.bind(kept, lifeMs))
        return { url, expiresAt: textOfMs(expiresMs) }
      }
      const expiresMs = this.#clock.forExpiry() + lifeMs
      return {
        url: base + writeLink({ id, actor, expiresMs }, this.#keys.first),
        expiresAt: textOfMs(expiresMs),
      }
    } finally {
      await kept.close()
    }
  }

  #linkBase(): string {
    if (this.#baseUrl !== null) return this.#baseUrl.base
    throw invalidArgValue('options.baseUrl', undefined, 'must be given to the archive for it to sign links')
  }

  handler(): (req: IncomingMessage, res: ServerResponse, next?: (error?: unknown) => void) => void {
    const path = this.#baseUrl?.path
    if (path === undefined) {
      throw invalidArgValue('options.baseUrl', undefined, 'must be given to the archive for it to serve links')
    }
    const serving = {
      path,
      find: (link: string) => this.#find(link),
      broken: (error: unknown) => (isOurs(error, 'ERR_PCAP_ARCHIVE_UNAVAILABLE') ? 503 : 500),
      stalledAfterMs: 120_000,
    }
    return (req, res, next) => void handle(req, res, serving, next)
  }

  async #find(url: string): Promise<Served | null> {
    const link = readLink(url, this.#keys)
    if (link === null || this.#clock.forExpiry() >= link.expiresMs) {
      // It is refused whatever becomes of the entry.
      await this.#enterInstead({
        actor: link?.actor ?? stranger,
        action: 'download',
        capture: link?.id ?? null,
        outcome: 'refused',
      })
      return null
    }
    const { id, actor } = link
    const deed = { actor, action: 'download', capture: id } as const
    let kept: Kept
    try {
      kept = await this.#openFor(deed)
    } catch (error) {
      if (isOurs(error, 'ERR_PCAP_ARCHIVE_NOT_FOUND', 'ERR_PCAP_ARCHIVE_EXPIRED')) return null
      throw error
    }
    const { bytes, format, sha256, storedAt } = kept.head
    return {
      id,
      bytes,
      format,
      etag: `"${sha256}"`,
      modifiedMs: Math.floor(msOfText(storedAt) / 1_000) * 1_000,
      send: async (start, end) => {
        await this.#trail.append({ ...deed, outcome: 'ok' })
        return this.#stream(kept, start, end, deed)
      },
      close: () => kept.close(),
    }
  }

  #stream(kept: Kept, start: number, end: number, deed: Omit<Deed, 'outcome'>): Readable {
    return kept.stream(start, end, () => void this.#enterInstead({ ...deed, outcome: 'failed' }))
  }

  // ---------------------------------------------------------------------------------------------- away

  async remove(id: string, options: { actor: string }): Promise<void> {
    judgeId(id)
    const deed = { actor: judgeActor(judgeObject(options, 'options').actor), action: 'remove', capture: id } as const
    await this.#trail.check()
    const found = await this.#vault.find(id)
    if (found === null) throw await this.#refuse(deed, notFound(id))
    try {
      await this.#trail.append({ ...deed, outcome: 'ok' })
      await this.#act(deed, () => this.#vault.remove(id, found))
    } finally {
      await found.close()
    }
  }

  async sweep(now?: Date): Promise<ArchivedCapture[]> {
    if (now !== undefined && !types.isDate(now)) throw invalidArgType('now', 'Date', now)
    const nowText = now === undefined ? textOfMs(this.#clock.forAge()) : formatTime(parseTime(now, 'now'))
    await this.#trail.check()
    await this.#trail.tidy()
    await this.#vault.tidy()
    const removed: ArchivedCapture[] = []
    const failures: PcapRingError[] = []
    const looked = (id: string) =>
      this.#headOf(id).then(
        (head) => ({ id, head }),
        (error: unknown) => ({ id, error }),
      )
    for await (const found of ahead(this.#vault.ids(), headsAtOnce, looked)) {
      try {
        if ('error' in found) throw found.error
        const { id, head } = found
        if (head === null || head.retainedUntil > nowText) continue
        const swept = await this.#sweep(id, nowText)
        if (swept !== null) removed.push(swept)
      } catch (error) {
        // How long it was to be kept nobody can tell.
        if (!isOurs(error, 'ERR_PCAP_ARCHIVE_CORRUPT', 'ERR_PCAP_ARCHIVE_KEY')) failures.push(ours(error))
      }
    }
    throwAll(failures)
    return removed
  }

  /** null: it is kept still, or was gone already. */
  async #sweep(id: string, nowText: string): Promise<ArchivedCapture | null> {
    const kept = await this.#vault.open(id, this.#keys)
    if (kept === null) return null
    try {
      if (kept.head.retainedUntil > nowText) return null
      const deed = { actor: self, action: 'sweep', capture: id } as const
      await this.#trail.append({ ...deed, outcome: 'ok' })
      return (await this.#act(deed, () => this.#vault.remove(id, kept))) ? this.#described(kept.head) : null
    } finally {
      await kept.close()
    }
  }

  async copyTo(id: string, to: ArchiveSink, options: { actor: string }): Promise<ArchivedCapture> {
    judgeId(id)
    if (typeof (to as Partial<ArchiveSink> | null)?.put !== 'function') throw invalidArgType('to', 'ArchiveSink', to)
    const deed = { actor: judgeActor(judgeObject(options, 'options').actor), action: 'copy', capture: id } as const
    const kept = await this.#openFor(deed)
    try {
      const report = JSON.parse(await kept.report()) as IncidentReport
      const pieces = this.#stream(kept, 0, kept.head.bytes, deed)
      return await inPassing(`incident_${id}.${kept.head.format}`, pieces, async (file) => {
        await this.#trail.append({ ...deed, outcome: 'ok' })
        return this.#act(deed, () => to.put({ file, report }))
      })
    } finally {
      await kept.close()
    }
  }

  // ---------------------------------------------------------------------------------------------- what they share

  /** An authentic head, or null where there is no capture. */
  async #headOf(id: string): Promise<Head | null> {
    const kept = await this.#vault.open(id, this.#keys)
    await kept?.close()
    return kept?.head ?? null
  }

  /** A capture that may be read still. */
  async #openFor(deed: Omit<Deed, 'outcome'>): Promise<Kept> {
    const id = deed.capture as string
    await this.#trail.check()
    const kept = await this.#vault.open(id, this.#keys).catch(async (error: unknown) => {
      await this.#enterInstead({ ...deed, outcome: 'failed' })
      throw error
    })
    if (kept === null) throw await this.#refuse(deed, notFound(id))
    const { retainedUntil } = kept.head
    if (retainedUntil > textOfMs(this.#clock.forAge())) return kept
    await kept.close()
    const message = `capture ${id} was kept until ${retainedUntil}; it is removed by the next sweep()`
    throw await this.#refuse(deed, new PcapRingError('ERR_PCAP_ARCHIVE_EXPIRED', message))
  }

  async #refuse(deed: Omit<Deed, 'outcome'>, error: PcapRingError): Promise<PcapRingError> {
    await this.#trail.append({ ...deed, outcome: 'refused' })
    return error
  }

  /** Does what was entered already. */
  async #act<T>(deed: Omit<Deed, 'outcome'>, act: () => Promise<T>): Promise<T> {
    try {
      return await act()
    } catch (error) {
      await this.#enterInstead({ ...deed, outcome: 'failed' })
      throw error
    }
  }

  /** Beside an error that somebody is told of anyway; where the trail is away, that one is. */
  async #enterInstead(deed: Deed): Promise<void> {
    await this.#trail.append(deed).catch(() => {})
  }

  #described({ id, bytes, sha256, storedAt, retainedUntil }: Known): ArchivedCapture {
    return { id, location: this.#vault.location(id), bytes, sha256, storedAt, retainedUntil }
  }
}

const notFound = (id: string): PcapRingError =>
  new PcapRingError('ERR_PCAP_ARCHIVE_NOT_FOUND', `the archive holds no capture ${id}`)

const neverFree = (id: string): PcapRingError =>
  new PcapRingError(
    'ERR_PCAP_ARCHIVE_UNAVAILABLE',
    `the archive refused the capture ${id} ${mostPuts} times as if it held one, and holds none; see who else writes to it, and try again later`,
  )

const changedSince = ({ file }: Given, what: string): PcapRingError =>
  new PcapRingError('ERR_PCAP_ARCHIVE_CORRUPT', `${file} ${what}: it was changed since its report; it is not archived`)

async function openSource(path: string): Promise<FileHandle> {
  try {
    const file = await open(resolve(path), constants.O_RDONLY | constants.O_NONBLOCK)
    if ((await file.stat()).isFile()) return file
    await file.close()
    throw new PcapRingError('ERR_PCAP_BAD_FILE', `${path} is no regular file`)
  } catch (cause) {
    if (!isSystemError(cause)) throw cause
    const { errno, syscall, message } = cause
    throw new PcapRingError('ERR_PCAP_BAD_FILE', `cannot read the capture: ${message}`, { errno, syscall, cause })
  }
}

/** All of a file from its beginning, wherever it was read up to. One piece is read while somebody is at work on that before it. */
async function* piecesOf(file: FileHandle, signal?: AbortSignal): AsyncGenerator<Buffer> {
  for await (const piece of ahead(positions(), 2, (position) => pieceAt(file, position))) {
    signal?.throwIfAborted()
    if (piece.length > 0) yield piece
    if (piece.length < pieceSize) return
  }
}

function* positions(): Generator<number> {
  for (let position = 0; ; position += pieceSize) yield position
}

async function pieceAt(file: FileHandle, position: number): Promise<Buffer> {
  try {
    return await readAt(file, position, pieceSize)
  } catch (cause) {
    const { errno, syscall, message } = cause as NodeJS.ErrnoException
    throw new PcapRingError('ERR_PCAP_BAD_FILE', `cannot read the capture: ${message}`, { errno, syscall, cause })
  }
}

async function digestOf(file: FileHandle): Promise<string> {
  const hash = createHash('sha256')
  for await (const piece of piecesOf(file)) hash.update(piece)
  return hash.digest('hex')
}
