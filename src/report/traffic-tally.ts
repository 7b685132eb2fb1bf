import type { RecordedPacket } from '../formats/recording-reader.js'
import { formatTime } from '../time.js'
import type { Precision, Traffic } from '../types.js'
import { AddressCounts } from './address-counts.js'
import { headersOf } from './headers.js'
import type { RecordingReport } from './types.js'

/** By original length: RFC 2819, and jumbo frames. */
const upTo = [64, 127, 255, 511, 1_023, 1_518, 9_018, null] as const
const listedPorts = 10
const maxSlots = 600
const firstSlotNs = 1_000_000n

/** What the packets of a recording are, as a report tells it; in bounded memory. */
export class TrafficTally {
  readonly #protocols = { tcp: 0, udp: 0, icmp: 0, other: 0 }
  readonly #tcpFlags = { syn: 0, synack: 0, ack: 0, rst: 0, fin: 0 }
  #fragments = 0
  readonly #sizes = upTo.map(() => 0)
  readonly #sources = new AddressCounts()
  readonly #destinations = new AddressCounts()
  readonly #ports = new Map<string, Float64Array>()
  #slots = new Map<bigint, { packets: number; bytes: number }>()
  #slotNs = firstSlotNs
  #originNs: bigint | null = null

  /** @param timed whether the recording says when it came */
  add({ data, length, linkType, timeNs }: RecordedPacket, timed: boolean): void {
    const { transport, fragment, addresses, ports, flags } = headersOf(data, linkType)
    this.#protocols[transport] += 1
    this.#countFlags(flags)
    if (fragment) this.#fragments += 1
    const bucket = upTo.findIndex((bound) => bound === null || length <= bound)
    this.#sizes[bucket] = (this.#sizes[bucket] as number) + 1
    if (addresses !== null) {
      this.#sources.add(data, addresses.at, addresses.size, length)
      this.#destinations.add(data, addresses.at + addresses.size, addresses.size, length)
    }
    if (ports !== null) {
      this.#countPort(`${transport} source`, ports.source)
      this.#countPort(`${transport} destination`, ports.destination)
    }
    if (timed) this.#countTime(timeNs, length)
  }

  result(precision: Precision): RecordingReport['traffic'] {
    const originNs = this.#originNs ?? 0n
    return {
      protocols: this.#protocols,
      tcpFlags: this.#tcpFlags,
      fragments: this.#fragments,
      sizes: upTo.map((bound, i) => ({ upTo: bound, packets: this.#sizes[i] as number })),
      sources: this.#sources.result(),
      destinations: this.#destinations.result(),
      ports: this.#topPorts(),
      timeline: [...this.#slots]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([number, sums]) => ({
          at: formatTime(originNs + number * this.#slotNs, precision),
          ...sums,
          section: 'recording',
        })),
    }
  }

  #countFlags(flags: number): void {
    const [fin, syn, rst, ack] = [0x01, 0x02, 0x04, 0x10].map((bit) => (flags & bit) !== 0)
    if (syn) this.#tcpFlags[ack ? 'synack' : 'syn'] += 1
    else if (ack && !fin && !rst) this.#tcpFlags.ack += 1
    if (rst) this.#tcpFlags.rst += 1
    if (fin) this.#tcpFlags.fin += 1
  }

  #countPort(side: string, port: number): void {
    let counts = this.#ports.get(side)
    if (counts === undefined) {
      counts = new Float64Array(65_536)
      this.#ports.set(side, counts)
    }
    counts[port] = (counts[port] as number) + 1
  }

  #topPorts(): Traffic['ports'] {
    return (['tcp', 'udp'] as const).flatMap((proto) =>
      (['source', 'destination'] as const).flatMap((side) =>
        [...(this.#ports.get(`${proto} ${side}`) ?? [])]
          .map((packets, port) => ({ proto, side, port, packets }))
          .filter(({ packets }) => packets > 0)
          .sort((a, b) => b.packets - a.packets || a.port - b.port)
          .slice(0, listedPorts),
      ),
    )
  }

  /** On a grid from the first packet on, whose slots double in length when they run out. */
  #countTime(timeNs: bigint, bytes: number): void {
    this.#originNs ??= timeNs
    this.#addToSlot(floorDivide(timeNs - this.#originNs, this.#slotNs), { packets: 1, bytes })
    while (this.#slots.size > maxSlots) {
      const before = this.#slots
      this.#slots = new Map()
      this.#slotNs *= 2n
      for (const [number, sums] of before) this.#addToSlot(floorDivide(number, 2n), sums)
    }
  }

  #addToSlot(number: bigint, { packets, bytes }: { packets: number; bytes: number }): void {
    const slot = this.#slots.get(number)
    if (slot === undefined) {
      this.#slots.set(number, { packets, bytes })
      return
    }
    slot.packets += packets
    slot.bytes += bytes
  }
}

const floorDivide = (value: bigint, by: bigint): bigint => value / by - (value % by < 0n ? 1n : 0n)
