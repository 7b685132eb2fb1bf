// A second opinion on the .pcapng files that the library writes: shares no code with src/, and takes nothing but what
// those files consist of: one section header, one interface, packets, statistics at the end.

import { readFileSync } from 'node:fs'

import { type PcapFile, type PcapRecord, parsePcap } from './pcap-file.js'

interface PcapngRecord extends PcapRecord {
  comment: string | undefined
}

export interface PcapngFile extends PcapFile {
  records: PcapngRecord[]
  section: { comment: string | undefined; os: string | undefined; application: string | undefined }
  device: { name: string | undefined; filter: string | undefined; resolution: number }
  /** null where the file ends without. Times in ticks. */
  statistics: {
    start: bigint | undefined
    end: bigint | undefined
    interfaceDrop: bigint | undefined
    osDrop: bigint | undefined
  } | null
}

type Options = Map<number, Buffer>

const padded = (size: number): number => Math.ceil(size / 4) * 4

function optionsOf(bytes: Buffer): Options {
  const options: Options = new Map()
  for (let at = 0; at < bytes.length; ) {
    const code = bytes.readUInt16LE(at)
    const length = bytes.readUInt16LE(at + 2)
    const end = at + 4 + padded(length)
    if (code === 0) {
      if (length !== 0 || end !== bytes.length) throw new Error('options go on behind their end')
      return options
    }
    if (options.has(code)) throw new Error(`option ${code} twice`)
    if (bytes.subarray(at + 4 + length, end).some((byte) => byte !== 0)) throw new Error('padded with something')
    options.set(code, bytes.subarray(at + 4, at + 4 + length))
    at = end
  }
  if (bytes.length > 0) throw new Error('options without an end')
  return options
}

interface Block {
  type: number
  fields: Buffer
  options: Options
  offset: number
}

/** Bytes before the options, by type. */
const fieldSizes: Record<number, number> = { 168627466: 16, 1: 8, 5: 12, 6: 20 }

function blockAt(bytes: Buffer, offset: number): Block & { end: number } {
  if (offset + 12 > bytes.length) throw new Error(`torn block at ${offset}`)
  const type = bytes.readUInt32LE(offset)
  const size = bytes.readUInt32LE(offset + 4)
  const end = offset + size
  const fieldSize = fieldSizes[type]
  if (fieldSize === undefined) throw new Error(`block of type ${type} at ${offset}`)
  if (size % 4 !== 0 || end > bytes.length) throw new Error(`torn block at ${offset}`)
  if (bytes.readUInt32LE(end - 4) !== size) throw new Error(`the block at ${offset} has two sizes`)
  const data = type === 6 ? padded(bytes.readUInt32LE(offset + 20)) : 0
  const options = offset + 8 + fieldSize + data
  return {
    type,
    fields: bytes.subarray(offset + 8, options),
    options: optionsOf(bytes.subarray(options, end - 4)),
    offset,
    end,
  }
}

/** Throws on anything that is not a whole, well-formed file. */
export function parsePcapng(bytes: Buffer): PcapngFile {
  const blocks: Block[] = []
  for (let at = 0; at < bytes.length; ) {
    const { end, ...block } = blockAt(bytes, at)
    blocks.push(block)
    at = end
  }
  const [section, device, ...rest] = blocks
  if (section?.type !== 0x0a0d0d0a || section.fields.readUInt32LE(0) !== 0x1a2b3c4d)
    throw new Error('no section header')
  if (device?.type !== 1) throw new Error('no interface description')
  const last = rest.at(-1)?.type === 5 ? rest.pop() : undefined
  const text = ({ options }: Block, code: number): string | undefined => options.get(code)?.toString()
  const time = (option: Buffer | undefined): bigint | undefined =>
    option && (BigInt(option.readUInt32LE(0)) << 32n) | BigInt(option.readUInt32LE(4))
  const resolution = device.options.get(9)?.[0] ?? 6
  const perSecond = 10n ** BigInt(resolution)
  const filter = device.options.get(11)
  if (filter !== undefined && filter[0] !== 0) throw new Error('a filter in another language')
  return {
    header: {
      littleEndian: true,
      magic: section.fields.readUInt32LE(0),
      nano: resolution === 9,
      versionMajor: section.fields.readUInt16LE(4),
      versionMinor: section.fields.readUInt16LE(6),
      snaplen: device.fields.readUInt32LE(4),
      linkType: device.fields.readUInt16LE(0),
    },
    section: { comment: text(section, 1), os: text(section, 3), application: text(section, 4) },
    device: { name: text(device, 2), filter: filter?.subarray(1).toString(), resolution },
    statistics: last
      ? {
          start: time(last.options.get(2)),
          end: time(last.options.get(3)),
          interfaceDrop: last.options.get(5)?.readBigUInt64LE(),
          osDrop: last.options.get(7)?.readBigUInt64LE(),
        }
      : null,
    records: rest.map((block) => {
      if (block.type !== 6) throw new Error(`block of type ${block.type} at ${block.offset}`)
      const { fields, offset } = block
      if (fields.readUInt32LE(0) !== 0) throw new Error(`a packet of an interface that is not there at ${offset}`)
      const ticks = (BigInt(fields.readUInt32LE(4)) << 32n) | BigInt(fields.readUInt32LE(8))
      const caplen = fields.readUInt32LE(12)
      return {
        sec: Number(ticks / perSecond),
        frac: Number(ticks % perSecond),
        caplen,
        len: fields.readUInt32LE(16),
        data: fields.subarray(20, 20 + caplen),
        offset,
        comment: text(block, 1),
      }
    }),
  }
}

/** A file of either format. */
export function parseCapture(path: string): PcapFile {
  return (path.endsWith('.pcapng') ? parsePcapng : parsePcap)(readFileSync(path))
}
