// Frames of every kind that a report tells apart, put together from their layers.

const u16 = (value: number): Buffer => Buffer.from([(value >> 8) & 0xff, value & 0xff])

export const ethernet = (type: number, payload: Buffer): Buffer =>
  Buffer.concat([Buffer.from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1]), u16(type), payload])

/** A VLAN tag, and the type of what follows it. */
export const tag = (type: number, payload: Buffer): Buffer => Buffer.concat([u16(0x2007), u16(type), payload])

export const arp = (): Buffer => ethernet(0x0806, Buffer.alloc(46, 1))

export interface Ipv4Shape {
  source?: number
  destination?: number
  /** Flags and offset as they stand in the header. */
  fragment?: number
  /** Header length in words; more than 5 are options. */
  words?: number
}

export function ipv4(protocol: number, payload: Buffer, shape: Ipv4Shape = {}): Buffer {
  const { source = 0x0a000001, destination = 0x0a000002, fragment = 0, words = 5 } = shape
  const header = Buffer.alloc(words * 4)
  header[0] = 0x40 | words
  header.writeUInt16BE(header.length + payload.length, 2)
  header.writeUInt16BE(fragment, 6)
  header.set([64, protocol], 8)
  header.writeUInt32BE(source >>> 0, 12)
  header.writeUInt32BE(destination >>> 0, 16)
  return Buffer.concat([header, payload])
}

/** 2001:db8::/96 with these low 32 bits. */
export function ipv6(next: number, payload: Buffer, source = 1, destination = 2): Buffer {
  const header = Buffer.alloc(40)
  header[0] = 0x60
  header.writeUInt16BE(payload.length, 4)
  header.set([next, 64, 0x20, 0x01, 0x0d, 0xb8], 6)
  header.writeUInt32BE(source >>> 0, 20)
  header.set([0x20, 0x01, 0x0d, 0xb8], 24)
  header.writeUInt32BE(destination >>> 0, 36)
  return Buffer.concat([header, payload])
}

/** An IPv6 extension header of `units` times 8 bytes. */
export function extension(next: number, payload: Buffer, units = 1): Buffer {
  const header = Buffer.alloc(units * 8)
  header.set([next, units - 1])
  return Buffer.concat([header, payload])
}

/** An IPv6 fragment header; `field` is offset and flags. */
export const fragment6 = (next: number, field: number, payload: Buffer): Buffer =>
  Buffer.concat([Buffer.from([next, 0]), u16(field), Buffer.from([0, 0, 0, 9]), payload])

export function udp(source: number, destination: number, size = 8): Buffer {
  const datagram = Buffer.alloc(Math.max(8, size))
  datagram.writeUInt16BE(source, 0)
  datagram.writeUInt16BE(destination, 2)
  datagram.writeUInt16BE(datagram.length, 4)
  return datagram
}

export function tcp(source: number, destination: number, flags: number, size = 20): Buffer {
  const segment = Buffer.alloc(Math.max(20, size))
  segment.writeUInt16BE(source, 0)
  segment.writeUInt16BE(destination, 2)
  segment.set([0x50, flags], 12)
  return segment
}

export const icmp = (size = 8): Buffer => Buffer.concat([Buffer.from([8, 0]), Buffer.alloc(Math.max(8, size) - 2)])
