// What a page shows, whatever it is written in: all words and figures are decided here.

import { basename } from 'node:path'

import { count, duration, rate, size } from '../figures.js'
import type { IncidentReport, Traffic } from '../types.js'
import { meanings, type Part, partOf } from './parts.js'
import { type Course, coursesOf } from './rate.js'
import type { AnyReport, RecordingReport } from './types.js'
import { coverageInWords, lossInWords, recordingInWords } from './words.js'

interface Figure {
  /** For whoever reads the page by machine. */
  name: string
  label: string
  text: string
  value: number | null
}

export interface Fact {
  label: string
  text: string
  /** To be read letter by letter: a digest, a command, a name. */
  literal?: boolean
}

export interface Composed {
  part: Part
  meaning: string
  packets: number
  firstFrame: number
  lastFrame: number
  share: number
}

/** A table with a bar of each row's share. */
export interface Ranking {
  name: string
  title: string
  columns: [string, string]
  rows: { label: string; value: number; literal: boolean }[]
  /** What the shares are of. */
  of: number
  note: string | null
}

export interface Command {
  tool: string
  lines: string[]
}

export interface View {
  title: string
  /** What kind of thing it is: `'Incident'`. */
  kind: string
  id: string
  reason: string | null
  /** Vector and severity; null: no detector named any. */
  attack: { vector: string; severity: string; facts: Fact[] } | null
  figures: Figure[]
  composition: Composed[]
  sections: {
    name: string
    packets: number
    bytes: number
    from: string
    to: string
    firstFrame: number
    lastFrame: number
  }[]
  courses: Course[]
  coverage: string[]
  loss: string | null
  rankings: Ranking[]
  custody: Fact[]
  labels: Fact[]
  commands: Command[]
  /** Who made it. */
  made: string
}

export function viewOf(report: AnyReport): View {
  const shared = {
    id: report.id,
    composition: compositionOf(report),
    sections: report.sections,
    courses: coursesOf(report),
    rankings: report.traffic === null ? [] : rankingsOf(report.traffic),
    commands: commandsOf(report),
  }
  return report.kind === 'recording' ? { ...shared, ...ofRecording(report) } : { ...shared, ...ofIncident(report) }
}

type Own = Omit<View, 'id' | 'composition' | 'sections' | 'courses' | 'rankings' | 'commands'>

function ofIncident(report: IncidentReport): Own {
  const { statistics, attack, duration: lasted, custody } = report
  const kind = report.kind === 'manual' ? 'Capture' : 'Incident'
  return {
    kind,
    title: `${kind} ${report.id}`,
    reason: report.reason,
    attack:
      attack === null
        ? null
        : {
            vector: attack.vector,
            severity: attack.severity,
            facts: [
              { label: 'Detected at', text: attack.at },
              { label: 'Began', text: attack.onsetAt ?? 'not known' },
              { label: 'Inbound', text: `${rate(attack.pps, 'pps')}, ${rate(attack.bps, 'bps')}` },
              {
                label: 'Normal',
                text: `${rate(attack.baseline.pps, 'pps')}, ${rate(attack.baseline.bps, 'bps')}`,
              },
              {
                label: 'Judged by',
                text: attack.cause === 'baseline' ? 'its baseline' : `a threshold in ${attack.cause}`,
              },
            ],
          },
    figures: [
      { name: 'packets', label: 'packets in the file', text: count(report.packets), value: report.packets },
      { name: 'bytes', label: 'size of the file', text: shortSize(report.bytes), value: report.bytes },
      { name: 'duration', label: 'freeze to resolve', text: duration(lasted), value: lasted },
      peak('peak-pps', 'peak packet rate', statistics.peakPps.value, 'pps'),
      peak('peak-bps', 'peak bit rate', statistics.peakBps.value, 'bps'),
      {
        name: 'counted',
        label: 'packets counted',
        text: count(statistics.packets),
        value: statistics.packets,
      },
    ],
    coverage: coverageInWords(report),
    loss: lossInWords(report),
    custody: [
      { label: 'File', text: report.file === null ? 'none' : basename(report.file), literal: true },
      { label: 'SHA-256', text: report.sha256 ?? 'not known', literal: true },
      { label: 'Size', text: size(report.bytes) },
      { label: 'First packet', text: report.from ?? 'none' },
      { label: 'Frozen at', text: report.frozenAt },
      { label: 'Resolved at', text: report.resolvedAt },
      { label: 'Last packet', text: report.to ?? 'none' },
      { label: 'Host', text: custody.host.hostname },
      { label: 'Kernel', text: custody.host.kernel },
      { label: 'Boot', text: custody.host.bootId ?? 'not known', literal: custody.host.bootId !== null },
      { label: 'Clock', text: clockInWords(report) },
      { label: 'Source', text: sourceInWords(report) },
      { label: 'Captured', text: captureInWords(report) },
      { label: 'Filter', text: report.filter ?? 'none', literal: report.filter !== null },
      {
        label: 'Software',
        text: `pcap-ring ${custody.software.version}, ${custody.software.libpcap}, Node ${custody.software.node}`,
      },
    ],
    labels: Object.entries(report.labels).map(([label, text]) => ({ label, text })),
    made: `pcap-ring ${custody.software.version}`,
  }
}

function ofRecording(report: RecordingReport): Own {
  const { packets, bytes, duration: lasted } = report
  const kind = 'Recording'
  const peaks = report.traffic.timeline.length === 0 ? [] : [meanRate(report)]
  return {
    kind,
    title: `${kind} ${report.id}`,
    reason: null,
    attack: null,
    figures: [
      { name: 'packets', label: 'packets in the file', text: count(packets), value: packets },
      { name: 'bytes', label: 'size of the file', text: shortSize(bytes), value: bytes },
      {
        name: 'duration',
        label: 'first to last packet',
        text: lasted === null ? 'not known' : duration(lasted),
        value: lasted,
      },
      ...peaks,
    ],
    coverage: recordingInWords(report),
    loss: null,
    custody: [
      { label: 'File', text: basename(report.file), literal: true },
      { label: 'SHA-256', text: report.sha256, literal: true },
      { label: 'Size', text: size(bytes) },
      { label: 'Format', text: report.format ?? 'none that is known' },
      {
        label: 'Link types',
        text: report.linkTypes.map(({ name, packets }) => `${name} (${count(packets)})`).join(', ') || 'none',
      },
      { label: 'First packet', text: report.from ?? 'none' },
      { label: 'Last packet', text: report.to ?? 'none' },
    ],
    labels: [],
    made: 'pcap-ring',
  }
}

const peak = (name: string, label: string, value: number, unit: 'pps' | 'bps'): Figure => ({
  name,
  label,
  text: rate(value, unit),
  value,
})

function meanRate({ packets, duration: lasted }: RecordingReport): Figure {
  const pps = lasted === null || lasted === 0 ? null : (packets * 1_000) / lasted
  return {
    name: 'mean-pps',
    label: 'mean packet rate',
    text: pps === null ? 'not known' : pps < 10 ? `${Number(pps.toPrecision(2))} pps` : rate(pps, 'pps'),
    value: pps,
  }
}

const shortSize = (bytes: number): string => size(bytes).replace(/ \(.*/, '')

function compositionOf({ sections, packets }: AnyReport): Composed[] {
  const composed: Composed[] = []
  for (const section of sections) {
    const part = partOf(section.name)
    const last = composed.at(-1)
    if (last?.part === part) {
      last.packets += section.packets
      last.lastFrame = section.lastFrame
      last.share = last.packets / packets
    } else {
      const { packets: own, firstFrame, lastFrame } = section
      composed.push({ part, meaning: meanings[part], packets: own, firstFrame, lastFrame, share: own / packets })
    }
  }
  return composed
}

function rankingsOf(traffic: Traffic | RecordingReport['traffic']): Ranking[] {
  const { protocols, tcpFlags, fragments, sizes, sources, destinations, ports } = traffic
  const all = protocols.tcp + protocols.udp + protocols.icmp + protocols.other
  const named = (labels: Record<string, number>): Ranking['rows'] =>
    Object.entries(labels).map(([label, value]) => ({ label, value, literal: false }))
  const { tcp, udp, icmp, other } = protocols
  const { syn, synack, ack, rst, fin } = tcpFlags
  return [
    {
      name: 'protocols',
      title: 'Protocols',
      columns: ['Protocol', 'Packets'],
      rows: named({ TCP: tcp, UDP: udp, ICMP: icmp, other, 'IP fragments': fragments }),
      of: all,
      note: fragments === 0 ? null : 'Fragments count by the protocol that they carry, too.',
    },
    ...(tcp === 0
      ? []
      : [
          {
            name: 'flags',
            title: 'TCP flags',
            columns: ['Flags', 'Packets'] as [string, string],
            rows: named({ SYN: syn, 'SYN and ACK': synack, 'ACK alone': ack, RST: rst, FIN: fin }),
            of: tcp,
            note: null,
          },
        ]),
    {
      name: 'sizes',
      title: 'Packet sizes',
      columns: ['Bytes', 'Packets'],
      rows: sizes.map(({ upTo, packets }, i) => ({
        label: sizeRange(i === 0 ? null : (sizes[i - 1]?.upTo ?? null), upTo),
        value: packets,
        literal: false,
      })),
      of: all,
      note: 'On the wire.',
    },
    addresses('sources', 'Top sources', sources),
    addresses('destinations', 'Top destinations', destinations),
    ...(['source', 'destination'] as const).map((side) => portRanking(side, ports, all)),
  ]
}

function sizeRange(above: number | null, upTo: number | null): string {
  if (upTo === null) return `above ${count(above ?? 0)}`
  return above === null ? `up to ${count(upTo)}` : `${count(above + 1)} to ${count(upTo)}`
}

function addresses(
  name: string,
  title: string,
  { count: different, estimated, top, other }: Traffic['sources'],
): Ranking {
  const listed = top.reduce((sum, { packets }) => sum + packets, 0)
  return {
    name,
    title,
    columns: ['Address', 'Packets'],
    rows: [
      ...top.map(({ address, packets }) => ({ label: address, value: packets, literal: true })),
      ...(other > 0 ? [{ label: 'all others', value: other, literal: false }] : []),
    ],
    of: listed + other,
    note: `${estimated ? 'About ' : ''}${count(different)} different ${different === 1 ? 'address' : 'addresses'}.${
      estimated ? ' Packets are what was certainly there.' : ''
    }`,
  }
}

const listedPorts = 10

function portRanking(side: 'source' | 'destination', ports: Traffic['ports'], all: number): Ranking {
  const rows = ports
    .filter((port) => port.side === side)
    .sort((a, b) => b.packets - a.packets)
    .slice(0, listedPorts)
    .map(({ proto, port, packets }) => ({ label: `${proto} ${port}`, value: packets, literal: true }))
  return {
    name: `${side}-ports`,
    title: `Top ${side} ports`,
    columns: ['Port', 'Packets'],
    rows,
    of: all,
    note: null,
  }
}

function clockInWords({ custody }: IncidentReport): string {
  const { synchronised, maxErrorUs } = custody.clock
  const error = maxErrorUs === null ? '' : `, off by ${duration(maxErrorUs / 1_000)} at most`
  if (synchronised === null) return `whether it was synchronised is not known${error}`
  return synchronised ? `synchronised${error}` : `not synchronised${error}`
}

function sourceInWords({ source, custody: { device } }: IncidentReport): string {
  if (source === 'file') return 'replay of a recording: times are its packets’'
  if (device === null) return 'network device'
  const { name, mac, mtu, speed, driver, promiscuous } = device
  return [
    name,
    ...(mac === null ? [] : [mac]),
    ...(mtu === null ? [] : [`MTU ${mtu}`]),
    ...(speed === null ? [] : [`${count(speed)} Mbit/s`]),
    ...(driver === null ? [] : [driver]),
    ...(promiscuous ? ['promiscuous'] : []),
  ].join(', ')
}

function captureInWords({ format, linkType, snaplen, direction }: IncidentReport): string {
  const both = direction === 'both' ? 'both directions' : `direction ${direction}`
  return `${format}, ${linkType}, ${count(snaplen)} bytes a packet, ${both}`
}

/** How to open it, wherever it was copied to. */
function commandsOf(report: AnyReport): Command[] {
  if (report.file === null) return []
  const name = basename(report.file)
  const file = quoted(name.startsWith('-') ? `./${name}` : name)
  const attack = report.sections.find(({ name }) => name === 'onset' || name === 'attack' || name === 'capture')
  const filter = attack === undefined || attack.firstFrame === 1 ? '' : ` -Y 'frame.number >= ${attack.firstFrame}'`
  return [
    ...(report.sha256 === null
      ? []
      : [{ tool: 'Check it', lines: [`echo ${quoted(`${report.sha256}  ${name}`)} | sha256sum -c`] }]),
    { tool: 'Wireshark', lines: [`wireshark -r ${file}${filter}`] },
    { tool: 'tcpdump', lines: [`tcpdump -nn -r ${file}`] },
    { tool: 'Zeek', lines: [`zeek -C -r ${file}`] },
    { tool: 'Suricata', lines: [`suricata -k none -l . -r ${file}`] },
  ]
}

const quoted = (text: string): string => (/^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`)
