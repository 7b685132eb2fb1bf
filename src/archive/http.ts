import type { IncomingHttpHeaders } from 'node:http'

/** What is asked for of a file: RFC 9110, sections 13 and 14. */

export interface Representation {
  bytes: number
  etag: string
  /** In whole seconds, as headers say it. */
  modifiedMs: number
}

interface Part {
  start: number
  /** Behind the last byte. */
  end: number
}

export type Answer =
  | { status: 200; part: Part }
  | { status: 206; part: Part }
  | { status: 304 }
  | { status: 412 }
  | { status: 416 }

const tags = (header: string): string[] => header.split(',').map((tag) => tag.trim())
const weak = (tag: string): string => tag.replace(/^W\//, '')

/** Of a time that is none, nothing holds. */
const since = (header: string, { modifiedMs }: Representation): boolean => modifiedMs <= Date.parse(header)

function precondition(headers: IncomingHttpHeaders, file: Representation): 304 | 412 | null {
  const match = headers['if-match']
  const unmodified = headers['if-unmodified-since']
  const noneMatch = headers['if-none-match']
  const modified = headers['if-modified-since']
  if (match !== undefined) {
    if (match.trim() !== '*' && !tags(match).includes(file.etag)) return 412
  } else if (unmodified !== undefined && !Number.isNaN(Date.parse(unmodified)) && !since(unmodified, file)) {
    return 412
  }
  if (noneMatch !== undefined) {
    return noneMatch.trim() === '*' || tags(noneMatch).map(weak).includes(file.etag) ? 304 : null
  }
  return modified !== undefined && since(modified, file) ? 304 : null
}

/** The one range that was asked for. null: all, also where several were; a server may answer so. */
function rangeOf(header: string, { bytes }: Representation): Part | 'unsatisfiable' | null {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header)
  if (match === null) return null
  const [, first, last] = match as unknown as [string, string, string]
  if (first === '' && last === '') return null
  if (first === '') {
    const suffix = Number(last)
    return suffix === 0 || bytes === 0 ? 'unsatisfiable' : { start: Math.max(0, bytes - suffix), end: bytes }
  }
  if (last !== '' && Number(last) < Number(first)) return null
  if (Number(first) >= bytes) return 'unsatisfiable'
  return { start: Number(first), end: last === '' ? bytes : Math.min(bytes, Number(last) + 1) }
}

/** Whether If-Range allows a range. */
function unchanged(header: string | undefined, file: Representation): boolean {
  if (header === undefined) return true
  return header.startsWith('"') ? header === file.etag : Date.parse(header) === file.modifiedMs
}

export function answerFor(headers: IncomingHttpHeaders, file: Representation): Answer {
  const failed = precondition(headers, file)
  if (failed !== null) return { status: failed }
  const whole: Answer = { status: 200, part: { start: 0, end: file.bytes } }
  if (headers.range === undefined || !unchanged(headers['if-range'] as string | undefined, file)) return whole
  const part = rangeOf(headers.range, file)
  if (part === null) return whole
  return part === 'unsatisfiable' ? { status: 416 } : { status: 206, part }
}
