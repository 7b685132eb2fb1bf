// A report's `traffic`, computed again from the written file.

import type { IncidentReport, Traffic } from '../../src/types.js'
import { nsOf } from './evidence.js'
import { addressKey, type Headers, headersOf, linkTypes } from './headers.js'
import { timeOf } from './pcap-file.js'
import { parseCapture } from './pcapng-file.js'

const bounds = [64, 127, 255, 511, 1_023, 1_518, 9_018, null]
const exactUpTo = 4_096

interface Seen extends Headers {
  time: bigint
  len: number
  section: string
}

const count = <T>(all: readonly T[], wanted: (one: T) => boolean): number => all.filter(wanted).length

function packetsOf(report: IncidentReport): Seen[] {
  const file = parseCapture(report.file as string)
  const sectionOf = report.sections.flatMap(({ name, packets }) => Array<string>(packets).fill(name))
  return file.records.map((record, i) => ({
    ...headersOf(record.data, file.header.linkType),
    time: timeOf(file, record),
    len: record.len,
    section: sectionOf[i] as string,
  }))
}

/** Of packets whose headers are read. */
export function countsOf(
  packets: readonly (Headers & { len: number })[],
): Pick<Traffic, 'protocols' | 'tcpFlags' | 'fragments' | 'sizes'> {
  const flags = packets.flatMap(({ flags }) => (flags === undefined ? [] : [flags]))
  const of = (protocol: string): number => count(packets, (packet) => packet.protocol === protocol)
  return {
    protocols: { tcp: of('tcp'), udp: of('udp'), icmp: of('icmp'), other: of('other') },
    tcpFlags: {
      syn: count(flags, (byte) => (byte & 0x12) === 0x02),
      synack: count(flags, (byte) => (byte & 0x12) === 0x12),
      ack: count(flags, (byte) => (byte & 0x17) === 0x10),
      rst: count(flags, (byte) => (byte & 0x04) !== 0),
      fin: count(flags, (byte) => (byte & 0x01) !== 0),
    },
    fragments: count(packets, ({ fragment }) => fragment),
    sizes: bounds.map((upTo, i) => ({
      upTo,
      packets: count(packets, ({ len }) => len > (bounds[i - 1] ?? -1) && (upTo === null || len <= upTo)),
    })),
  }
}

function portsOf(packets: Seen[]): Traffic['ports'] {
  return (['tcp', 'udp'] as const).flatMap((proto) =>
    (['source', 'destination'] as const).flatMap((side) => {
      const sums = new Map<number, number>()
      for (const { protocol, ports } of packets) {
        if (protocol === proto && ports) sums.set(ports[side], (sums.get(ports[side]) ?? 0) + 1)
      }
      return [...sums]
        .sort(([a, m], [b, n]) => n - m || a - b)
        .slice(0, 10)
        .map(([port, packets]) => ({ proto, side, port, packets }))
    }),
  )
}

/** On the grid from `frozenAt` on, the shortest slots of 1 ms, 2 ms, 4 ms… that are no more than 600. */
function timelineOf(
  packets: Seen[],
  frozenAt: string,
): { at: bigint; packets: number; bytes: number; section: string }[] {
  const origin = nsOf(frozenAt)
  const names = [...new Set(packets.map(({ section }) => section))]
  for (let length = 1_000_000n; ; length *= 2n) {
    const slots = new Map<string, { at: bigint; packets: number; bytes: number; section: string }>()
    for (const { time, len, section } of packets) {
      const since = time - origin
      const number = since / length - (since % length < 0n ? 1n : 0n)
      const key = `${section} ${number}`
      const slot = slots.get(key) ?? { at: origin + number * length, packets: 0, bytes: 0, section }
      slots.set(key, { ...slot, packets: slot.packets + 1, bytes: slot.bytes + len })
    }
    if (slots.size > 600) continue
    const order = ({ section }: { section: string }): number => names.indexOf(section)
    return [...slots.values()].sort((a, b) => order(a) - order(b) || Number(a.at - b.at))
  }
}

/** What `said` of one end is wrong about it. Where estimated, within what docs/files.md promises and 5 % for the count. */
function wrongAddresses(end: 'source' | 'destination', said: Traffic['sources'], packets: Seen[]): string[] {
  const wrong: string[] = []
  const check = (good: boolean, what: string): void => {
    if (!good) wrong.push(`${end}: ${what}`)
  }
  const sums = new Map<string, { packets: number; bytes: number }>()
  let total = 0
  for (const packet of packets) {
    const key = packet[end]
    if (key === undefined) continue
    total++
    const sum = sums.get(key) ?? { packets: 0, bytes: 0 }
    sums.set(key, { packets: sum.packets + 1, bytes: sum.bytes + packet.len })
  }
  const listed = said.top.reduce((sum, { packets }) => sum + packets, 0)
  check(listed + said.other === total, `${listed} listed and ${said.other} other are not ${total}`)
  check(said.estimated === sums.size > exactUpTo, `estimated is ${said.estimated} of ${sums.size}`)
  check(said.top.length === Math.min(10, sums.size), `${said.top.length} are listed of ${sums.size}`)
  const off = said.estimated ? 0.05 : 0
  check(Math.abs(said.count - sums.size) <= sums.size * off, `count is ${said.count}, not ${sums.size}`)
  const slack = said.estimated ? total / exactUpTo : 0
  for (const { address, packets, bytes } of said.top) {
    const sum = sums.get(addressKey(address)) ?? { packets: 0, bytes: 0 }
    check(packets <= sum.packets && packets >= sum.packets - slack, `${address} has ${sum.packets}, not ${packets}`)
    check(said.estimated ? bytes <= sum.bytes : bytes === sum.bytes, `${address} has ${sum.bytes} bytes, not ${bytes}`)
  }
  if (said.estimated) {
    // Who has more than the least listed by more than the slack is listed.
    const least = Math.min(...said.top.map(({ packets }) => packets))
    const keys = said.top.map(({ address }) => addressKey(address))
    for (const [key, { packets }] of sums) check(packets <= least + slack || keys.includes(key), `${key} is not listed`)
    return wrong
  }
  const expected = [...sums]
    .map(([key, sum]) => ({ key, ...sum }))
    .sort((a, b) => b.packets - a.packets || (a.key < b.key ? -1 : 1))
    .slice(0, 10)
  const found = said.top.map(({ address, ...sum }) => ({ key: addressKey(address), ...sum }))
  check(
    JSON.stringify(found) === JSON.stringify(expected),
    `${JSON.stringify(found)} is not ${JSON.stringify(expected)}`,
  )
  return wrong
}

/** Whether the parser of this directory reads the file's link type as far as the library does. */
export const understood = ({ file }: IncidentReport): boolean =>
  linkTypes.includes(parseCapture(file as string).header.linkType)

/** What a report's `traffic` says wrongly of its file. */
export function wrongTraffic(report: IncidentReport): string[] {
  if (report.traffic === null) return ['there is no traffic']
  const { sources, destinations, ports, timeline, ...counts } = report.traffic
  const packets = packetsOf(report)
  const wrong: string[] = []
  const same = (what: string, said: unknown, is: unknown): void => {
    const [left, right] = [JSON.stringify(said), JSON.stringify(is)]
    if (left !== right) wrong.push(`${what}: the report says ${left}, the file ${right}`)
  }
  const { protocols, tcpFlags, fragments, sizes } = countsOf(packets)
  same('counts', counts, { protocols, tcpFlags, fragments, sizes })
  wrong.push(...wrongAddresses('source', sources, packets))
  wrong.push(...wrongAddresses('destination', destinations, packets))
  same('ports', ports, portsOf(packets))
  const slots = (all: { at: bigint; packets: number; bytes: number; section: string }[]) =>
    all.map(({ at, packets, bytes, section }) => `${at} ${packets} ${bytes} ${section}`)
  same(
    'timeline',
    slots(timeline.map((slot) => ({ ...slot, at: nsOf(slot.at) }))),
    slots(timelineOf(packets, report.frozenAt)),
  )
  for (const { name, packets, bytes } of report.sections) {
    const inside = timeline.filter(({ section }) => section === name)
    same(
      `${name} in the timeline`,
      [inside.reduce((sum, slot) => sum + slot.packets, 0), inside.reduce((sum, slot) => sum + slot.bytes, 0)],
      [packets, bytes],
    )
  }
  return wrong
}
