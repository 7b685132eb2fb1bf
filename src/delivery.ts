import { lstat, open, readdir, readFile, unlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { PcapRingError } from './errors.js'
import type { ArchivedCapture, ArchiveSink, IncidentReport } from './types.js'

/** Handed over at the same time. */
const mostAtOnce = 4
/** From one try to the next: half as long again each time. */
const firstBackOffMs = 200
const longestBackOffMs = 60_000
/** What is not delivered so long after the ring was closed waits for the next start. */
const graceMs = 30_000
/** A marker without any other file is one of an incident that is just being opened, or (from then on) of one that never was. */
const orphanedAfterMs = 60_000

const prefix = 'incident_'
const marker = '.undelivered'
const unfinished = ['.json', '.json.part', '.json.new', '.pcap.part', '.pcapng.part']

export interface DeliveryHooks {
  delivered(report: IncidentReport, archived: ArchivedCapture): void
  warn(error: PcapRingError): void
}

/** In this process, whichever ring does it: `directory/id`. */
const underWay = new Set<string>()

const isErrno = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException | null)?.code === code

/**
 * Hands finished incidents to the archive. From its freeze on an empty file beside an incident, `incident_<id>.undelivered`, says
 * that the archive does not have it: so it is known after a crash, and `keep` leaves it alone.
 */
export class Delivery {
  readonly #sink: ArchiveSink
  readonly #directory: string
  readonly #hooks: DeliveryHooks
  /** Whether the marker of an incident is this one's own. */
  readonly #marked = new Map<string, Promise<boolean>>()
  readonly #ending = new AbortController()
  #grace: NodeJS.Timeout | null = null
  #closed = false
  #running = 0
  #open = 0
  readonly #queue: (() => void)[] = []

  constructor(sink: ArchiveSink, directory: string, hooks: DeliveryHooks) {
    this.#sink = sink
    this.#directory = directory
    this.#hooks = hooks
  }

  /** An incident begins that will have a file. */
  expect(id: string): void {
    this.#marked.set(id, this.#mark(id))
  }

  /** It ended without one. */
  drop(id: string): void {
    void this.#forget(id)
  }

  /** It is finished. */
  deliver(report: IncidentReport): void {
    if (report.file === null) this.drop(report.id)
    else void this.#deliver(report, report.file)
  }

  /** What an earlier process left: finished incidents that are marked still. */
  async resume(): Promise<void> {
    try {
      for (const name of await readdir(this.#directory)) {
        if (!name.startsWith(prefix) || !name.endsWith(marker)) continue
        const id = name.slice(prefix.length, -marker.length)
        if (this.#marked.has(id)) continue
        await this.#resume(id).catch((error) => this.#hooks.warn(this.#failure(`cannot archive incident ${id}`, error)))
      }
    } catch (error) {
      this.#hooks.warn(this.#failure('cannot look for captures that are not archived yet', error))
    }
  }

  /** The ring is closed. What is under way goes on for a while. */
  close(): void {
    this.#closed = true
    if (this.#open > 0) this.#grace ??= setTimeout(() => this.#ending.abort(), graceMs)
  }

  #path(id: string, end: string): string {
    return join(this.#directory, `${prefix}${id}${end}`)
  }

  async #mark(id: string): Promise<boolean> {
    try {
      await (await open(this.#path(id, marker), 'wx', 0o600)).close()
      return true
    } catch (error) {
      // An incident of this id waits already: this one will find that its file exists.
      if (isErrno(error, 'EEXIST')) return false
      this.#hooks.warn(this.#failure(`incident ${id} will not be archived if this process dies before it is`, error))
      return false
    }
  }

  async #forget(id: string): Promise<void> {
    const own = await this.#marked.get(id)
    this.#marked.delete(id)
    if (own) await this.#unmark(id)
  }

  async #unmark(id: string): Promise<void> {
    try {
      await unlink(this.#path(id, marker))
    } catch (error) {
      if (!isErrno(error, 'ENOENT'))
        this.#hooks.warn(this.#failure(`cannot remove the marker of incident ${id}`, error))
    }
  }

  async #resume(id: string): Promise<void> {
    const found = await lstat(this.#path(id, marker)).catch(() => null)
    if (!found?.isFile() || found.uid !== process.geteuid?.()) return
    const text = await readFile(this.#path(id, '.json'), 'utf8').catch(() => null)
    if (text !== null) {
      const report = JSON.parse(text) as IncidentReport
      if (report.id === id && report.file !== null) void this.#deliver(report, this.#beside(report.file))
      return
    }
    const others = await Promise.all(unfinished.map((end) => lstat(this.#path(id, end)).catch(() => null)))
    if (others.every((other) => other === null) && Date.now() - found.mtimeMs > orphanedAfterMs) await this.#unmark(id)
  }

  /** The directory may have been moved since. */
  #beside(file: string): string {
    return join(this.#directory, basename(file))
  }

  async #deliver(report: IncidentReport, file: string): Promise<void> {
    const { id } = report
    const known = `${this.#directory}/${id}`
    if (underWay.has(known)) return
    underWay.add(known)
    ++this.#open
    try {
      await this.#marked.get(id)
      const archived = await this.#untilPut(report, file)
      if (archived === null) return
      this.#marked.delete(id)
      await this.#unmark(id)
      this.#hooks.delivered(report, archived)
    } finally {
      underWay.delete(known)
      if (--this.#open === 0 && this.#grace !== null) clearTimeout(this.#grace)
    }
  }

  /** null: it waits for the next start, or there is nothing left to deliver. */
  async #untilPut(report: IncidentReport, file: string): Promise<ArchivedCapture | null> {
    const { signal } = this.#ending
    let told: unknown
    for (let backOffMs = firstBackOffMs; !signal.aborted; backOffMs = Math.min(backOffMs * 1.5, longestBackOffMs)) {
      await this.#turn()
      try {
        return await this.#sink.put({ file, report }, { signal })
      } catch (error) {
        if (signal.aborted) break
        const code = (error as { code?: unknown } | null)?.code
        const message = `incident ${report.id} is not archived yet, and is tried again`
        if (told !== (code ?? error)) this.#hooks.warn(this.#failure(message, error))
        told = code ?? error
      } finally {
        this.#next()
      }
      if ((await lstat(file).catch(() => null)) === null) {
        await this.#unmark(report.id)
        return null
      }
      await sleep(backOffMs, undefined, { signal, ref: this.#closed }).catch(() => {})
    }
    return null
  }

  async #turn(): Promise<void> {
    if (++this.#running > mostAtOnce) await new Promise<void>((resolve) => void this.#queue.push(resolve))
  }

  #next(): void {
    --this.#running
    this.#queue.shift()?.()
  }

  #failure(what: string, cause: unknown): PcapRingError {
    const { errno, syscall, message = String(cause) } = (cause ?? {}) as Partial<NodeJS.ErrnoException>
    const code = cause instanceof PcapRingError ? cause.code : 'ERR_PCAP_ARCHIVE_UNAVAILABLE'
    return new PcapRingError(code, `${what}: ${message}`, { errno, syscall, cause })
  }
}
