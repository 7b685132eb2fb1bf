import type { Stats } from '../types.js'

export interface Thresholds {
  /** Inbound rates at or above which there is an attack; undefined: not judged. */
  pps: number | undefined
  bps: number | undefined
}

/** An attack clears once the traffic has been below this share of every threshold… */
const clearBelow = 0.75
/** …for this long, ms; so that an attack in bursts is one incident. */
const clearAfter = 10_000

/**
 * The command line's own judgement, until there is a detector to use instead: fixed thresholds on inbound figures.
 * Pure: the same figures give the same changes.
 */
export class ThresholdDetector {
  readonly #thresholds: Thresholds
  #attack = false
  #calmFor = 0

  constructor(thresholds: Thresholds) {
    this.#thresholds = thresholds
  }

  /** What changes with this interval. */
  update({ inbound, interval }: Pick<Stats, 'inbound' | 'interval'>): 'attack' | 'clear' | null {
    const { pps = Infinity, bps = Infinity } = this.#thresholds
    if (!this.#attack) {
      if (inbound.pps < pps && inbound.bps < bps) return null
      this.#attack = true
      this.#calmFor = 0
      return 'attack'
    }
    const calm = inbound.pps < pps * clearBelow && inbound.bps < bps * clearBelow
    this.#calmFor = calm ? this.#calmFor + interval : 0
    if (this.#calmFor < clearAfter) return null
    this.#attack = false
    return 'clear'
  }
}
