// Which samples are taken, in which order, and how long that takes.

import { baseline, type Contestant, contestants } from './contestants.js'
import { freezesInRound } from './freezes.js'
import { type Lengths, settleMs } from './measure.js'
import type { Options, Rate } from './options.js'

export interface Case {
  rate: Rate
  bytes: number
}

export interface Turn extends Case {
  bench: 'grid' | 'timer'
  round: number
  contestant: Contestant
}

const timed = [baseline, 'pcap-ring']

/** Those that were chosen; the baseline always, since every other figure is compared with it. */
export function chosen({ only }: Options, missing: ReadonlySet<string>): Contestant[] {
  if (only.length === 0) return []
  return contestants.filter(({ name }) => (name === baseline || only.includes(name)) && !missing.has(name))
}

export const casesOf = ({ rates, sizes }: Options): Case[] =>
  rates.flatMap((rate) => sizes.map((bytes) => ({ rate, bytes })))

/**
 * Round by round over all cases, so that what changes on the machine meets everybody; and every other round backwards, so that
 * nobody always comes after the same neighbour.
 */
export function turns(options: Options, missing: ReadonlySet<string>): Turn[] {
  const taking = chosen(options, missing)
  const pair = contestants.filter(({ name }) => timed.includes(name))
  const all: Turn[] = []
  for (let round = 1; round <= options.rounds; round++) {
    const ordered = <T>(list: readonly T[]): T[] => (round % 2 === 1 ? [...list] : [...list].reverse())
    for (const { rate, bytes } of casesOf(options)) {
      for (const contestant of ordered(taking)) {
        if (contestant.flatOnly && rate !== 'flat' && !options.ratesGiven) continue
        all.push({ bench: 'grid', round, contestant, rate, bytes })
      }
    }
    if (!options.specials.includes('timer')) continue
    for (const bytes of options.sizes) {
      for (const contestant of ordered(pair)) all.push({ bench: 'timer', round, contestant, rate: 'flat', bytes })
    }
  }
  return all
}

/** In the grid the timer is beside the point, in the pairs CPU time is. */
export function lengthsOf({ bench, contestant, rate }: Turn, { seconds }: Options): Lengths {
  if (bench === 'timer') return { seconds: 1, timerSeconds: seconds }
  return { seconds, timerSeconds: contestant.kind === 'host' && rate === 'flat' ? Math.min(2, seconds) : 0 }
}

/** Start and end of a sample, beside settling and what is measured; as it was seen. */
const aroundMs = 700
/** A freeze, and the pause behind it; the busy half takes longer. */
const freezeMs = 200

export function estimateMs(options: Options, all: readonly Turn[]): number {
  const freezing = options.specials.includes('freeze') ? options.rounds * 2 * freezesInRound * freezeMs : 0
  return all.reduce((sum, turn) => {
    const { seconds, timerSeconds } = lengthsOf(turn, options)
    return sum + settleMs + (seconds + timerSeconds) * 1_000 + aroundMs
  }, freezing)
}
