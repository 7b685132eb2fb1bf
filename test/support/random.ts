// Random moments that can be had again: PCAP_RING_SEED=N.

import { randomInt } from 'node:crypto'

export const seed = Number(process.env.PCAP_RING_SEED ?? randomInt(2 ** 31))

/** Mulberry32: numbers from 0 to 1, the same of the same `seed` and `stream`. */
export function random(stream: number): () => number {
  let state = seed ^ stream
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}
