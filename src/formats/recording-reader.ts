import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { types } from 'node:util'

import { invalidArgType, PcapRingError } from '../errors.js'
import { maxTimeNs, minTimeNs } from '../time.js'
import type { Precision } from '../types.js'

// Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.

/** Where a recording is: a path, a file URL, or its bytes. */
export type RecordingSource = string | URL | Uint8Array

/** A packet as the recording holds it. */
export interface RecordedPacket {
  /** Since the epoch. A fraction of a second or more is added as it is; 0 where the format holds no time. */
  timeNs: bigint
  /** Whether the recording says more than microseconds. */
  precision: Precision
  /** The captured bytes, the caller's own. */
  data: Uint8Array
  /** On the wire, bytes. Damaged recordings may claim fewer than `data` has. */
  length: number
  /** LINKTYPE_ value. */
  linkType: number
  /** Of the pcapng interface within its section; 0 in a pcap. */
  interfaceId: number
}

interface Interface {
  linkType: number
  snaplen: number
  precision: Precision
  toNs: (ticks: bigint) => bigint
}

/** Largest record that is believed, whatever the file claims: libpcap's MAXIMUM_SNAPLEN. */
export const maxCaplen = 262_144

/** Largest pcapng block that is parsed; libpcap's limit. Blocks that are only skipped may be larger. */
const maxBlock = 16 * 1024 * 1024
const chunkSize = 256 * 1024
const nsPerSecond = 1_000_000_000n

class Damage extends Error {
  constructor(
    readonly offset: number,
    readonly what: string,
  ) {
    super(what)
  }
}

/** The part of a recording that is in memory, from `offset` on. */
class ByteWindow {
  offset = 0
  littleEndian = true
  #bytes: Uint8Array
  #view: DataView
  #start = 0
  #end: number
  readonly #handle: FileHandle | null

  constructor(source: Uint8Array | FileHandle) {
    const inMemory = types.isUint8Array(source)
    this.#handle = inMemory ? null : source
    // Never a Buffer, whose slice() would be no copy.
    this.#bytes = inMemory
      ? new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
      : new Uint8Array(chunkSize)
    this.#end = inMemory ? source.length : 0
    this.#view = viewOf(this.#bytes)
  }

  get available(): number {
    return this.#end - this.#start
  }

  /** Whether there are `count` bytes. Reads on if they are not in memory yet. */
  has(count: number): boolean | Promise<boolean> {
    return this.available >= count || (this.#handle !== null && this.#fill(this.#handle, count))
  }

  async #fill(handle: FileHandle, count: number): Promise<boolean> {
    if (this.#bytes.length - this.#start < count) {
      const target = count > this.#bytes.length ? new Uint8Array(count) : this.#bytes
      target.set(this.#bytes.subarray(this.#start, this.#end))
      this.#end = this.available
      this.#start = 0
      this.#bytes = target
      this.#view = viewOf(target)
    }
    while (this.available < count) {
      const { bytesRead } = await handle.read(this.#bytes, this.#end, this.#bytes.length - this.#end, null)
      if (bytesRead === 0) return false
      this.#end += bytesRead
    }
    return true
  }

  /** Passes over bytes that are in memory. */
  advance(count: number): void {
    this.#start += count
    this.offset += count
  }

  /** Passes over any number of bytes; false if the recording ends before. */
  async skip(count: number): Promise<boolean> {
    while (count > 0) {
      if (this.available === 0 && !(await this.has(1))) return false
      const step = Math.min(count, this.available)
      this.advance(step)
      count -= step
    }
    return true
  }

  u8(at: number): number {
    return this.#view.getUint8(this.#start + at)
  }

  u16(at: number): number {
    return this.#view.getUint16(this.#start + at, this.littleEndian)
  }

  u32(at: number): number {
    return this.#view.getUint32(this.#start + at, this.littleEndian)
  }

  i64(at: number): bigint {
    return this.#view.getBigInt64(this.#start + at, this.littleEndian)
  }

  copy(at: number, length: number): Uint8Array {
    return this.#bytes.slice(this.#start + at, this.#start + at + length)
  }
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * Reads a .pcap (either byte order, micro- or nanoseconds, Kuznetzov's) or a .pcapng (either byte order, any number of
 * sections, link types and time resolutions) in constant memory. What is wrong with a recording is told where it turns
 * up, after all the packets before it. Can be iterated once.
 */
export class RecordingReader implements AsyncIterable<RecordedPacket> {
  /** null until the first four bytes are read, and if they are of neither. */
  format: 'pcap' | 'pcapng' | null = null
  /** Those declared so far, also of interfaces that gave no packet. */
  readonly linkTypes = new Set<number>()
  readonly #source: RecordingSource

  /** @throws `ERR_INVALID_ARG_TYPE` */
  constructor(source: RecordingSource, name = 'file') {
    if (typeof source !== 'string' && !types.isUint8Array(source) && !isUrl(source)) {
      throw invalidArgType(name, ['string', 'URL', 'Uint8Array'], source)
    }
    this.#source = source
  }

  /** @throws {PcapRingError} `ERR_PCAP_BAD_FILE`: cannot be opened or read (`errno`), or damaged (where and how) */
  async *[Symbol.asyncIterator](): AsyncGenerator<RecordedPacket, void, undefined> {
    const what = types.isUint8Array(this.#source) ? 'the recording' : `'${this.#source}'`
    let handle: FileHandle | undefined
    try {
      if (!types.isUint8Array(this.#source)) handle = await open(this.#source)
      yield* this.#read(new ByteWindow(handle ?? (this.#source as Uint8Array)))
    } catch (error) {
      if (error instanceof Damage) {
        throw new PcapRingError('ERR_PCAP_BAD_FILE', `${what} is damaged at byte ${error.offset}: ${error.what}`)
      }
      const { errno, syscall, message } = error as NodeJS.ErrnoException
      if (syscall === undefined) throw error
      throw new PcapRingError('ERR_PCAP_BAD_FILE', `cannot read ${what}: ${message}`, { errno, syscall, cause: error })
    } finally {
      await handle?.close()
    }
  }

  async *#read(bytes: ByteWindow): AsyncGenerator<RecordedPacket, void, undefined> {
    if (!(await bytes.has(4))) {
      throw new Damage(0, bytes.available === 0 ? 'it is empty' : 'it ends inside the file header')
    }
    bytes.littleEndian = true
    const little = bytes.u32(0)
    bytes.littleEndian = false
    const big = bytes.u32(0)
    if (little === 0x0a0d0d0a) {
      this.format = 'pcapng'
      yield* this.#readPcapng(bytes)
      return
    }
    const known = (magic: number): boolean => magic === 0xa1b2c3d4 || magic === 0xa1b23c4d || magic === 0xa1b2cd34
    if (!known(little) && !known(big)) {
      const compressed = (little & 0xffff) === 0x8b1f || little === 0xfd2fb528
      throw new Damage(0, compressed ? 'it is compressed, decompress it first' : 'it is neither a pcap nor a pcapng')
    }
    this.format = 'pcap'
    bytes.littleEndian = known(little)
    yield* this.#readPcap(bytes, known(little) ? little : big)
  }

  async *#readPcap(bytes: ByteWindow, magic: number): AsyncGenerator<RecordedPacket, void, undefined> {
    if (!(await bytes.has(24))) throw new Damage(bytes.offset + bytes.available, 'it ends inside the file header')
    const major = bytes.u16(4)
    const minor = bytes.u16(6)
    if (major !== 2 || minor > 4) throw new Damage(4, `it claims version ${major}.${minor}, which is not known`)
    const field = bytes.u32(20)
    // The upper six bits tell of frame check sequences; those between are reserved, and libpcap refuses them too.
    if ((field & 0x03ff0000) !== 0) throw new Damage(20, `reserved bits of the link type are set (${hex(field)})`)
    const linkType = field & 0xffff
    this.linkTypes.add(linkType)
    bytes.advance(24)

    const precision: Precision = magic === 0xa1b23c4d ? 'nano' : 'micro'
    const nsPerUnit = precision === 'nano' ? 1n : 1_000n
    const headSize = magic === 0xa1b2cd34 ? 24 : 16
    for (;;) {
      const whole = bytes.has(headSize)
      if (!(typeof whole === 'boolean' ? whole : await whole)) {
        if (bytes.available === 0) return
        const there = `${bytes.available} of ${headSize} bytes`
        throw new Damage(bytes.offset, `it ends inside the header of a record (${there})`)
      }
      let caplen = bytes.u32(8)
      let length = bytes.u32(12)
      // The two fields changed places at version 2.3, and not every writer of 2.3 knew.
      if (minor < 3 || (minor === 3 && caplen > length)) [caplen, length] = [length, caplen]
      if (caplen > maxCaplen) {
        throw new Damage(bytes.offset, `its record claims ${caplen} captured bytes, more than ${maxCaplen}`)
      }
      const complete = bytes.has(headSize + caplen)
      if (!(typeof complete === 'boolean' ? complete : await complete)) {
        const there = bytes.available - headSize
        throw new Damage(bytes.offset, `it ends inside the data of a record (${there} of ${caplen} bytes)`)
      }
      const packet = {
        timeNs: BigInt(bytes.u32(0)) * nsPerSecond + BigInt(bytes.u32(4)) * nsPerUnit,
        precision,
        data: bytes.copy(headSize, caplen),
        length,
        linkType,
        interfaceId: 0,
      }
      bytes.advance(headSize + caplen)
      yield packet
    }
  }

  async *#readPcapng(bytes: ByteWindow): AsyncGenerator<RecordedPacket, void, undefined> {
    let interfaces: Interface[] = []
    for (;;) {
      if (!(await bytes.has(12))) {
        if (bytes.available === 0) return
        throw new Damage(bytes.offset, `it ends inside the header of a block (${bytes.available} of 12 bytes)`)
      }
      // The type of a section header reads the same in both orders; its byte-order magic says which one follows.
      const isSection = bytes.u32(0) === 0x0a0d0d0a
      if (isSection) setByteOrder(bytes)
      const type = bytes.u32(0)
      const size = bytes.u32(4)
      if (size < 12 || size % 4 !== 0) throw new Damage(bytes.offset + 4, `its block claims ${size} bytes`)
      const parsed = isSection || type === 1 || type === 2 || type === 3 || type === 6
      if (!parsed) {
        const { offset } = bytes
        if (!(await bytes.skip(size))) throw new Damage(offset, `it ends inside a block of ${size} bytes`)
        continue
      }
      if (size > maxBlock) throw new Damage(bytes.offset + 4, `its block claims ${size} bytes, more than ${maxBlock}`)
      if (!(await bytes.has(size))) {
        throw new Damage(bytes.offset, `it ends inside a block (${bytes.available} of ${size} bytes)`)
      }
      const sizeAgain = bytes.u32(size - 4)
      if (sizeAgain !== size) {
        throw new Damage(bytes.offset + size - 4, `its block of ${size} bytes claims ${sizeAgain} at its end`)
      }
      if (isSection) {
        if (size < 28) throw new Damage(bytes.offset + 4, `its section header claims ${size} bytes`)
        const version = bytes.u16(12)
        if (version !== 1) throw new Damage(bytes.offset + 12, `it claims version ${version}, which is not known`)
        interfaces = []
        bytes.advance(size)
      } else if (type === 1) {
        const added = readInterface(bytes, size)
        this.linkTypes.add(added.linkType)
        interfaces.push(added)
        bytes.advance(size)
      } else {
        const packet = readPacketBlock(bytes, type, size, interfaces)
        bytes.advance(size)
        yield packet
      }
    }
  }
}

const isUrl = (value: unknown): value is URL =>
  // Not by instanceof: a test runner's URL may be of another realm.
  typeof value === 'object' && value !== null && 'href' in value && 'protocol' in value

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`

function setByteOrder(bytes: ByteWindow): void {
  bytes.littleEndian = true
  if (bytes.u32(8) === 0x1a2b3c4d) return
  bytes.littleEndian = false
  if (bytes.u32(8) !== 0x1a2b3c4d) throw new Damage(bytes.offset + 8, 'its section header has no byte-order magic')
}

function readInterface(bytes: ByteWindow, size: number): Interface {
  if (size < 20) throw new Damage(bytes.offset + 4, `its interface description claims ${size} bytes`)
  let resolution = 6
  let offsetSeconds = 0n
  const end = size - 4
  for (let at = 16; at + 4 <= end; ) {
    const code = bytes.u16(at)
    const length = bytes.u16(at + 2)
    if (code === 0) break
    if (at + 4 + length > end) throw new Damage(bytes.offset + at, 'an option runs beyond its block')
    if (code === 9) {
      if (length !== 1) throw new Damage(bytes.offset + at, `if_tsresol has ${length} bytes instead of 1`)
      resolution = bytes.u8(at + 4)
    } else if (code === 14) {
      if (length !== 8) throw new Damage(bytes.offset + at, `if_tsoffset has ${length} bytes instead of 8`)
      offsetSeconds = bytes.i64(at + 4)
    }
    at += 4 + Math.ceil(length / 4) * 4
  }
  const binary = (resolution & 0x80) !== 0
  const exponent = BigInt(resolution & 0x7f)
  const ticksPerSecond = binary ? 2n ** exponent : 10n ** exponent
  return {
    linkType: bytes.u16(8),
    snaplen: bytes.u32(12),
    precision: ticksPerSecond > 1_000_000n ? 'nano' : 'micro',
    toNs: (ticks) => offsetSeconds * nsPerSecond + (ticks * nsPerSecond) / ticksPerSecond,
  }
}

/** Enhanced (6), simple (3) and the obsolete packet block (2). */
function readPacketBlock(bytes: ByteWindow, type: number, size: number, interfaces: Interface[]): RecordedPacket {
  const dataAt = type === 3 ? 12 : 28
  const room = size - 4 - dataAt
  if (room < 0) throw new Damage(bytes.offset + 4, `its packet block claims ${size} bytes`)
  const interfaceId = type === 6 ? bytes.u32(8) : type === 2 ? bytes.u16(8) : 0
  const from = interfaces[interfaceId]
  if (from === undefined) {
    throw new Damage(bytes.offset, `its packet is of interface ${interfaceId}, which is not described`)
  }
  const length = bytes.u32(type === 3 ? 8 : 24)
  // A simple block does not say how much was captured: as much as the interface keeps.
  const caplen = type === 3 ? Math.min(length, from.snaplen === 0 ? Infinity : from.snaplen) : bytes.u32(20)
  if (caplen > maxCaplen) {
    throw new Damage(bytes.offset, `its packet claims ${caplen} captured bytes, more than ${maxCaplen}`)
  }
  if (caplen > room) {
    throw new Damage(bytes.offset, `its packet claims ${caplen} captured bytes in a block with room for ${room}`)
  }
  const timeNs = type === 3 ? 0n : from.toNs((BigInt(bytes.u32(12)) << 32n) | BigInt(bytes.u32(16)))
  if (timeNs < minTimeNs || timeNs > maxTimeNs) {
    throw new Damage(bytes.offset + 12, 'its packet is stamped before 1678 or after 2261')
  }
  const { precision, linkType } = from
  return { timeNs, precision, data: bytes.copy(dataAt, caplen), length, linkType, interfaceId }
}
