// What senders did, by their own logs, and how far that tells when which frame passed.

import { readFileSync } from 'node:fs'

/** How many at least, how many at most. */
export type Range = [least: number, most: number]

/** The log of a sender: its calls of the kernel, in order. Times are ns since the epoch. */
export class SentLog {
  readonly #first: number[] = []
  readonly #before: bigint[] = []
  readonly #after: bigint[] = []
  /** How many frames were sent; the first is number 0. */
  readonly count: number

  constructor(file: string) {
    const bytes = readFileSync(file)
    const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8)
    let count = 0
    for (let at = 0; at < words.length; at += 4) {
      if (Number(words[at]) !== count) throw new Error(`${file}: frame ${words[at]} after ${count} frames`)
      this.#first.push(count)
      this.#before.push(words[at + 2] as bigint)
      this.#after.push(words[at + 3] as bigint)
      count += Number(words[at + 1])
    }
    this.count = count
  }

  /** The times between which a frame passed the device. */
  passed(number: number): [earliest: bigint, latest: bigint] {
    const call = this.#calls(this.#first, (first) => first <= number) - 1
    return [this.#before[call] as bigint, this.#after[call] as bigint]
  }

  /** How many frames had passed before this time: what the sender was about to send then may or may not have. */
  passedBefore(time: bigint): Range {
    const least = this.#calls(this.#after, (after) => after < time)
    const most = this.#calls(this.#before, (before) => before < time)
    return [this.#first[least] ?? this.count, this.#first[most] ?? this.count]
  }

  // How many calls, from the first on, are so.
  #calls<T>(of: readonly T[], so: (one: T) => boolean): number {
    let [low, high] = [0, of.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (so(of[middle] as T)) low = middle + 1
      else high = middle
    }
    return low
  }
}
