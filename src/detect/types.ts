import type { Attack, Duration } from '../types.js'
import type { Level } from './interval.js'

export type { Attack, Severity, Vector } from '../types.js'

/** Options of a {@link FloodDetector}. All figures are inbound; bps in bits. */
export interface DetectorOptions {
  /** Attack: packets a second at or above this. */
  pps?: number | undefined
  /** Attack: bits a second at or above this. */
  bps?: number | undefined
  /**
   * Attack: at or above so many times the baseline, 1.5 to 1,000.
   * @default 8
   */
  factor?: number | undefined
  /**
   * Over what time the baseline follows the traffic, 10 s to 1 day; null: there is none, and `pps`, `bps` or both are judged alone.
   * @default '5m'
   */
  baseline?: Duration | null | undefined
  /**
   * Below this nothing is an attack by the baseline, however little there was.
   * @default { pps: 1_000, bps: 10_000_000 }
   */
  floor?:
    | {
        /** Packets a second. */
        pps?: number | undefined
        /** Bits a second. */
        bps?: number | undefined
      }
    | undefined
  /**
   * For so long it has to last, up to 1 h: by whole intervals of the statistics.
   * @default '300ms'
   */
  sustain?: Duration | undefined
  /**
   * The attack is over once traffic was below three quarters of all that it is judged by for so long, up to 1 day.
   * @default '10s'
   */
  clear?: Duration | undefined
  /** From an earlier {@link FloodDetector.state}. */
  state?: DetectorState | undefined
}

/** What a detector has learned; plain JSON. */
export interface DetectorState {
  /** Of this format. */
  version: 1
  /** When it was learned; null: nothing was. */
  at: string | null
  /** Rates a second; null: nothing was learned yet. */
  baseline: Level | null
  /** How much traffic it was learned from, ms. */
  learned: number
}

/** What an interval brought. */
export interface Judgement {
  /** What there is behind it. */
  state: 'calm' | 'attack'
  /** What began or ended with it; null: nothing. */
  change: 'attack' | 'clear' | null
  /** The attack there is, or that has just ended; its rates are the highest so far. */
  attack: Attack | null
}
