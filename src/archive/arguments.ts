import { invalidArgType, invalidArgValue, outOfRange } from '../errors.js'
import { judgeObject, judgePath } from '../options.js'
import { parseDuration } from '../time.js'
import type { IncidentReport } from '../types.js'
import { isName } from './keys.js'

const day = 86_400_000
/** Bytes: three times as many in a link. */
const longestActor = 256
const longestReport = 16 * 1024 * 1024

export const judgeRetention = (value: unknown): number =>
  value === undefined ? 7 * day : parseDuration(value, 'options.retention', { min: day, max: 365 * day })

export const judgeExpiry = (value: unknown): number =>
  Math.floor(value === undefined ? 900_000 : parseDuration(value, 'options.expiresIn', { min: 1_000, max: 7 * day }))

/** Without the slash at its end, and its path alone. */
export function judgeBaseUrl(value: unknown): { base: string; path: string } | null {
  const name = 'options.baseUrl'
  if (value === undefined) return null
  if (typeof value !== 'string') throw invalidArgType(name, 'string', value)
  const url = URL.canParse(value) ? new URL(value) : null
  const { protocol = '', search, hash, username, password } = url ?? {}
  if (url === null || !/^https?:$/.test(protocol) || search || hash || username || password) {
    throw invalidArgValue(name, value, "must be a URL such as 'https://example.org/captures'")
  }
  const path = url.pathname.replace(/\/+$/, '')
  return { base: url.origin + path, path }
}

export function judgeId(value: unknown): string {
  if (typeof value !== 'string') throw invalidArgType('id', 'string', value)
  if (!isName(value))
    throw invalidArgValue('id', value, 'must be 1 to 64 of A-Z a-z 0-9 . _ - and not start with a dot')
  return value
}

export function judgeActor(value: unknown): string {
  const name = 'options.actor'
  if (typeof value !== 'string') throw invalidArgType(name, 'string', value)
  const bytes = Buffer.byteLength(value)
  if (bytes === 0 || bytes > longestActor || /[\p{Control}\p{Surrogate}]/u.test(value)) {
    throw invalidArgValue(name, value, `must be text of 1 to ${longestActor} bytes, without control characters`)
  }
  return value
}

/** Both ends included, as they are given; the second one excluded, as it is returned. */
export function judgeRange(value: unknown, bytes: number): { start: number; end: number } {
  if (value === undefined) return { start: 0, end: bytes }
  const { start, end } = judgeObject(value, 'options.range')
  const judge = (position: unknown, name: string, least: number): number => {
    if (typeof position !== 'number') throw invalidArgType(name, 'number', position)
    if (!Number.isInteger(position) || position < least || position >= bytes) {
      throw outOfRange(name, `an integer >= ${least} and < ${bytes}, the size of the capture`, position)
    }
    return position
  }
  const first = judge(start, 'options.range.start', 0)
  return { start: first, end: judge(end, 'options.range.end', first) + 1 }
}

export interface Given {
  file: string
  report: IncidentReport
  json: Buffer
}

function jsonOf(report: unknown): Buffer {
  let text: string | undefined
  try {
    text = JSON.stringify(report)
  } catch (cause) {
    throw invalidArgValue('capture.report', report, `must be JSON: ${(cause as Error).message}`)
  }
  if (text === undefined) throw invalidArgValue('capture.report', report, 'must be JSON')
  return Buffer.from(text)
}

/** A head of a trail. */
export function judgeHead(value: unknown): string | undefined {
  const name = 'options.since'
  if (value === undefined) return undefined
  if (typeof value !== 'string') throw invalidArgType(name, 'string', value)
  if (!/^[0-9a-f]{64}$/.test(value)) throw invalidArgValue(name, value, 'must be what head() gave')
  return value
}

export function judgeCapture(value: unknown): Given {
  const { file, report } = judgeObject(value, 'capture')
  judgePath(file, 'capture.file')
  const { id, format } = judgeObject(report, 'capture.report')
  if (typeof id !== 'string') throw invalidArgType('capture.report.id', 'string', id)
  if (!isName(id)) throw invalidArgValue('capture.report.id', id, 'must be the id of an incident')
  if (format !== 'pcap' && format !== 'pcapng') throw invalidArgValue('capture.report.format', format)
  const json = jsonOf(report)
  if (json.length > longestReport)
    throw outOfRange('capture.report', `at most ${longestReport} bytes long`, json.length)
  return { file: file as string, report: report as IncidentReport, json }
}
