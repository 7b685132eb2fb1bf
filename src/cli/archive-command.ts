import { open, rm } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { pipeline } from 'node:stream/promises'

import { count, printable, size } from '../figures.js'
import type { ArchivedCapture } from '../index.js'
import { readKeys } from './archive-keys.js'
import { archiveAt, expectPlace } from './archive-place.js'
import type { ArchiveArgs } from './args.js'
import type { Output } from './output.js'
import { CommandError, jsonLine } from './output.js'

/** `pcap-ring archive …`. @throws {CommandError} */
export async function archiveCommand(args: ArchiveArgs, output: Output, stop: AbortSignal): Promise<void> {
  const keys = readKeys(args.keys, process.env)
  const archive = await archiveAt(args.archive, { keys, baseUrl: args.baseUrl }, process.env)
  const actor = args.actor ?? userName()
  const tell = (event: string, data: object, ...lines: string[]): void =>
    output.out(args.json ? jsonLine(event, data) : lines.map((line) => `${printable(line)}\n`).join(''))

  switch (args.command) {
    case 'archive list':
      for await (const one of archive.list()) tell('capture', one, lineOf(one))
      return
    case 'archive sign': {
      const link = await archive.sign(args.id, { actor, expiresIn: args.expires })
      return tell('link', link, link.url)
    }
    case 'archive get': {
      // Not over another file; and what was read in part only does not stay.
      const file = await open(args.file, 'wx', 0o600)
      try {
        await pipeline(await archive.open(args.id, { actor }), file.createWriteStream(), { signal: stop })
      } catch (error) {
        await file.close()
        await rm(args.file)
        if (stop.aborted) return
        throw error
      }
      return tell('capture', { id: args.id, file: args.file }, args.file)
    }
    case 'archive sweep':
      for (const one of await archive.sweep()) tell('sweep', one, `removed: ${lineOf(one)}`)
      return
    case 'archive copy': {
      const to = await archiveAt(args.to, { keys, retention: args.retention }, process.env)
      const copied = await archive.copyTo(args.id, to, { actor })
      return tell('capture', copied, lineOf(copied))
    }
    case 'archive verify': {
      expectPlace(args.archive)
      const { ok, entries, brokenAt } = await archive.audit.verify({ since: args.since })
      const head = ok ? await archive.audit.head() : null
      tell('trail', { ok, entries, brokenAt, head }, `entries   ${count(entries)}`, `head      ${head ?? 'unknown'}`)
      if (!ok) throw new CommandError(`the audit trail is broken at entry ${brokenAt}; what is before it is right`)
      const put = new Set<string | null>()
      for await (const { action, capture, outcome } of archive.audit.entries()) {
        if (action === 'put' && outcome === 'ok') put.add(capture)
      }
      let captures = 0
      for await (const { id } of archive.list()) {
        if (!put.has(id)) throw new CommandError(`the audit trail does not tell of capture ${id}`)
        ++captures
      }
      return tell('captures', { captures }, `captures  ${count(captures)}`)
    }
  }
}

/** Of a user without a name, as in a container, the number. */
function userName(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.geteuid?.()}`
  }
}

function lineOf({ id, location, bytes, storedAt, retainedUntil }: ArchivedCapture): string {
  return `${id}  ${size(bytes)}  stored ${storedAt}  kept until ${retainedUntil}  ${location}`
}
