import { createWriteStream } from 'node:fs'
import { userInfo } from 'node:os'
import { pipeline } from 'node:stream/promises'

import { LocalArchive } from '../archive/index.js'
import type { ArchivedCapture } from '../index.js'
import { readKeys } from './archive-keys.js'
import type { ArchiveArgs } from './args.js'
import { count, printable, size } from './card.js'
import type { Output } from './output.js'
import { CommandError, jsonLine } from './output.js'

/** `pcap-ring archive …`. @throws {CommandError} */
export async function archiveCommand(args: ArchiveArgs, output: Output, stop: AbortSignal): Promise<void> {
  const keys = readKeys(args.keys, process.env)
  const archive = new LocalArchive({ directory: args.archive, keys, baseUrl: args.baseUrl })
  const actor = args.actor ?? userInfo().username
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
      const stream = await archive.open(args.id, { actor })
      // Not over another file.
      await pipeline(stream, createWriteStream(args.file, { flags: 'wx', mode: 0o600 }), { signal: stop })
      return tell('capture', { id: args.id, file: args.file }, args.file)
    }
    case 'archive sweep':
      for (const one of await archive.sweep()) tell('sweep', one, `removed: ${lineOf(one)}`)
      return
    case 'archive copy': {
      const to = new LocalArchive({ directory: args.to, keys, retention: args.retention })
      const copied = await archive.copyTo(args.id, to, { actor })
      return tell('capture', copied, lineOf(copied))
    }
    case 'archive verify': {
      const { ok, entries, brokenAt } = await archive.audit.verify({ since: args.since })
      let captures = 0
      for await (const _ of archive.list()) ++captures
      const head = await archive.audit.head()
      const found = { ok, entries, brokenAt, head, captures }
      tell('verify', found, `captures  ${count(captures)}`, `entries   ${count(entries)}`, `head      ${head}`)
      if (!ok) throw new CommandError(`the audit trail is broken at entry ${brokenAt}; what is before it is right`)
    }
  }
}

function lineOf({ id, location, bytes, storedAt, retainedUntil }: ArchivedCapture): string {
  return `${id}  ${size(bytes)}  stored ${storedAt}  kept until ${retainedUntil}  ${location}`
}
