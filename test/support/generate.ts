// Packets that can be told apart: Ethernet, IPv4, and a 32-bit sequence number at a fixed place. Always the same bytes.
// And when packets come: evenly, at random, in bursts, at rates that change.

export interface GeneratedPacket {
  /** ms since the epoch; whole microseconds. */
  time: number
  data: Buffer
}

export interface Timing {
  /** ms since the epoch. @default 2024-01-01T00:00:00Z */
  start?: number
  /** Packets per second; packet i is sent at start + i / pps, cut to the microsecond. */
  pps: number
  count: number
  /** Sequence number of the first. @default 0 */
  firstSequence?: number
  /** Bytes of the whole frame. @default 64 */
  size?: number
}

export const defaultStart = Date.UTC(2024, 0, 1)

/** Where the sequence number stands (big-endian): the first four bytes of the UDP payload. */
const udpSequenceAt = 42
/** In a SYN: the TCP sequence number itself. */
export const synSequenceAt = 38

/** Time of packet i, ms since the epoch. */
export function timeAt({ start = defaultStart, pps }: Timing, index: number): number {
  return start + Math.floor((index * 1_000_000) / pps) / 1_000
}

/** UDP 10.0.0.1:40000 → 10.0.0.2:9. */
export function udpPackets(timing: Timing): GeneratedPacket[] {
  return generate(timing, (sequence) => {
    const { size = 64 } = timing
    const frame = ipv4Frame(17, size)
    frame.writeUInt16BE(40_000, 34)
    frame.writeUInt16BE(9, 36)
    frame.writeUInt16BE(size - 34, 38)
    frame.writeUInt32BE(sequence, udpSequenceAt)
    return frame
  })
}

/** TCP SYN 10.0.0.1:40000 → 10.0.0.2:80, its sequence number ours; one also stands first in the payload, if any. */
export function synPackets(timing: Timing): GeneratedPacket[] {
  return generate(timing, (sequence) => {
    const { size = 64 } = timing
    const frame = ipv4Frame(6, size)
    frame.writeUInt16BE(40_000, 34)
    frame.writeUInt16BE(80, 36)
    frame.writeUInt32BE(sequence, synSequenceAt)
    frame[46] = 5 << 4
    frame[47] = 0x02
    frame.writeUInt16BE(65_535, 48)
    if (size >= 58) frame.writeUInt32BE(sequence, 54)
    return frame
  })
}

/** The sequence number of a generated packet of either kind. */
export function sequenceOf(data: Uint8Array): number {
  const frame = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  return frame.readUInt32BE(frame[23] === 6 ? synSequenceAt : udpSequenceAt)
}

function generate(timing: Timing, frameOf: (sequence: number) => Buffer): GeneratedPacket[] {
  const { count, firstSequence = 0 } = timing
  return Array.from({ length: count }, (_, index) => ({
    time: timeAt(timing, index),
    data: frameOf(firstSequence + index),
  }))
}

/** An Ethernet frame of one IPv4 packet 10.0.0.1 → 10.0.0.2. */
export function ipv4Frame(protocol: number, size: number): Buffer {
  const smallest = protocol === 6 ? 54 : 46
  if (size < smallest) throw new RangeError(`a frame has at least ${smallest} bytes`)
  const frame = Buffer.alloc(size)
  frame.set([0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00])
  frame[14] = 0x45
  // Frames beyond what IPv4 can say (super-frames of an offloading card) say 0, as Linux lets them.
  frame.writeUInt16BE(size - 14 > 0xffff ? 0 : size - 14, 16)
  frame[22] = 64
  frame[23] = protocol
  frame.set([10, 0, 0, 1, 10, 0, 0, 2], 26)
  let sum = 0
  for (let at = 14; at < 34; at += 2) sum += frame.readUInt16BE(at)
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  frame.writeUInt16BE(~sum & 0xffff, 24)
  return frame
}

/** How packets lie in time. Bursts are of 10 to 50 frames back to back. */
export type Spacing = 'even' | 'poisson' | 'bursty'

export interface Arrivals {
  /** Packets per second; where it changes, at a time in seconds from the recording's beginning on. */
  pps: number | ((seconds: number) => number)
  /** Seconds. @default 0 */
  from?: number
  /** Seconds. */
  for: number
  /** @default 'even' */
  spacing?: Spacing
  /** Between the frames of a burst, µs. @default 1 */
  apart?: number
  /** Random numbers, for all but `'even'`. */
  next?: () => number
}

const none = (): number => {
  throw new Error('random numbers are wanted')
}

/** Steps in which a rate is followed that changes, in seconds. */
const rateStep = 0.001

/** When `packets` will have come that come at this rate from `time` on. */
function timeOfPackets(packets: number, rate: (seconds: number) => number, time: number): number {
  let left = packets
  for (;;) {
    const now = rate(time)
    if (left <= now * rateStep) return time + left / now
    left -= now * rateStep
    time += rateStep
  }
}

/** When packets come, in whole µs from the recording's beginning on, ascending. The first comes at `from` exactly. */
export function arrivals({
  pps,
  from = 0,
  for: seconds,
  spacing = 'even',
  apart = 1,
  next = none,
}: Arrivals): number[] {
  const times: number[] = []
  for (let time = from; time < from + seconds; ) {
    const burst = spacing === 'bursty' ? 10 + Math.floor(next() * 41) : 1
    // A little more than nothing, so that what adds up to a whole µs is one.
    for (let i = 0; i < burst; i++) times.push(Math.floor(time * 1e6 + 0.01) + i * apart)
    const packets = spacing === 'even' ? burst : -Math.log(1 - next()) * burst
    time = typeof pps === 'number' ? time + packets / pps : timeOfPackets(packets, pps, time)
  }
  return spacing === 'bursty' ? ascending(times) : times
}

/** From one rate to another, in a straight line or by the same factor in the same time. */
export const ramp =
  (kind: 'linear' | 'exponential', low: number, high: number, from: number, seconds: number) =>
  (time: number): number => {
    const part = Math.min(1, Math.max(0, (time - from) / seconds))
    return kind === 'linear' ? low + (high - low) * part : low * (high / low) ** part
  }

/** Up and down by `swing` of itself, from its mean upward, where it is steepest. */
export const wave =
  (mean: number, swing: number, period: number) =>
  (time: number): number =>
    mean * (1 + swing * Math.sin((2 * Math.PI * time) / period))

/** `count` packets at `pps` every so many ms. */
export function pulses(shape: { count: number; pps: number; every: number; from: number; for: number }): number[] {
  const starts = Math.floor((shape.for * 1_000) / shape.every)
  return Array.from({ length: starts * shape.count }, (_, i) => {
    const pulse = Math.floor(i / shape.count) * shape.every * 1_000
    return Math.floor(shape.from * 1e6 + pulse + ((i % shape.count) * 1e6) / shape.pps)
  })
}

export interface HeavyTailed {
  /** Mean seconds between two bursts. */
  every: number
  for: number
  next: () => number
  /** Of Pareto's distribution; below 2 its variance has no bound. */
  alpha: number
  /** Packets in a burst. */
  least: number
  most: number
  /** The rate within a burst is somewhere between, evenly in its logarithm. */
  pps: readonly [number, number]
}

/** Bursts at random times whose sizes have a heavy tail. */
export function heavyTailed({
  every,
  for: seconds,
  next,
  alpha,
  least,
  most,
  pps: [low, high],
}: HeavyTailed): number[] {
  const times: number[] = []
  const pause = (): number => -Math.log(1 - next()) * every
  for (let start = pause(); start < seconds; start += pause()) {
    const size = Math.min(most, Math.floor(least * (1 - next()) ** (-1 / alpha)))
    const pps = low * (high / low) ** next()
    for (let i = 0; i < size; i++) times.push(Math.floor((start + i / pps) * 1e6))
  }
  return ascending(times)
}

/** Several in one. */
export const ascending = (...times: number[][]): number[] => times.flat().sort((a, b) => a - b)
