// Packets that can be told apart: Ethernet, IPv4, and a 32-bit sequence number at a fixed place. Always the same bytes.

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
export const udpSequenceAt = 42
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

function ipv4Frame(protocol: number, size: number): Buffer {
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
