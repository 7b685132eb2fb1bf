import type { Precision } from '../types.js'

/** What the encoder takes, already judged: seconds and lengths fit 32 bits, `data` fits the snaplen. */
export interface PacketToEncode {
  timeNs: bigint
  data: Uint8Array
  length: number
}

/** A classic, little-endian .pcap. With `'micro'` what is beyond microseconds is cut, never rounded. */
export function encodePcapFile(
  packets: readonly PacketToEncode[],
  { linkType, snaplen, precision }: { linkType: number; snaplen: number; precision: Precision },
): Uint8Array {
  const size = packets.reduce((sum, { data }) => sum + 16 + data.length, 24)
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  const nsPerUnit = precision === 'nano' ? 1n : 1_000n
  view.setUint32(0, precision === 'nano' ? 0xa1b23c4d : 0xa1b2c3d4, true)
  view.setUint16(4, 2, true)
  view.setUint16(6, 4, true)
  view.setUint32(16, snaplen, true)
  view.setUint32(20, linkType, true)
  let at = 24
  for (const { timeNs, data, length } of packets) {
    view.setUint32(at, Number(timeNs / 1_000_000_000n), true)
    view.setUint32(at + 4, Number((timeNs % 1_000_000_000n) / nsPerUnit), true)
    view.setUint32(at + 8, data.length, true)
    view.setUint32(at + 12, length, true)
    bytes.set(data, at + 16)
    at += 16 + data.length
  }
  return bytes
}
