import { invalidArgType, invalidArgValue, outOfRange } from '../errors.js'
import { judgeObject } from '../options.js'
import { parseDuration, parseTime } from '../time.js'
import { mixNames } from './interval.js'
import type { DetectorOptions, DetectorState } from './types.js'

/** Judged and complete; durations in ms, null: there is none. */
export interface DetectorSettings {
  pps: number | null
  bps: number | null
  factor: number
  baseline: number | null
  floor: { pps: number; bps: number }
  sustain: number
  clear: number
  state: DetectorState | null
}

const hour = 3_600_000
const day = 24 * hour
const mostRate = 1e12

function rate(value: unknown, name: string, least = 0): number {
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value)
  if (!(value >= least && value <= mostRate)) throw outOfRange(name, `>= ${least} and <= ${mostRate}`, value)
  return value
}

function factorOf(value: unknown): number {
  const name = 'options.factor'
  if (typeof value !== 'number') throw invalidArgType(name, 'number', value)
  if (!(value >= 1.5 && value <= 1_000)) throw outOfRange(name, '>= 1.5 and <= 1000', value)
  return value
}

function stateOf(value: unknown): DetectorState | null {
  const name = 'options.state'
  if (value === undefined) return null
  const { version, at, baseline, learned } = judgeObject(value, name)
  if (version !== 1) throw invalidArgValue(`${name}.version`, version, 'must be 1: it is of another version')
  if (at !== null) parseTime(at, `${name}.at`)
  rate(learned, `${name}.learned`)
  if (baseline !== null) {
    const level = judgeObject(baseline, `${name}.baseline`)
    const mix = judgeObject(level.mix, `${name}.baseline.mix`)
    rate(level.pps, `${name}.baseline.pps`)
    rate(level.bps, `${name}.baseline.bps`)
    for (const key of mixNames) rate(mix[key], `${name}.baseline.mix.${key}`)
  }
  return value as DetectorState
}

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, naming the option */
export function judgeDetectorOptions(options: DetectorOptions | undefined): DetectorSettings {
  const given = judgeObject(options, 'options')
  const floor = judgeObject(given.floor, 'options.floor')
  const or = <T>(value: unknown, fallback: T, judge: (value: unknown) => T): T =>
    value === undefined ? fallback : judge(value)
  const settings: DetectorSettings = {
    pps: or<number | null>(given.pps, null, (value) => rate(value, 'options.pps', 1)),
    bps: or<number | null>(given.bps, null, (value) => rate(value, 'options.bps', 1)),
    factor: or(given.factor, 8, factorOf),
    baseline: or<number | null>(given.baseline, 300_000, (value) =>
      value === null ? null : parseDuration(value, 'options.baseline', { min: 10_000, max: day }),
    ),
    floor: {
      pps: or(floor.pps, 1_000, (value) => rate(value, 'options.floor.pps', 1)),
      bps: or(floor.bps, 10_000_000, (value) => rate(value, 'options.floor.bps', 1)),
    },
    sustain: or(given.sustain, 300, (value) => parseDuration(value, 'options.sustain', { max: hour })),
    clear: or(given.clear, 10_000, (value) => parseDuration(value, 'options.clear', { max: day })),
    state: stateOf(given.state),
  }
  if (settings.baseline === null && settings.pps === null && settings.bps === null) {
    throw invalidArgValue('options.baseline', null, "must be a duration unless 'pps', 'bps' or both are given")
  }
  return settings
}
