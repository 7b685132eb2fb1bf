import { join } from 'node:path'

import type { Journal } from './audit-trail.js'
import { available, createFile, namesIn, removeFile, textOf, unfinishedIn } from './local-files.js'

/** An entry is written in milliseconds. */
const abandonedAfterMs = 60_000
const digits = 15
const pattern = /^(\d{15})\.jsonl$/

/** A file for each batch; `link` makes it, so that it is whole, and made once. */
export class LocalJournal implements Journal {
  readonly location: string

  constructor(directory: string) {
    this.location = directory
  }

  #path(batch: number): string {
    return join(this.location, `${String(batch).padStart(digits, '0')}.jsonl`)
  }

  #available<T>(act: () => Promise<T>): Promise<T> {
    return available(`the audit trail ${this.location}`, act)
  }

  batches(): Promise<number[]> {
    return this.#available(async () => {
      const names = await namesIn(this.location)
      return names
        .flatMap((name) => pattern.exec(name)?.[1] ?? [])
        .sort()
        .map(Number)
    })
  }

  async newest(): Promise<number | null> {
    return (await this.batches()).at(-1) ?? null
  }

  read(batch: number): Promise<string | null> {
    return this.#available(() => textOf(this.#path(batch)))
  }

  create(batch: number, text: string): Promise<boolean> {
    return this.#available(() => createFile(this.#path(batch), 0o400, (file) => file.writeFile(text)))
  }

  abandoned(): ReturnType<Journal['abandoned']> {
    return this.#available(async () => {
      const all = await unfinishedIn(this.location, pattern, abandonedAfterMs)
      const found = []
      for (const { path, abandoned, finished } of all) {
        if (!abandoned) continue
        // One that cannot be read is nobody's whom this process could speak for.
        const text = finished ? '' : await textOf(path).catch(() => null)
        if (text !== null) found.push({ text, forget: async () => void (await removeFile(path)) })
      }
      return { found, more: all.some(({ abandoned }) => !abandoned) }
    })
  }
}
