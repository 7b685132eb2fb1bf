const hourMs = 3_600_000
/** More is a step, less is how clocks drift. */
const stepMs = 60_000
/** The last that a time can be written of. A clock that is beyond it would keep the trail from ever being entered in again. */
const latestMs = Date.UTC(2261, 0)

const wallMs = (): number => Math.min(Date.now(), latestMs)

/**
 * What time it is, where the wall clock may be set while the process runs. For the age of captures it is not believed when it is
 * set forward, until it has stayed so for an hour; for the end of links not when it is set back.
 */
export class SteadyClock {
  /** The wall clock less the one that never steps. */
  #offsetMs = wallMs() - performance.now()
  /** By the steady one: since when the wall clock is ahead. */
  #aheadSince: number | null = null

  /** Whole ms since 1970: nothing is older than this makes it. */
  forAge(): number {
    const steadyMs = performance.now()
    const aheadMs = wallMs() - steadyMs - this.#offsetMs
    if (aheadMs < stepMs) {
      this.#aheadSince = null
    } else {
      this.#aheadSince ??= steadyMs
      if (steadyMs - this.#aheadSince >= hourMs) {
        this.#offsetMs += aheadMs
        this.#aheadSince = null
      }
    }
    return Math.floor(Math.min(wallMs(), steadyMs + this.#offsetMs))
  }

  /** Whole ms since 1970: nothing that has expired is valid again. */
  forExpiry(): number {
    return Math.floor(Math.max(wallMs(), performance.now() + this.#offsetMs))
  }
}
