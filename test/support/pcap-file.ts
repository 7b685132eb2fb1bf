// A second opinion on what the library writes: shares no code with src/, understands the classic format only.

interface PcapHeader {
  littleEndian: boolean
  magic: number
  nano: boolean
  versionMajor: number
  versionMinor: number
  snaplen: number
  linkType: number
}

export interface PcapRecord {
  sec: number
  /** As stored: micro- or nanoseconds. */
  frac: number
  caplen: number
  len: number
  data: Buffer
  /** Of the record header in the file. */
  offset: number
}

export interface PcapFile {
  header: PcapHeader
  records: PcapRecord[]
}

/** Throws on anything that is not a whole, well-formed file. */
export function parsePcap(bytes: Buffer): PcapFile {
  if (bytes.length < 24) throw new Error(`a file header has 24 bytes, not ${bytes.length}`)
  const littleEndian = [0xd4c3b2a1, 0x4d3cb2a1].includes(bytes.readUInt32BE(0))
  const u32 = (at: number): number => (littleEndian ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at))
  const u16 = (at: number): number => (littleEndian ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at))
  const magic = u32(0)
  if (magic !== 0xa1b2c3d4 && magic !== 0xa1b23c4d) throw new Error(`unknown magic ${magic.toString(16)}`)
  const header = {
    littleEndian,
    magic,
    nano: magic === 0xa1b23c4d,
    versionMajor: u16(4),
    versionMinor: u16(6),
    snaplen: u32(16),
    linkType: u32(20),
  }
  const records: PcapRecord[] = []
  for (let offset = 24; offset < bytes.length; ) {
    if (offset + 16 > bytes.length) throw new Error(`torn record header at ${offset}`)
    const caplen = u32(offset + 8)
    const end = offset + 16 + caplen
    if (end > bytes.length) throw new Error(`torn record at ${offset}: ${caplen} bytes of data, file ends before`)
    records.push({
      sec: u32(offset),
      frac: u32(offset + 4),
      caplen,
      len: u32(offset + 12),
      data: bytes.subarray(offset + 16, end),
      offset,
    })
    offset = end
  }
  return { header, records }
}

/** In nanoseconds since the epoch. */
export function timeOf({ header }: PcapFile, { sec, frac }: PcapRecord): bigint {
  return BigInt(sec) * 1_000_000_000n + BigInt(frac) * (header.nano ? 1n : 1_000n)
}
