import { createHmac } from 'node:crypto'

import { PcapRingError } from '../errors.js'
import { judgeObject } from '../options.js'
import { formatTime } from '../time.js'
import { ahead } from './ahead.js'
import { judgeHead } from './arguments.js'
import type { ArchiveKey, KeyRing } from './keys.js'
import type { AuditEntry, AuditTrail, Verification } from './types.js'

/**
 * Where a trail lies: batches of entries, each known by the number of its first entry, and never changed. That a batch can be
 * created only once is all that several processes need to write one chain.
 */
export interface Journal {
  /** The numbers of all batches, ascending. */
  batches(): Promise<number[]>
  /** The number of the last one, or null. */
  newest(): Promise<number | null>
  /** null: there is none of this number. */
  read(batch: number): Promise<string | null>
  /** False: there is one of this number already. */
  create(batch: number, text: string): Promise<boolean>
  /** Batches whose writer died before they were created, and what makes them forgotten; `more`: others may turn out to be such. */
  abandoned(): Promise<{ found: { text: string; forget: () => Promise<void> }[]; more: boolean }>
  /** For errors. */
  readonly location: string
}

/** What is to be entered. */
export type Deed = Pick<AuditEntry, 'actor' | 'action' | 'capture' | 'outcome'>

const none = '0'.repeat(64)
/** Read at once, where all are. */
const batchesAtOnce = 16
/** The archive itself. */
const self = 'pcap-ring'

/** The one text of an entry; what its hash is taken of lacks the hash. */
function textOf({ version, seq, at, actor, action, capture, outcome, previous, hash }: Partial<AuditEntry>): string {
  return JSON.stringify({ version, seq, at, actor, action, capture, outcome, previous, hash })
}

const hashOf = ({ hash: _, ...entry }: Partial<AuditEntry>, key: ArchiveKey): string =>
  createHmac('sha256', key.audit).update(textOf(entry)).digest('hex')

/** An entry, if the line is just the text of one. */
function entryOf(line: string): AuditEntry | null {
  try {
    const entry = JSON.parse(line) as AuditEntry
    return textOf(entry) === line ? entry : null
  } catch {
    return null
  }
}

const linesOf = (batch: string): string[] => batch.split('\n').slice(0, -1)

interface Head {
  seq: number
  hash: string
  at: string
  /** That chained it. */
  key: ArchiveKey
}

/**
 * A chain of entries: each holds the hash of the one before it, and its own is an HMAC, so that who has no key can add or change
 * none. Which key that is a `key` entry says for those behind it. A new key takes over in two: the old one names it, and it
 * names itself.
 */
export class ChainedTrail implements AuditTrail {
  readonly #journal: Journal
  readonly #keys: KeyRing
  readonly #now: () => number
  /** As far as this process has read it; null: it is empty. */
  #head: Head | null = null
  #begun = false
  #tidied = false
  #waiting: { deed: Deed; entered: () => void; failed: (error: unknown) => void }[] = []
  #turn: Promise<unknown> = Promise.resolve()
  #nextCheck: Promise<void> | null = null

  /** @param now ms since 1970 */
  constructor(journal: Journal, keys: KeyRing, now: () => number) {
    this.#journal = journal
    this.#keys = keys
    this.#now = now
  }

  /** That a key fits. */
  check(): Promise<void> {
    // One that has not begun yet sees all that this one would.
    this.#nextCheck ??= this.#inTurn(() => {
      this.#nextCheck = null
      return this.#catchUp()
    })
    return this.#nextCheck
  }

  /** The newest entry's time, or null: nothing here happens before it. */
  async newestTime(): Promise<string | null> {
    await this.check()
    return this.#head?.at ?? null
  }

  /** Fulfils when it is entered for good. What waits at the same time is entered in one go. */
  append(deed: Deed): Promise<void> {
    const entered = new Promise<void>((resolve, reject) => {
      this.#waiting.push({ deed, entered: resolve, failed: reject })
    })
    void this.#inTurn(() => this.#enterWaiting())
    return entered
  }

  async head(): Promise<string> {
    await this.check()
    return this.#head?.hash ?? none
  }

  async *entries(): AsyncGenerator<AuditEntry> {
    await this.#checkKeys()
    for await (const { batch, text } of this.#batches()) {
      for (const line of linesOf(text ?? '')) {
        const entry = entryOf(line)
        if (entry === null) throw this.#corrupt(`batch ${batch} holds a line that is no entry`)
        yield entry
      }
    }
  }

  async verify(options?: { since?: string | undefined }): Promise<Verification> {
    const since = judgeHead(judgeObject(options, 'options').since)
    await this.#checkKeys()
    const known = this.#head?.seq ?? 0
    let seq = 1
    let previous = none
    let key: ArchiveKey | undefined
    let seen = since === undefined || since === none
    const broken = (): Verification => ({ ok: false, entries: seq - 1, brokenAt: seq })
    for await (const { batch, text } of this.#batches()) {
      if (batch !== seq || text === null || text === '' || !text.endsWith('\n')) return broken()
      for (const line of linesOf(text)) {
        const entry = entryOf(line)
        if (entry === null || entry.seq !== seq || entry.previous !== previous) return broken()
        const names = entry.action === 'key' && entry.outcome === 'ok' ? entry.capture : null
        const named = this.#keys.get(names ?? '')
        if (key === undefined && names !== null && named === undefined) throw this.#unknownKey(entry)
        key ??= named
        if (key === undefined || entry.hash !== hashOf(entry, key)) return broken()
        if (names !== null && named === undefined) throw this.#unknownKey(entry)
        key = named ?? key
        previous = entry.hash
        seen ||= previous === since
        ++seq
      }
    }
    // Entries that were there a moment ago are part of it, whatever the journal lists.
    return seen && seq > known ? { ok: true, entries: seq - 1, brokenAt: null } : broken()
  }

  async *#batches(): AsyncGenerator<{ batch: number; text: string | null }> {
    const read = async (batch: number) => ({ batch, text: await this.#journal.read(batch) })
    yield* ahead(await this.#journal.batches(), batchesAtOnce, read)
  }

  /** That a key fits the newest entry; if that one is damaged, the first. */
  async #checkKeys(): Promise<void> {
    try {
      await this.check()
    } catch (error) {
      const [first] = linesOf((await this.#journal.read(1)) ?? '')
      const entry = entryOf(first ?? '')
      if (entry !== null && this.#keyOf(entry) !== undefined) return
      if (!(error instanceof PcapRingError && error.code === 'ERR_PCAP_ARCHIVE_CORRUPT')) throw error
    }
  }

  #keyOf(entry: AuditEntry): ArchiveKey | undefined {
    return [...this.#keys].find((key) => hashOf(entry, key) === entry.hash)
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act)
    this.#turn = done.catch(() => {})
    return done
  }

  /** Reads what others have entered since. */
  async #catchUp(): Promise<void> {
    if (!this.#begun) {
      const newest = await this.#journal.newest()
      if (newest !== null) this.#head = this.#headOf(newest, await this.#journal.read(newest))
      this.#begun = true
    }
    for (;;) {
      const next = (this.#head?.seq ?? 0) + 1
      const text = await this.#journal.read(next)
      if (text === null) return
      this.#head = this.#headOf(next, text)
    }
  }

  #headOf(batch: number, text: string | null): Head {
    const entry = entryOf(linesOf(text ?? '').at(-1) ?? '')
    if (entry === null || entry.seq < batch)
      throw this.#corrupt(`its batch ${batch} does not end with an entry of its own`)
    const key = this.#keyOf(entry)
    if (key !== undefined) return { seq: entry.seq, hash: entry.hash, at: entry.at, key }
    throw new PcapRingError(
      'ERR_PCAP_ARCHIVE_KEY',
      `no key given fits the newest entry (${entry.seq}) of the audit trail ${this.#journal.location}: ` +
        'give the key that the archive is used with, beside a new one; or the entry was edited',
    )
  }

  async #enterWaiting(): Promise<void> {
    const waiting = this.#waiting
    if (waiting.length === 0) return
    this.#waiting = []
    try {
      await this.#catchUp()
      if (!this.#tidied) await this.#enterAbandoned()
      await this.#enter(waiting.map(({ deed }) => deed))
      for (const { entered } of waiting) entered()
    } catch (error) {
      for (const { failed } of waiting) failed(error)
    }
  }

  /** Until no other process was quicker. */
  async #enter(deeds: Deed[]): Promise<void> {
    for (;;) {
      const entries = this.#chain(deeds)
      const [{ seq }] = entries as [AuditEntry]
      const text = entries.map((entry) => `${textOf(entry)}\n`).join('')
      if (await this.#journal.create(seq, text)) {
        this.#head = this.#headOf(seq, text)
        return
      }
      await this.#catchUp()
      const next = (this.#head?.seq ?? 0) + 1
      if (next === seq) throw this.#corrupt(`something that is no batch is in the place of batch ${seq}`)
    }
  }

  #chain(deeds: readonly Deed[]): AuditEntry[] {
    const { first } = this.#keys
    const entries: AuditEntry[] = []
    let { seq, hash: previous, at: newest } = this.#head ?? { seq: 0, hash: none, at: '' }
    const now = formatTime(BigInt(Math.floor(this.#now())) * 1_000_000n)
    // Times of the trail never fall, whatever the clock does.
    if (now > newest) newest = now
    const add = ({ actor, action, capture, outcome }: Deed, key: ArchiveKey): void => {
      const entry = { version: 1 as const, seq: ++seq, at: newest, actor, action, capture, outcome, previous }
      previous = hashOf(entry, key)
      entries.push({ ...entry, hash: previous })
    }
    const before = this.#head?.key
    if (before !== first) {
      const named: Deed = { actor: self, action: 'key', capture: first.id, outcome: 'ok' }
      if (before !== undefined) add(named, before)
      add(named, first)
    }
    for (const deed of deeds) add(deed, first)
    return entries
  }

  /** A process died while it entered these, before it did any of them. Only what it chained: anybody can leave a file. */
  async #enterAbandoned(): Promise<void> {
    const { found, more } = await this.#journal.abandoned()
    for (const { text, forget } of found) {
      const deeds: Deed[] = []
      for (const line of linesOf(text)) {
        const entry = entryOf(line)
        if (entry === null || entry.action === 'key' || this.#keyOf(entry) === undefined) continue
        if (!(await this.#has(entry.seq, line))) deeds.push({ ...entry, outcome: 'failed' })
      }
      if (deeds.length > 0) await this.#enter(deeds)
      await forget()
    }
    this.#tidied = !more
  }

  /** Whether the chain has just this entry. */
  async #has(seq: number, line: string): Promise<boolean> {
    const batch = (await this.#journal.batches()).findLast((first) => first <= seq)
    return batch !== undefined && linesOf((await this.#journal.read(batch)) ?? '').includes(line)
  }

  /** What processes that died left is entered. */
  async tidy(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#catchUp()
      await this.#enterAbandoned()
    })
  }

  #corrupt(what: string): PcapRingError {
    return new PcapRingError(
      'ERR_PCAP_ARCHIVE_CORRUPT',
      `the audit trail ${this.#journal.location} is damaged: ${what}. verify() says what of it is right; put that batch back from a copy, or move the trail aside, as evidence, and a new one begins`,
    )
  }

  #unknownKey({ seq, capture }: AuditEntry): PcapRingError {
    return new PcapRingError(
      'ERR_PCAP_ARCHIVE_KEY',
      `the audit trail ${this.#journal.location} goes on with the key "${capture}" at entry ${seq}: add it to "keys" to verify it`,
    )
  }
}
