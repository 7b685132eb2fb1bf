import { types } from 'node:util'

import { invalidArgType, invalidArgValue, outOfRange } from './errors.js'
import type { Precision } from './types.js'

const msPerUnit = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const nsPerSecond = 1_000_000_000n

/** What the engine can count: nanoseconds since the epoch in 64 bits, the years 1677 to 2262. */
export const minTimeNs = -(2n ** 63n)
export const maxTimeNs = 2n ** 63n - 1n

const fewestMs = 0
const mostMs = Number.MAX_SAFE_INTEGER

/**
 * A {@link Duration} in ms.
 * @param name of the option, for the error
 * @param range in ms, both ends included
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
 */
export function parseDuration(value: unknown, name: string, { min = fewestMs, max = mostMs } = {}): number {
  let ms: number
  if (typeof value === 'number') {
    ms = value
  } else if (typeof value === 'string') {
    const match = /^(-?\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value)
    if (match === null) {
      throw invalidArgValue(name, value, "must be milliseconds or a string such as '250ms', '30s', '15m', '12h', '7d'")
    }
    ms = Number(match[1]) * msPerUnit[match[2] as keyof typeof msPerUnit]
  } else {
    throw invalidArgType(name, ['number', 'string'], value)
  }
  if (!(ms >= min && ms <= max)) {
    const range = max === mostMs ? `a duration of at least ${min} ms` : `a duration of ${min} ms to ${max} ms`
    throw outOfRange(name, range, value)
  }
  return ms
}

/** ISO 8601 UTC with exactly 6 fractional digits, 9 with `'nano'`. Cuts, never rounds. */
export function formatTime(ns: bigint, precision: Precision = 'micro'): string {
  let seconds = ns / nsPerSecond
  let rest = ns % nsPerSecond
  if (rest < 0n) {
    // division cuts towards zero: before 1970 that is the wrong second
    seconds -= 1n
    rest += nsPerSecond
  }
  const fraction = String(rest)
    .padStart(9, '0')
    .slice(0, precision === 'nano' ? 9 : 6)
  return `${new Date(Number(seconds) * 1_000).toISOString().slice(0, 19)}.${fraction}Z`
}

/**
 * A time given by the host, in nanoseconds since the epoch: a Date, or a string as we (3 to 9 fractional digits) or
 * `Date.toISOString()` write it.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
 */
export function parseTime(value: unknown, name: string): bigint {
  const ns = types.isDate(value) ? fromDate(value, name) : fromString(value, name)
  if (ns < minTimeNs || ns > maxTimeNs) throw outOfRange(name, 'a time of the years 1678 to 2261', value)
  return ns
}

function fromDate(value: Date, name: string): bigint {
  const ms = value.getTime()
  if (Number.isNaN(ms)) throw invalidArgValue(name, value, 'must be a valid Date')
  return BigInt(ms) * 1_000_000n
}

function fromString(value: unknown, name: string): bigint {
  if (typeof value !== 'string') throw invalidArgType(name, ['string', 'Date'], value)
  const match = /^(\d{4}-\d\d-(\d\d)T\d\d:\d\d:\d\d)\.(\d{3,9})Z$/.exec(value)
  const whole = match === null ? NaN : Date.parse(`${match[1]}Z`)
  // Some impossible times (30 February, 24 o'clock) are parsed to the next day; what is not parsed has no day at all.
  if (match === null || new Date(whole).getUTCDate() !== Number(match[2])) {
    throw invalidArgValue(name, value, "must be a time such as '2026-11-22T08:00:00.123456Z'")
  }
  return BigInt(whole) * 1_000_000n + BigInt((match[3] as string).padEnd(9, '0'))
}
