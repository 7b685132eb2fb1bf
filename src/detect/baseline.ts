import { addInterval, emptyInterval, type Interval, type Level, levelOf, mixNames } from './interval.js'

/** Less tells nothing. */
const fewestMs = 1_000
/** A gap in the figures, as in a recording that was put together, is no traffic of so long. */
const longestMs = 90_000
const longestSlotMs = 10_000
/** Slots that are not learned yet: what turns out to be an attack is taken out of them. */
const delaySlots = 2
/** A slot counts as no more than so many times what is normal. */
const mostTimes = 2
/** It follows a fall so many times as fast as a rise. */
const fallsFaster = 3
/** What stays below half of what is normal for so long is the new normal. */
const fallenMs = 30_000
/** Below this share of it, nothing is learned for so long: that is an outage. */
const absence = 0.05
const longestAbsenceMs = 600_000

const measures = ['pps', 'bps'] as const
type Measure = (typeof measures)[number]

/**
 * What is normal: an exponentially weighted moving average (Roberts, "Control Chart Tests Based on Geometric Moving Averages",
 * Technometrics 1959) of slots of up to 10 s, with the slots' deviation limited, as is usual against outliers (a Huber-type
 * EWMA: Croux, Gelper, Fried, "Computational aspects of robust Holt-Winters smoothing", 2010). So it follows the time of day, and
 * can rise by no more than a factor e in its own length, which a ramp of a minute cannot hide in. In the beginning all that
 * was seen weighs the same.
 */
export class Baseline {
  readonly #lengthMs: number
  readonly #floor: Record<Measure, number>
  #level: Level | null = null
  #learnedMs = 0
  #slot = emptyInterval()
  #waiting: Interval[] = []
  /** The newest slots, as far as all of them are below half. */
  #fallen: Record<Measure, Interval[]> = { pps: [], bps: [] }
  #absentMs = 0

  /** @param floor what is below it may be learned at once, as it is no attack */
  constructor(lengthMs: number, floor: Record<Measure, number>) {
    this.#lengthMs = lengthMs
    this.#floor = floor
  }

  /** null: too little was seen. */
  get level(): Level | null {
    return this.#learnedMs >= fewestMs ? this.#level : null
  }

  get learnedMs(): number {
    return this.#learnedMs
  }

  /** Goes on with what was learned before. */
  restore(level: Level, learnedMs: number): void {
    this.#level = level
    this.#learnedMs = Math.max(learnedMs, fewestMs)
  }

  /** Begins anew. */
  forget(): void {
    this.#level = null
    this.#learnedMs = this.#absentMs = 0
    this.forgetNewest()
  }

  /** What was seen last is none of it. */
  forgetNewest(): void {
    this.#slot = emptyInterval()
    this.#waiting = []
    this.#fallen = { pps: [], bps: [] }
  }

  /** An interval of calm. */
  learn(interval: Interval): void {
    if (interval.ms > longestMs || this.#isAbsence(interval)) return
    addInterval(this.#slot, interval)
    const slot = this.#slot
    const slotMs = this.#level === null ? fewestMs : Math.min(longestSlotMs, this.#learnedMs / 10)
    if (slot.ms < slotMs) return
    this.#slot = emptyInterval()
    if (this.#level !== null) this.#seeFall(this.#level, slot)
    this.#waiting.push(slot)
    while (this.#waiting.length > (this.#level === null ? 0 : delaySlots)) this.#take(this.#waiting.shift() as Interval)
  }

  /** It counts from the first packet on; and what is away is not what is normal. */
  #isAbsence(interval: Interval): boolean {
    const level = this.#level
    const absent =
      level === null
        ? interval.packets === 0 && this.#slot.ms === 0
        : interval.packets * 1_000 < absence * level.pps * interval.ms
    this.#absentMs = absent ? this.#absentMs + interval.ms : 0
    return absent && (level === null || this.#absentMs < longestAbsenceMs)
  }

  #take(slot: Interval): void {
    const level = this.#level
    const found = levelOf(slot)
    if (level === null) {
      this.#level = found
      this.#learnedMs = slot.ms
      return
    }
    this.#learnedMs += slot.ms
    const begun = slot.ms / Math.min(this.#learnedMs, this.#lengthMs)
    const toward = (now: number, next: number): number => {
      const length = next < now ? this.#lengthMs / fallsFaster : this.#lengthMs
      return now + Math.min(1, Math.max(1 - Math.exp(-slot.ms / length), begun)) * (next - now)
    }
    for (const measure of measures) {
      const most = Math.max(level[measure] * mostTimes, this.#floor[measure])
      level[measure] = toward(level[measure], Math.min(found[measure], most))
    }
    for (const name of mixNames) {
      const most = Math.max(level.mix[name] * mostTimes, this.#floor.pps)
      level.mix[name] = toward(level.mix[name], Math.min(found.mix[name], most))
    }
  }

  /** What had been raised must not hide a flood for as long as an average takes to come down. */
  #seeFall(level: Level, slot: Interval): void {
    for (const measure of measures) {
      const below = levelOf(slot)[measure] < level[measure] / 2
      this.#fallen[measure] = below ? [...this.#fallen[measure], slot] : []
      const all = emptyInterval()
      for (const one of this.#fallen[measure]) addInterval(all, one)
      if (all.ms < fallenMs) continue
      level[measure] = levelOf(all)[measure]
      if (measure === 'pps') level.mix = levelOf(all).mix
      this.#fallen[measure] = []
    }
  }
}
