import { types } from 'node:util'

import { emptyStats } from './empty-stats.js'
import { invalidArgType, invalidArgValue, outOfRange } from './errors.js'
import { linkTypeNames, linkTypeValue } from './formats/link-types.js'
import type { PacketToEncode } from './formats/pcap-encoder.js'
import { encodePcapFile } from './formats/pcap-encoder.js'
import { maxCaplen, RecordingReader } from './formats/recording-reader.js'
import { formatTime, parseTime } from './time.js'
import type { Precision, Stats, StatsCapture, StatsStatistics } from './types.js'

const maxU32 = 2 ** 32 - 1

/** A packet for {@link encodePcap}. */
export interface PacketInput {
  /**
   * A Date, a time string as we hand them out, or a number of ms since the epoch (taken to the microsecond, which is
   * as far as such a number is exact). From 1970 to 2106.
   */
  time: Date | string | number
  /** The captured bytes, link-layer header included; at most 262,144. */
  data: Uint8Array
  /**
   * Bytes on the wire, at least those of `data`.
   * @default data.length
   */
  length?: number | undefined
}

/** Options of {@link encodePcap}. */
export interface EncodePcapOptions {
  /**
   * A LINKTYPE_ value, or its name as libpcap has it: `'EN10MB'`, `'LINUX_SLL2'`, `'RAW'`.
   * @default 1 (EN10MB, Ethernet)
   */
  linkType?: number | string | undefined
  /**
   * With `'micro'` what is beyond microseconds is cut, never rounded.
   * @default 'micro'
   */
  precision?: Precision | undefined
}

/** A packet out of {@link readPackets}. */
export interface ReadPacket {
  /** ISO 8601 UTC with 6 fractional digits, 9 from a recording of nanoseconds. */
  time: string
  /** The captured bytes. */
  data: Uint8Array
  /** Bytes on the wire. */
  length: number
}

/** What {@link stats} takes: any part of the figures. */
export type PartialStats<T> = T extends object ? { [K in keyof T]?: PartialStats<T[K]> | undefined } : T

/**
 * A classic .pcap (little-endian, snaplen 262,144) of the packets in the order given; for `new PcapRing({ file })`.
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, naming the packet: `packets[3].time`
 */
export function encodePcap(packets: Iterable<PacketInput>, options: EncodePcapOptions = {}): Uint8Array {
  if (typeof (packets as Iterable<PacketInput> | undefined)?.[Symbol.iterator] !== 'function') {
    throw invalidArgType('packets', 'Iterable', packets)
  }
  if (typeof options !== 'object' || options === null) throw invalidArgType('options', 'object', options)
  const { precision = 'micro' } = options
  if (precision !== 'micro' && precision !== 'nano') {
    throw invalidArgValue('options.precision', precision, "must be one of: 'micro', 'nano'")
  }
  const linkType = judgeLinkType(options.linkType)
  return encodePcapFile(Array.from(packets, judgePacket), { linkType, snaplen: maxCaplen, precision })
}

/**
 * The packets of a recording (.pcap or .pcapng; path, file URL or bytes), read as they are asked for, in constant
 * memory.
 * @throws `ERR_INVALID_ARG_TYPE` at once
 * @throws {PcapRingError} `ERR_PCAP_BAD_FILE` while reading: after the packets before the damage
 */
export function readPackets(file: string | URL | Uint8Array): AsyncIterable<ReadPacket> {
  return handOut(new RecordingReader(file, 'file'))
}

async function* handOut(reader: RecordingReader): AsyncGenerator<ReadPacket, void, undefined> {
  for await (const { timeNs, precision, data, length } of reader) {
    yield { time: formatTime(timeNs, precision), data, length }
  }
}

/**
 * Complete figures of a quarter of a second without traffic, `partial` merged over them; for unit tests of a host's
 * own detection. `mode: 'statistics'` gives the other shape.
 */
export function stats(partial: PartialStats<Omit<StatsStatistics, 'mode'>> & { mode: 'statistics' }): StatsStatistics
export function stats(partial?: PartialStats<StatsCapture>): StatsCapture
export function stats(partial: object = {}): Stats {
  if (typeof partial !== 'object' || partial === null) throw invalidArgType('partial', 'object', partial)
  const mode = (partial as Partial<Stats>).mode ?? 'capture'
  if (mode !== 'capture' && mode !== 'statistics') {
    throw invalidArgValue('partial.mode', mode, "must be one of: 'capture', 'statistics'")
  }
  return merge({ ...emptyStats(mode), interval: 250 }, partial)
}

function judgeLinkType(value: unknown = 1): number {
  if (typeof value === 'string') {
    const known = linkTypeValue(value)
    if (known !== undefined) return known
    throw invalidArgValue('options.linkType', value, `must be a number or one of: ${linkTypeNames().join(', ')}`)
  }
  if (typeof value !== 'number') throw invalidArgType('options.linkType', ['number', 'string'], value)
  if (!Number.isInteger(value) || value < 0 || value > 0xffff) {
    throw outOfRange('options.linkType', 'an integer >= 0 and <= 65535', value)
  }
  return value
}

function judgePacket(packet: unknown, index: number): PacketToEncode {
  const name = `packets[${index}]`
  if (typeof packet !== 'object' || packet === null) throw invalidArgType(name, 'object', packet)
  const { time, data, length } = packet as PacketInput
  if (!types.isUint8Array(data)) throw invalidArgType(`${name}.data`, 'Uint8Array', data)
  if (data.length > maxCaplen) throw outOfRange(`${name}.data.length`, `<= ${maxCaplen}`, data.length)
  if (length !== undefined) {
    if (typeof length !== 'number') throw invalidArgType(`${name}.length`, 'number', length)
    if (!Number.isInteger(length) || length < data.length || length > maxU32) {
      throw outOfRange(`${name}.length`, `an integer >= ${data.length} (of its data) and <= ${maxU32}`, length)
    }
  }
  return { timeNs: judgeTime(time, `${name}.time`), data, length: length ?? data.length }
}

function judgeTime(time: unknown, name: string): bigint {
  const range = 'a time that a pcap can hold, 1970 to 2106'
  if (time === undefined || (typeof time !== 'number' && typeof time !== 'string' && !types.isDate(time))) {
    throw invalidArgType(name, ['number', 'string', 'Date'], time)
  }
  if (typeof time === 'number' && !(Math.abs(time) < 2 ** 53)) throw outOfRange(name, range, time)
  const ns = typeof time === 'number' ? BigInt(Math.round(time * 1_000)) * 1_000n : parseTime(time, name)
  if (ns < 0n || ns / 1_000_000_000n > BigInt(maxU32)) throw outOfRange(name, range, time)
  return ns
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null

function merge<T>(base: T, over: object): T {
  const merged = { ...base } as Record<string, unknown>
  for (const [key, value] of Object.entries(over)) {
    const under = merged[key]
    if (value !== undefined) merged[key] = isRecord(under) && isRecord(value) ? merge(under, value) : value
  }
  return merged as T
}
