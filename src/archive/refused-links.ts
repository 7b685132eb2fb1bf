import type { Deed } from './audit-trail.js'

/** So many in a row are entered one by one; */
const most = 1_000
/** behind those, one entry in so long tells of all that came meanwhile. */
const restMs = 6_000

/** Whoever asks with a link that is none. */
const stranger = 'unknown'

/**
 * What is entered of links that are refused. Anybody can ask, as often as they like: the trail, which nothing is ever taken
 * from, must not grow by each of them, and none may go by untold.
 */
export class RefusedLinks {
  readonly #append: (deed: Deed) => Promise<void>
  #left = most
  #refilledAt = performance.now()
  #untold = 0

  /** @param append never rejects */
  constructor(append: (deed: Deed) => Promise<void>) {
    this.#append = append
  }

  /** Of a link that was one of ours, for whom and for which capture it was. */
  async enter({
    actor = stranger,
    capture = null,
  }: {
    actor?: string | undefined
    capture?: string | null | undefined
  }) {
    const now = performance.now()
    const refilled = Math.floor((now - this.#refilledAt) / restMs)
    this.#refilledAt += refilled * restMs
    this.#left = Math.min(most, this.#left + refilled)
    if (this.#left > 0) {
      --this.#left
      await this.#append({ actor, action: 'download', capture, outcome: 'refused' })
    } else if (++this.#untold === 1) {
      setTimeout(() => this.#tell(), restMs - (now - this.#refilledAt)).unref()
    }
  }

  #tell(): void {
    const actor = `${stranger} (${this.#untold} requests)`
    this.#untold = 0
    void this.#append({ actor, action: 'download', capture: null, outcome: 'refused' })
  }
}
