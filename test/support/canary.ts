// Keys that are known again wherever they turn up, other secrets that are text, and a watch for them. What it finds fails the file in the
// end, whatever its tests say.

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

/** What of its base64 is the same whatever stands around it, where so many bytes of a group of three are before it. */
function base64Behind(before: number, bytes: Buffer): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
  return text.slice(Math.ceil((before * 4) / 3), Math.floor(((before + bytes.length) * 4) / 3))
}

const literally = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
const anyCase = (digits: string): string => digits.replace(/[a-f]/g, (digit) => `[${digit}${digit.toUpperCase()}]`)

/** In any form that one takes by accident. */
function patternOf(bytes: Buffer): RegExp {
  const numbers = [...bytes]
  const text = bytes.toString('latin1')
  const base64 = [0, 1, 2].map((before) => base64Behind(before, bytes))
  return new RegExp(
    [
      ...[text, encodeURIComponent(text)].map(literally),
      // In one, as a Buffer shows itself, as a fingerprint is written.
      numbers.map((byte) => anyCase(byte.toString(16).padStart(2, '0'))).join('[ :]?'),
      ...base64.map(literally),
      ...base64.map((form) => literally(form.replaceAll('+', '-').replaceAll('/', '_'))),
      // As JSON has a Buffer, as a typed array shows itself.
      numbers.join(',\\s*'),
    ].join('|'),
  )
}

const patterns = [patternOf(mark)]

/** From now on this text, too, is known again. */
export function watchFor(secret: string): void {
  patterns.push(patternOf(Buffer.from(secret)))
}

const isIn = (text: string): boolean => patterns.some((pattern) => pattern.test(text))

/** Whether something of a key, or another secret, is in it, in any form. */
export function holdsSecret(what: unknown): boolean {
  if (typeof what === 'string') return isIn(what)
  // Not where it was thrown, which takes a millisecond to find out.
  if (what instanceof Error) {
    const others: unknown[] = what instanceof AggregateError ? what.errors : []
    return holdsSecret([what.name, what.message, Object.assign({}, what)]) || [what.cause, ...others].some(holdsSecret)
  }
  if (what instanceof Uint8Array) return isIn(Buffer.from(what).toString('latin1'))
  return isIn(inspect(what, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null }))
}

const found = new Set<string>()

/** @param where for the message: it must not hold what is looked for */
export function look(where: string, what: unknown): void {
  if (holdsSecret(what)) found.add(where)
}

/** All files of a directory, and what they are called. */
export function lookIn(directory: string): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (holdsSecret(entry.name)) found.add(`the name of a file in ${relative(directory, entry.parentPath)}`)
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
  process.stderr.write(`a secret, or a part of one, stands in: ${[...found].join(', ')}\n`)
})
