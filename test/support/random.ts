// Random moments that can be had again, the same ones in every run: PCAP_RING_SEED=N takes others, PCAP_RING_SEED=random new ones.

import { randomInt } from 'node:crypto'

const asked = process.env.PCAP_RING_SEED ?? '8'
export const seed = asked === 'random' ? randomInt(2 ** 31) : Number(asked)
if (!Number.isInteger(seed)) throw new Error(`PCAP_RING_SEED is a whole number or "random", not "${asked}"`)

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
