import { SocketAddress } from 'node:net'

import type { TrafficAddresses } from '../types.js'

/** So many different addresses are counted exactly; with both sides some 60 MiB. */
const exactUpTo = 262_144
const listed = 10

interface Sum {
  packets: number
  bytes: number
}

/**
 * Packets by address in bounded memory: Misra and Gries, "Finding repeated elements" (1982). Where there are more addresses
 * than places, all lose as much as the one in the middle has, and who has nothing left goes: what is told was certainly there.
 */
export class AddressCounts {
  /** IPv4 by number, IPv6 by its bytes as a string. */
  readonly #sums = new Map<number | string, Sum>()
  readonly #most: number
  #packets = 0
  #different = 0
  #estimated = false

  constructor(most = exactUpTo) {
    this.#most = most
  }

  add(data: Uint8Array, at: number, size: 4 | 16, bytes: number): void {
    const key = size === 4 ? numberOf(data, at) : String.fromCharCode(...data.subarray(at, at + 16))
    this.#packets += 1
    const sum = this.#sums.get(key)
    if (sum !== undefined) {
      sum.packets += 1
      sum.bytes += bytes
      return
    }
    if (this.#sums.size === this.#most) this.#makeRoom()
    this.#sums.set(key, { packets: 1, bytes })
    this.#different = Math.max(this.#different, this.#sums.size)
  }

  result(): TrafficAddresses {
    const top = [...this.#sums]
      .map(([key, sum]) => ({ key, ...sum }))
      .sort((a, b) => b.packets - a.packets || compare(a.key, b.key))
      .slice(0, listed)
    return {
      count: this.#different,
      estimated: this.#estimated,
      top: top.map(({ key, packets, bytes }) => ({ address: textOf(key), packets, bytes })),
      other: this.#packets - top.reduce((sum, { packets }) => sum + packets, 0),
    }
  }

  #makeRoom(): void {
    this.#estimated = true
    const packets = Float64Array.from(this.#sums.values(), (sum) => sum.packets).sort()
    const middle = packets[packets.length >> 1] as number
    for (const [key, sum] of this.#sums) {
      sum.packets -= middle
      if (sum.packets <= 0) this.#sums.delete(key)
    }
  }
}

const numberOf = (data: Uint8Array, at: number): number =>
  (data[at] as number) * 2 ** 24 +
  ((data[at + 1] as number) << 16) +
  ((data[at + 2] as number) << 8) +
  (data[at + 3] as number)

/** By value, IPv4 first. */
function compare(a: number | string, b: number | string): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1
  return a < b ? -1 : 1
}

function textOf(key: number | string): string {
  if (typeof key === 'number') return [24, 16, 8, 0].map((shift) => (key >>> shift) & 255).join('.')
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((key.charCodeAt(2 * i) << 8) | key.charCodeAt(2 * i + 1)).toString(16),
  )
  // Node writes it as inet_ntop does, and so as the reports of incidents.
  return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address
}
