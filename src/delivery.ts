import { constants, readlinkSync, type Stats } from 'node:fs'
import { link, lstat, open, readdir, readFile, unlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { PcapRingError } from './errors.js'
import type { ArchivedCapture, ArchiveSink, IncidentReport } from './types.js'

/** Handed over at the same time, but for those that have taken longer than our patience: one that hangs holds nobody up. */
const mostAtOnce = 4
/** How long it waits, as docs/archive.md says. Tests wait less. */
export const waits = {
  patienceMs: 60_000,
  /** From one try to the next: half as long again each time. */
  firstBackOffMs: 200,
  longestBackOffMs: 60_000,
  /** What is not delivered so long after the ring was closed waits for the next start. */
  graceMs: 30_000,
  /**
   * A marker without any other file is one of an incident that is just being opened, or (from then on) of one that never was; and
   * a claim so old one of a process that died in it.
   */
  orphanedAfterMs: 60_000,
}

const prefix = 'incident_'
const marker = '.undelivered'
/** A second name of a marker, which one thread at a time can give it: that one may write there who has the incident in hand. */
const claim = `${marker}.claim`
const unfinished = ['.json', '.json.part', '.json.new', '.pcap.part', '.pcapng.part']
/** What no further try changes. */
const final = /^ERR_(PCAP_FILE_EXISTS|PCAP_ARCHIVE_CORRUPT|PCAP_BAD_FILE|INVALID_ARG_\w+|OUT_OF_RANGE)$/

export interface DeliveryHooks {
  delivered(report: IncidentReport, archived: ArchivedCapture): void
  warn(error: PcapRingError): void
}

/** What this thread has in hand, whichever ring it is: `directory/id`, and when that one is done with it. */
const inHand = new Map<string, Promise<void>>()

const isErrno = (error: unknown, code: string): boolean => (error as NodeJS.ErrnoException | null)?.code === code

const textOf = (path: string): Promise<string> => readFile(path, 'latin1').catch(() => '')

/** The thread that this runs in, as a worker has its own `inHand`: Linux's number, the process's own on its main thread. */
function ownThread(): number {
  try {
    return Number(basename(readlinkSync('/proc/thread-self')))
  } catch {
    return process.pid
  }
}

const thread = ownThread()

/** A thread, told from all others with its number: Linux's boot, and when it was started (proc(5), stat, field 22). */
async function nameOf(thread: number): Promise<string> {
  const [boot, stat] = await Promise.all([textOf('/proc/sys/kernel/random/boot_id'), textOf(`/proc/${thread}/stat`)])
  return `${boot.trim()} ${thread} ${stat.replace(/^.*\) /s, '').split(' ')[19] ?? ''}`
}

/** Whether the thread that a marker names is alive, and another one. */
async function isOthers(owner: string): Promise<boolean> {
  const other = Number(owner.split(' ')[1])
  return other > 0 && other !== thread && owner === (await nameOf(other))
}

/** null: it is not there. */
const statsOf = (path: string): Promise<Stats | null> =>
  lstat(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  })

/** What is there already. */
async function rewrite(path: string, text: string): Promise<void> {
  const { O_WRONLY, O_TRUNC, O_NOFOLLOW } = constants
  const file = await open(path, O_WRONLY | O_TRUNC | O_NOFOLLOW)
  await file.writeFile(text).finally(() => file.close())
}

const longer = (backOffMs: number): number => Math.min(backOffMs * 1.5, waits.longestBackOffMs)

function isCapture(value: unknown): value is ArchivedCapture {
  const { id, location } = (value ?? {}) as Partial<ArchivedCapture>
  return typeof id === 'string' && typeof location === 'string'
}

/**
 * Hands finished incidents to the archive. From its freeze on a file beside an incident, `incident_<id>.undelivered`, says that the
 * archive does not have it, and which thread sees to that: so it is known after a crash, and `keep` leaves it alone.
 */
export class Delivery {
  readonly #sink: ArchiveSink
  readonly #directory: string
  readonly #hooks: DeliveryHooks
  /** Whether the marker of an incident is this one's own, and what ends having it in hand. */
  readonly #expected = new Map<string, { marked: Promise<boolean>; release: () => void }>()
  readonly #ending = new AbortController()
  #grace: NodeJS.Timeout | null = null
  /** To look once more at what was in another's hand. */
  readonly #again = new Set<NodeJS.Timeout>()
  #closed = false
  #running = 0
  /** Deliveries, and looking for what an earlier process left. */
  #open = 0
  readonly #queue: (() => void)[] = []

  constructor(sink: ArchiveSink, directory: string, hooks: DeliveryHooks) {
    this.#sink = sink
    this.#directory = directory
    this.#hooks = hooks
  }

  /** An incident begins that will have a file. */
  expect(id: string): void {
    this.#expected.set(id, { marked: this.#mark(id), release: this.#take(id) ?? (() => {}) })
  }

  /** It ended without one. */
  drop(id: string): void {
    const expected = this.#expected.get(id)
    this.#expected.delete(id)
    void expected?.marked.then((own) => (own ? this.#unmark(id) : undefined)).finally(expected.release)
  }

  /** It is finished. */
  deliver(report: IncidentReport): void {
    const { id, file } = report
    const expected = this.#expected.get(id)
    this.#expected.delete(id)
    if (file === null || expected === undefined) return
    void this.#work(async () => {
      await expected.marked
      await this.#deliver(report, file).finally(expected.release)
    })
  }

  /** What an earlier process left: finished incidents that are marked still. */
  resume(): void {
    void this.#work(async () => {
      try {
        for (const name of await readdir(this.#directory)) {
          if (this.#closed) return
          if (!name.startsWith(prefix) || !name.endsWith(marker)) continue
          const id = name.slice(prefix.length, -marker.length)
          void this.#work(() => this.#resume(id))
        }
      } catch (error) {
        this.#hooks.warn(failure('cannot look for captures that are not archived yet', error))
      }
    })
  }

  /** The ring is closed. What is under way goes on for a while. */
  close(): void {
    this.#closed = true
    // What was not finished leaves its marker, as it leaves its parts.
    for (const { release } of this.#expected.values()) release()
    this.#expected.clear()
    for (const timer of this.#again) clearTimeout(timer)
    this.#again.clear()
    if (this.#open > 0) this.#grace ??= setTimeout(() => this.#ending.abort(), waits.graceMs)
  }

  async #work(act: () => Promise<void>): Promise<void> {
    ++this.#open
    try {
      await act()
    } finally {
      if (--this.#open === 0 && this.#grace !== null) clearTimeout(this.#grace)
    }
  }

  #path(id: string, end: string): string {
    return join(this.#directory, `${prefix}${id}${end}`)
  }

  /** Takes an incident in hand; what it returns lets go of it. null: somebody has it. */
  #take(id: string): (() => void) | null {
    const known = `${this.#directory}/${id}`
    if (inHand.has(known)) return null
    let release = (): void => {}
    const done = new Promise<void>((resolve) => {
      release = () => {
        inHand.delete(known)
        resolve()
      }
    })
    inHand.set(known, done)
    return release
  }

  async #mark(id: string): Promise<boolean> {
    try {
      const file = await open(this.#path(id, marker), 'wx', 0o600)
      await file.writeFile(await nameOf(thread)).finally(() => file.close())
      return true
    } catch (error) {
      // An incident of this id waits already: this one will find that its file exists.
      if (isErrno(error, 'EEXIST')) return false
      this.#hooks.warn(failure(`incident ${id} will not be archived if this process dies before it is`, error))
      return false
    }
  }

  async #unmark(id: string): Promise<void> {
    try {
      await unlink(this.#path(id, marker))
    } catch (error) {
      if (!isErrno(error, 'ENOENT')) this.#hooks.warn(failure(`cannot remove the marker of incident ${id}`, error))
    }
  }

  async #resume(id: string): Promise<void> {
    let release = this.#take(id)
    while (release === null) {
      await inHand.get(`${this.#directory}/${id}`)
      if (this.#closed) return
      release = this.#take(id)
    }
    try {
      await this.#resumeInHand(id)
    } catch (error) {
      this.#hooks.warn(failure(`cannot archive incident ${id}`, error))
    } finally {
      release()
    }
  }

  async #resumeInHand(id: string): Promise<void> {
    const found = await this.#unclaimed(id)
    if (found === null || (await isOthers(await textOf(this.#path(id, marker))))) return
    const others = await Promise.all(unfinished.map((end) => statsOf(this.#path(id, end))))
    const json = this.#path(id, '.json')
    const foundJson = await statsOf(json)
    if (foundJson === null) {
      const alone = others.every((other) => other === null)
      if (alone && Date.now() - found.mtimeMs > waits.orphanedAfterMs) await this.#unmark(id)
      return
    }
    if (!this.#isOwn(id, json, foundJson)) return
    const report = JSON.parse(await readFile(json, 'utf8')) as IncidentReport
    if (report.id !== id || report.file === null) return
    // The directory may have been moved since.
    const file = join(this.#directory, basename(report.file))
    const foundFile = await statsOf(file)
    if (foundFile === null) {
      const unnamed = unfinished.some((end, i) => end.endsWith('.part') && others[i] !== null)
      if (!unnamed) await this.#unmark(id)
    } else if (this.#isOwn(id, file, foundFile) && (await this.#claim(id))) {
      await this.#deliver(report, file)
    }
  }

  /** Who has it in hand now may die over it; and who died in it is not told from that one yet. */
  #lookAgain(id: string): void {
    if (this.#closed) return
    const timer = setTimeout(() => {
      this.#again.delete(timer)
      void this.#work(() => this.#resume(id))
    }, waits.orphanedAfterMs).unref()
    this.#again.add(timer)
  }

  /** Of several that start at once one delivers it. */
  async #claim(id: string): Promise<boolean> {
    const path = this.#path(id, marker)
    try {
      await link(path, this.#path(id, claim))
    } catch (error) {
      if (isErrno(error, 'EEXIST') || isErrno(error, 'ENOENT')) return false
      throw error
    }
    try {
      if (await isOthers(await textOf(path))) return false
      await rewrite(path, await nameOf(thread))
      return true
    } catch (error) {
      // Who had it has delivered it since.
      if (isErrno(error, 'ENOENT')) return false
      throw error
    } finally {
      await this.#dropClaim(id)
    }
  }

  /** Whether somebody is at it. What one left that died within that moment is removed. */
  async #isClaimed(id: string): Promise<boolean> {
    const left = await statsOf(this.#path(id, claim))
    if (left === null) return false
    if (Date.now() - left.ctimeMs <= waits.orphanedAfterMs) return true
    await this.#dropClaim(id)
    return false
  }

  async #dropClaim(id: string): Promise<void> {
    await unlink(this.#path(id, claim)).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT')) throw error
    })
  }

  /** A marker that nobody takes in hand right now. null: somebody does, or it is gone, or somebody else's. */
  async #unclaimed(id: string): Promise<Stats | null> {
    const path = this.#path(id, marker)
    let found: Stats | null = null
    for (let looks = 0; looks < 3; ++looks) {
      if (await this.#isClaimed(id)) {
        this.#lookAgain(id)
        return null
      }
      found = await statsOf(path)
      if (found === null) return null
      // A second name that is no claim may have been one, which has just ended.
      if (found.nlink === 1) break
    }
    return found && this.#isOwn(id, path, found) ? found : null
  }

  /** What others may have put there is not archived as evidence, but told of. */
  #isOwn(id: string, path: string, found: Stats): boolean {
    const own = process.geteuid?.()
    let why = ''
    if (!found.isFile()) why = 'is no file'
    else if (found.uid !== own) why = `belongs to user ${found.uid}, and this is user ${own}`
    else if (found.nlink > 1) why = `has ${found.nlink} names`
    if (why === '') return true
    const remedy = `see who put it there, then archive it by hand or remove ${this.#path(id, marker)}`
    this.#hooks.warn(failure(`incident ${id} is not archived: ${path} ${why}`, new Error(remedy)))
    return false
  }

  async #deliver(report: IncidentReport, file: string): Promise<void> {
    const { id } = report
    const archived = await this.#untilPut(report, file)
    if (archived === null) return
    await this.#unmark(id)
    this.#hooks.delivered(report, archived)
  }

  /** null: it waits for the next start, or there is nothing left to deliver. */
  async #untilPut(report: IncidentReport, file: string): Promise<ArchivedCapture | null> {
    const { id } = report
    const { signal } = this.#ending
    let told = ''
    for (let backOffMs = waits.firstBackOffMs; !signal.aborted; backOffMs = longer(backOffMs)) {
      try {
        const archived: unknown = await this.#put(report, file)
        if (isCapture(archived)) return archived
        throw new TypeError('what it fulfilled with has no id and location')
      } catch (error) {
        if (signal.aborted) break
        const { code = '', message = '' } = (error ?? {}) as Partial<NodeJS.ErrnoException>
        const gone = await lstat(file).then(
          () => false,
          (reason: unknown) => isErrno(reason, 'ENOENT'),
        )
        const over = gone || final.test(code)
        const after = gone ? 'its file was removed' : over ? 'it is tried again at the next start' : 'it is tried again'
        const reason = `${code} ${over} ${message}`
        if (told !== reason) this.#hooks.warn(failure(`incident ${id} is not archived yet; ${after}`, error))
        told = reason
        if (gone) await this.#unmark(id)
        if (over) break
      }
      await sleep(backOffMs, undefined, { signal, ref: this.#closed }).catch(() => {})
    }
    // Whoever starts next may see to it, though this process lives; unless the marker is gone.
    await rewrite(this.#path(id, marker), '').catch(() => {})
    return null
  }

  /** One call of the sink, in its turn; given up when the grace is over, whatever the sink makes of the signal. */
  async #put(report: IncidentReport, file: string): Promise<unknown> {
    const { signal } = this.#ending
    if (++this.#running > mostAtOnce) await new Promise<void>((resolve) => void this.#queue.push(resolve))
    let counted = true
    const next = (): void => {
      if (!counted) return
      counted = false
      --this.#running
      this.#queue.shift()?.()
    }
    const patience = setTimeout(next, waits.patienceMs).unref()
    let forget = (): void => {}
    const aborted = new Promise<never>((_, reject) => {
      const abort = (): void => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      forget = () => signal.removeEventListener('abort', abort)
    })
    try {
      signal.throwIfAborted()
      return await Promise.race([this.#sink.put({ file, report }, { signal }), aborted])
    } finally {
      forget()
      clearTimeout(patience)
      next()
    }
  }
}

function failure(what: string, cause: unknown): PcapRingError {
  const { errno, syscall, message = String(cause) } = (cause ?? {}) as Partial<NodeJS.ErrnoException>
  const code = cause instanceof PcapRingError ? cause.code : 'ERR_PCAP_ARCHIVE_UNAVAILABLE'
  return new PcapRingError(code, `${what}: ${message}`, { errno, syscall, cause })
}
