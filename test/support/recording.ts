// Writes recordings of either format in every byte order and magic. Shares no code with src/.

import { type GeneratedPacket, udpPackets } from './generate.js'

export type Order = 'LE' | 'BE'

export interface RawPacket {
  sec: number
  /** As it will be stored: micro- or nanoseconds. */
  frac: number
  data: Buffer
  /** Bytes on the wire. @default data.length */
  len?: number
}

export interface PcapShape {
  order?: Order
  /** @default 0xa1b2c3d4; 0xa1b23c4d: nanoseconds; 0xa1b2cd34: Kuznetzov's, with longer record headers */
  magic?: number
  linkType?: number
  snaplen?: number
}

/** Words of 32 bits, those in brackets of 16. */
export function words(order: Order, ...values: (number | [number])[]): Buffer {
  const parts = values.map((value) => {
    const bytes = Buffer.alloc(typeof value === 'number' ? 4 : 2)
    if (typeof value === 'number') bytes[`writeUInt32${order}`](value)
    else bytes[`writeUInt16${order}`](value[0])
    return bytes
  })
  return Buffer.concat(parts)
}

export const magics = { micro: 0xa1b2c3d4, nano: 0xa1b23c4d, kuznetzov: 0xa1b2cd34 }

/** A .pcap of the packets in the order given. */
export function pcapBytes(packets: readonly RawPacket[], shape: PcapShape = {}): Buffer {
  const { order = 'LE', magic = magics.micro, linkType = 1, snaplen = 262_144 } = shape
  const parts = [words(order, magic, [2], [4], 0, 0, snaplen, linkType)]
  for (const { sec, frac, data, len = data.length } of packets) {
    parts.push(words(order, sec, frac, data.length, len))
    if (magic === magics.kuznetzov) parts.push(words(order, 3, [0x0800], [0]))
    parts.push(data)
  }
  return Buffer.concat(parts)
}

const padded = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc(-data.length & 3)])

/** A block of a .pcapng. */
function block(order: Order, type: number, ...body: Buffer[]): Buffer {
  const inside = Buffer.concat(body)
  const total = inside.length + 12
  return Buffer.concat([words(order, type, total), inside, words(order, total)])
}

function option(order: Order, code: number, value: Buffer): Buffer {
  return Buffer.concat([words(order, [code], [value.length]), padded(value)])
}

export const sectionBlock = (order: Order): Buffer =>
  block(order, 0x0a0d0d0a, words(order, 0x1a2b3c4d, [1], [0], 0xffffffff, 0xffffffff))

/** @param resolution if_tsresol; 6: microseconds, 9: nanoseconds, 0x80 | n: 2^-n s */
export const interfaceBlock = (order: Order, linkType: number, resolution = 6, snaplen = 262_144): Buffer =>
  block(order, 1, words(order, [linkType], [0], snaplen), option(order, 9, Buffer.from([resolution])), words(order, 0))

/** `direction` 1: inbound, 2: outbound. */
export function packetBlock(order: Order, ticks: bigint, packet: RawPacket, id = 0, direction = 0): Buffer {
  const { data, len = data.length } = packet
  const flags = direction === 0 ? [] : [option(order, 2, words(order, direction)), words(order, 0)]
  return block(
    order,
    6,
    words(order, id, Number(ticks >> 32n), Number(ticks & 0xffffffffn), data.length, len),
    padded(data),
    ...flags,
  )
}

/** A .pcapng of one section and one interface; `frac` in microseconds, with `nano` in nanoseconds. */
export function pcapngBytes(
  packets: readonly RawPacket[],
  { order = 'LE', linkType = 1, nano = false }: { order?: Order; linkType?: number; nano?: boolean } = {},
) {
  const perSecond = nano ? 1_000_000_000n : 1_000_000n
  const ticks = ({ sec, frac }: RawPacket): bigint => BigInt(sec) * perSecond + BigInt(frac)
  return Buffer.concat([
    sectionBlock(order),
    // Blocks of a type that nobody knows are passed over, wherever they stand.
    block(order, 0x0bad, Buffer.from('1234')),
    interfaceBlock(order, linkType, nano ? 9 : 6),
    ...packets.map((packet) => packetBlock(order, ticks(packet), packet)),
    block(order, 0x0bad, Buffer.from('1234')),
  ])
}

/** Generated packets as a recording takes them. */
export const toRaw = (packets: readonly GeneratedPacket[]): RawPacket[] =>
  packets.map(({ time, data }) => at(time, data))

/** A packet at a time in ms since the epoch, to the microsecond. */
export function at(ms: number, data: Buffer, len = data.length): RawPacket {
  const us = Math.round(ms * 1_000)
  return { sec: Math.floor(us / 1e6), frac: us % 1e6, data, len }
}

/** In microseconds since the epoch, of a packet whose fraction is in microseconds. */
export const usOf = ({ sec, frac }: { sec: number; frac: number }): number => sec * 1e6 + frac

/** A time string of ours in microseconds since the epoch. */
export function usOfTime(time: string): number {
  const match = /^(.*)\.(\d{6})\d*Z$/.exec(time)
  return Date.parse(`${match?.[1]}Z`) * 1_000 + Number(match?.[2])
}

/** Microseconds since the epoch as a time string of ours. */
export const timeString = (us: number): string =>
  `${new Date(Math.floor(us / 1e6) * 1_000).toISOString().slice(0, 19)}.${String(us % 1e6).padStart(6, '0')}Z`

/** UDP packets at these times in ms since the epoch, numbered from 0. */
export const udpAt = (...times: number[]): RawPacket[] =>
  times.map((ms, i) => {
    const [packet] = udpPackets({ pps: 1, count: 1, firstSequence: i })
    return at(ms, (packet as GeneratedPacket).data)
  })
