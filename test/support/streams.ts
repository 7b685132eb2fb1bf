// Recordings of calm traffic and a flood that can be told apart, packet by packet, and the truth about what passed.

import { defaultStart, ipv4Frame, synSequenceAt } from './generate.js'
import type { Headers } from './headers.js'
import { pcapBytes } from './recording.js'

export type Stream = 'calm' | 'flood'

/** A packet that passed. */
export interface Passed {
  /** ns since the epoch. */
  time: bigint
  stream: Stream
  /** In its stream, from 0 on. */
  number: number
  /** On the wire. */
  length: number
  /** Where the frame is none of those made here. */
  data?: Buffer
}

export interface StreamShape {
  /** µs from the recording's beginning on, ascending. */
  times: readonly number[]
  /** Bytes of a frame, 64 or more. @default 64 */
  size?: number
  /** Bytes that the recording kept of it, 64 or more. @default all */
  kept?: number
}

export interface Recording {
  file: Buffer
  truth: Passed[]
}

/** Calm is UDP 10.0.0.1:40000 → 10.0.0.2:9, a flood TCP SYNs from 4,096 addresses of 198.18.0.0/20 → 10.0.0.2:80. */
const kinds = {
  calm: { protocol: 17, numberAt: 42, mark: 0xca },
  flood: { protocol: 6, numberAt: 54, mark: 0xf1 },
} as const

/** Lighter than a bigint for each of a million packets. */
class PassedAt implements Passed {
  constructor(
    readonly us: number,
    readonly stream: Stream,
    readonly number: number,
    readonly length: number,
  ) {}

  get time(): bigint {
    return BigInt(this.us) * 1_000n
  }
}

/** The first 16 bits of the addresses of a flood, and where the others stand. */
const floodNetwork = 0xc612
const floodAddressAt = 28

function templateOf(stream: Stream, size: number): Buffer {
  const { protocol, numberAt, mark } = kinds[stream]
  const frame = ipv4Frame(protocol, size)
  if (stream === 'calm') {
    frame.writeUInt16BE(40_000, 34)
    frame.writeUInt16BE(9, 36)
    frame.writeUInt16BE(Math.min(size - 34, 0xffff), 38)
  } else {
    const ones = ~frame.readUInt16BE(24) & 0xffff
    const before = frame.readUInt16BE(26) + frame.readUInt16BE(floodAddressAt)
    frame.writeUInt16BE(floodNetwork, 26)
    frame.writeUInt16BE(0, floodAddressAt)
    frame.writeUInt16BE(checksum(ones - before + floodNetwork + 2 * 0xffff), 24)
    frame.writeUInt16BE(80, 36)
    frame.set([5 << 4, 0x02], 46)
    frame.writeUInt16BE(65_535, 48)
  }
  frame[numberAt + 4] = mark
  return frame
}

/** Of a sum of 16-bit words. */
function checksum(sum: number): number {
  const folded = (sum & 0xffff) + (sum >>> 16)
  return ~(folded + (folded >>> 16)) & 0xffff
}

/** What differs from one frame to the next, where the frame begins at `at`. */
function writeNumber(file: Buffer, at: number, stream: Stream, number: number, ones: number): void {
  file.writeUInt32BE(number, at + kinds[stream].numberAt)
  if (stream === 'calm') return
  const address = number & 0xfff
  file.writeUInt32BE(number, at + synSequenceAt)
  file.writeUInt16BE(1_024 + (number % 60_000), at + 34)
  file.writeUInt16BE(address, at + floodAddressAt)
  file.writeUInt16BE(checksum(ones + address), at + 24)
}

/** A .pcap of microseconds; of packets at the same time those of the calm come first. */
export function recordingOfStreams(
  calm: StreamShape,
  flood: StreamShape = { times: [] },
  start: number = defaultStart,
): Recording {
  const shapes = { calm, flood }
  const sizeOf = ({ size = 64, kept = size }: StreamShape): number => 16 + Math.min(size, kept)
  const bytes = 24 + calm.times.length * sizeOf(calm) + flood.times.length * sizeOf(flood)
  const file = Buffer.allocUnsafe(bytes)
  file.set(pcapBytes([]))
  const templates = { calm: templateOf('calm', calm.size ?? 64), flood: templateOf('flood', flood.size ?? 64) }
  const ones = ~templates.flood.readUInt16BE(24) & 0xffff
  const truth: Passed[] = []
  const next = { calm: 0, flood: 0 }
  for (let at = 24; at < bytes; ) {
    const [calmTime = Infinity, floodTime = Infinity] = [calm.times[next.calm], flood.times[next.flood]]
    const stream = calmTime <= floodTime ? 'calm' : 'flood'
    const us = start * 1_000 + Math.min(calmTime, floodTime)
    const frame = templates[stream]
    const kept = sizeOf(shapes[stream]) - 16
    const number = next[stream]++
    file.writeUInt32LE(Math.floor(us / 1e6), at)
    file.writeUInt32LE(us % 1e6, at + 4)
    file.writeUInt32LE(kept, at + 8)
    file.writeUInt32LE(frame.length, at + 12)
    file.set(kept === frame.length ? frame : frame.subarray(0, kept), at + 16)
    writeNumber(file, at + 16, stream, number, ones)
    truth.push(new PassedAt(us, stream, number, frame.length))
    at += 16 + kept
  }
  return { file, truth }
}

/** Which packet of which stream a frame is; null where it is none of ours. */
export function whichOf({ data }: { data: Buffer }): { stream: Stream; number: number } | null {
  const stream: Stream = data[23] === 6 ? 'flood' : 'calm'
  const { numberAt, mark } = kinds[stream]
  return data[numberAt + 4] === mark ? { stream, number: data.readUInt32BE(numberAt) } : null
}

/** What its headers say. */
export const headersIn = ({ stream }: Passed): Headers =>
  stream === 'calm' ? { protocol: 'udp', fragment: false } : { protocol: 'tcp', flags: 0x02, fragment: false }
