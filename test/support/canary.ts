// Keys that are known again wherever they turn up, and a watch for them. What it finds fails the file in the end, whatever its
// tests say.

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { inspect } from 'node:util'

/** Text, so that it is the same in each encoding of text; of letters whose base64 is the same as their base64url. */
const mark = Buffer.from('kNaRyb1R')

/** 32 bytes, of which any 16 in a row hold the mark. */
export function canaryKey(): Buffer {
  const key = randomBytes(32)
  for (const at of [0, 9, 18]) mark.copy(key, at)
  return key
}

/** What of the mark's base64 is the same whatever stands around it, where so many bytes of a group of three are before it. */
function base64Behind(before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), mark]).toString('base64')
  return text.slice(Math.ceil((before * 4) / 3), Math.floor(((before + mark.length) * 4) / 3))
}

const anyCase = (digits: string): string => digits.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)
const bytesOfMark = [...mark]
const pattern = new RegExp(
  [
    mark.toString('latin1'),
    // In one, as a Buffer shows itself, as a fingerprint is written.
    bytesOfMark.map((byte) => anyCase(byte.toString(16).padStart(2, '0'))).join('[ :]?'),
    ...[0, 1, 2].map(base64Behind),
    // As JSON has a Buffer, as a typed array shows itself.
    bytesOfMark.join(',\\s*'),
  ].join('|'),
)

/** Whether something of a key is in it, in any form. */
export function holdsKey(what: unknown): boolean {
  if (typeof what === 'string') return pattern.test(what)
  // Not where it was thrown, which takes a millisecond to find out.
  if (what instanceof Error) return holdsKey([what.name, what.message, { ...what }]) || holdsKey(what.cause)
  if (what instanceof Uint8Array) return pattern.test(Buffer.from(what).toString('latin1'))
  return pattern.test(inspect(what, { depth: 10, showHidden: true, maxArrayLength: null, maxStringLength: null }))
}

const found = new Set<string>()

/** @param where for the message: it must not hold what is looked for */
export function look(where: string, what: unknown): void {
  if (holdsKey(what)) found.add(where)
}

/** All files of a directory, and what they are called. */
export function lookIn(directory: string): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (holdsKey(entry.name)) found.add(`the name of a file in ${relative(directory, entry.parentPath)}`)
    else if (entry.isFile()) look(relative(directory, path), readFileSync(path))
  }
}

// The titles of tests are said there, too.
for (const name of ['stdout', 'stderr'] as const) {
  const stream = process[name]
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
  let before = ''
  stream.write = (chunk: string | Uint8Array, ...args: unknown[]) => {
    const text = before + (typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('latin1'))
    look(name, text)
    before = text.slice(-100)
    return write(chunk, ...args)
  }
}

process.on('exit', () => {
  if (found.size === 0) return
  process.exitCode = 1
  process.stderr.write(`a key, or a part of one, stands in: ${[...found].join(', ')}\n`)
})
