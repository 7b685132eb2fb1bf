import type { Stats } from './types.js'

/** As an uncaught exception, outside of whatever is on the stack: what a host's listener throws is the host's. */
export function surface(error: unknown): void {
  process.nextTick(() => {
    throw error
  })
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'

/**
 * Hands `stats` to the listeners. In a lock-step replay each comes with the number of a boundary, at which the capture
 * thread waits until that number is handed back: when all that the listeners returned has settled, or when one of them
 * asked for what only later packets can bring.
 */
export class LockStep {
  readonly #goOn: (boundary: number) => void
  /** The boundary that is waited at, 0 for none. */
  #boundary = 0

  constructor(goOn: (boundary: number) => void) {
    this.#goOn = goOn
  }

  /** Every listener hears of it, whatever another one throws, live (boundary 0) as in lock step. */
  deliver(listeners: readonly unknown[], ring: object, stats: Stats, boundary: number): void {
    this.#boundary = boundary
    const settled: Promise<unknown>[] = []
    for (const listener of listeners) {
      try {
        const returned: unknown = Reflect.apply(listener as (stats: Stats) => unknown, ring, [stats])
        if (isThenable(returned)) settled.push(settles(Promise.resolve(returned)))
      } catch (error) {
        surface(error)
      }
    }
    if (settled.length === 0) this.#release(boundary)
    else void Promise.all(settled).then(() => this.#release(boundary))
  }

  /**
   * Who waits inside a listener for what only later packets can bring would wait for ever: the replay goes on, once all
   * that this turn asks for has been asked.
   */
  releaseAfterTurn(): void {
    const boundary = this.#boundary
    if (boundary !== 0) setImmediate(() => this.#release(boundary))
  }

  /** Nothing waits any more. */
  stop(): void {
    this.#boundary = 0
  }

  #release(boundary: number): void {
    if (boundary === 0 || this.#boundary !== boundary) return
    this.#boundary = 0
    this.#goOn(boundary)
  }
}

/** Waits for a listener's promise. What it rejects with stays the host's: the other branch of it has no handler. */
function settles(promise: Promise<unknown>): Promise<unknown> {
  void promise.then()
  return promise.catch(() => {})
}
