// Reports of the real floods, against tshark's own statistics of the same files and what the captures hold; and of
// every capture, against our own parser.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type Test, test } from 'tap'

import type { Incident, IncidentReport, PcapRingOptions, Traffic } from '../../src/index.js'
import { captureNames, capturePath, noCaptures } from '../support/captures.js'
import { udpPackets } from '../support/generate.js'
import { noTool } from '../support/netns.js'
import { type Asked, judgeOnset } from '../support/onset-evidence.js'
import { parsePcap, timeOf } from '../support/pcap-file.js'
import { pcapBytes, type RawPacket, toRaw, usOf } from '../support/recording.js'
import { replay, ringOf, sectionCounts } from '../support/replay.js'
import type { Passed } from '../support/streams.js'
import { understood, wrongTraffic } from '../support/traffic.js'

const skip = noCaptures || noTool('tshark')
const cap = { packets: 1_000_000 }

/** An incident that begins when the rate has reached `pps` in so many intervals, and is resolved at the recording's end. */
async function incidentOf(
  t: Test,
  file: Buffer,
  pps: number,
  options: PcapRingOptions = {},
  sustained = 1,
): Promise<IncidentReport> {
  const ring = ringOf(t, { file, cap, precision: 'nano', ...options })
  let incident: Incident | undefined
  let reached = 0
  ring.on('stats', (stats) => {
    if (stats.pps >= pps && ++reached === sustained) incident = ring.freeze()
  })
  ring.on('warning', () => {})
  await replay(ring)
  return (incident ?? ring.freeze()).resolve()
}

/** As the report counts: each packet for itself, names as they are, nothing looked up. */
function tshark(file: string, ...args: string[]): string {
  const asIs = [
    '-n',
    '-o',
    'ip.defragment:FALSE',
    '-o',
    'ipv6.defragment:FALSE',
    '-o',
    'tcp.desegment_tcp_streams:FALSE',
  ]
  return execFileSync('tshark', [...asIs, '-r', file, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    maxBuffer: 1 << 28,
  })
}

interface Endpoint {
  address: string
  sent: number
  sentBytes: number
  received: number
  receivedBytes: number
}

/** Both in one reading: `-z endpoints`, and `-z io,phs`. */
const statisticsOf = (file: string): string =>
  tshark(file, '-q', '-z', 'endpoints,ip', '-z', 'endpoints,ipv6', '-z', 'io,phs')

const endpoints = (statistics: string): Endpoint[] =>
  statistics
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((words) => words.length === 7 && /^[\d.]+$|^[0-9a-f:]+$/.test(words[0] as string))
    .map(([address, , , ...numbers]) => {
      const [sent, sentBytes, received, receivedBytes] = numbers.map(Number) as [number, number, number, number]
      return { address: address as string, sent, sentBytes, received, receivedBytes }
    })

/** Frames by protocol right above IP: the hierarchy is shown by indentation. */
function hierarchy(statistics: string): Record<string, number> {
  const frames: Record<string, number> = {}
  const path: string[] = []
  for (const line of statistics.split('\n')) {
    const [, indent = '', protocol = '', count = ''] = /^( *)([\w.-]+) +frames:(\d+)/.exec(line) ?? []
    if (protocol === '') continue
    path.splice(indent.length / 2, path.length, protocol)
    if (/^ip(v6)?$/.test(path.at(-2) ?? '') && path.filter((name) => /^ip(v6)?$/.test(name)).length === 1) {
      frames[protocol] = (frames[protocol] ?? 0) + Number(count)
    }
  }
  return frames
}

const fields = [
  'frame.len',
  'ip.proto',
  'ip.frag_offset',
  'tcp.flags',
  'tcp.srcport',
  'tcp.dstport',
  'udp.srcport',
  'udp.dstport',
] as const
type Fields = Record<(typeof fields)[number], string>

/** The fields of each packet, '' where it has none. Ports and flags inside ICMP errors are not the packet's own. */
const fieldsOf = (file: string): Fields[] =>
  tshark(file, '-T', 'fields', '-E', 'occurrence=f', ...['frame.protocols', ...fields].flatMap((name) => ['-e', name]))
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const [protocols = '', ...values] = line.split('\t')
      const own = (name: string): boolean => /^(ip|frame)\./.test(name) || !/:icmp(v6)?(:|$)/.test(protocols)
      return Object.fromEntries(fields.map((name, i) => [name, own(name) ? (values[i] ?? '') : ''])) as Fields
    })

function portsIn(packets: Fields[]): Traffic['ports'] {
  return (['tcp', 'udp'] as const).flatMap((proto) =>
    (['source', 'destination'] as const).flatMap((side) => {
      const sums = new Map<string, number>()
      for (const packet of packets) {
        const port = packet[`${proto}.${side === 'source' ? 'srcport' : 'dstport'}`]
        if (port !== '') sums.set(port, (sums.get(port) ?? 0) + 1)
      }
      return [...sums]
        .map(([port, packets]) => ({ proto, side, port: Number(port), packets }))
        .sort((a, b) => b.packets - a.packets || a.port - b.port)
        .slice(0, 10)
    }),
  )
}

/** One side of the report against tshark's endpoints. */
function sameAddresses(
  t: Test,
  said: Traffic['sources'],
  all: { address: string; packets: number; bytes: number }[],
): void {
  const theirs = all.filter(({ packets }) => packets > 0)
  const total = theirs.reduce((sum, { packets }) => sum + packets, 0)
  const listed = said.top.reduce((sum, { packets }) => sum + packets, 0)
  t.equal(listed + said.other, total, 'top and other are all packets with an address')
  t.equal(said.estimated, theirs.length > 4_096)
  if (said.estimated) {
    t.comment(`${said.count} addresses, ${theirs.length} as tshark counts`)
    t.ok(Math.abs(said.count / theirs.length - 1) < 0.05)
  } else t.equal(said.count, theirs.length)
  const slack = said.estimated ? total / 4_096 : 0
  for (const { address, packets, bytes } of said.top) {
    const their = theirs.find((one) => one.address === address)
    if (!said.estimated) t.match(their, { packets, bytes }, address)
    else t.ok(their && packets <= their.packets && packets + slack >= their.packets && bytes <= their.bytes, address)
  }
  const least = Math.min(...said.top.map(({ packets }) => packets))
  const missed = theirs.filter(
    (one) => one.packets > least + slack && !said.top.some((top) => top.address === one.address),
  )
  t.strictSame(missed, [], 'nobody who sent more is left out')
}

interface Flood {
  name: string
  pps: number
  options?: PcapRingOptions
  /** Fragments that begin with no real header. */
  garbage?: boolean
}

// Those of milliseconds are over before the first interval is: a ring that holds all of it.
const all: PcapRingOptions = { ring: { packets: 50_000 }, statsInterval: '50ms' }
const floods: Flood[] = [
  { name: 'flood-syn-spoofed-37841.pcap', pps: 500 },
  { name: 'amp-tcp-synack-8000.pcap', pps: 20_000, options: { ...all, ring: { packets: 1_000 } } },
  { name: 'amp-snmp-4373.pcap', pps: 1, options: all },
  { name: 'flood-syn-synack-896.pcap', pps: 5, options: { ring: { packets: 100 } } },
  { name: 'flood-icmp6-rsmurf-1000.pcap', pps: 1, options: all },
  { name: 'icmp-exactly-10000.pcap', pps: 1, options: all },
  { name: 'synscan-2011.pcap', pps: 50 },
  { name: 'ip4-frag-garbage.pcap', pps: 1, options: all, garbage: true },
  { name: 'memcached.pcap', pps: 1, options: all },
  { name: 'ssdp.pcap', pps: 1, options: all },
]

/** Sections by tshark's frames, and everything that its statistics say of the whole file. */
function sameAsTshark(t: Test, report: IncidentReport, garbage = false): void {
  const file = report.file as string
  const { protocols, tcpFlags, sources, destinations, ports } = report.traffic as Traffic
  const statistics = statisticsOf(file)
  const packets = fieldsOf(file)
  t.equal(packets.length, report.packets)
  for (const { name, firstFrame, lastFrame, bytes } of report.sections) {
    const lengths = packets.slice(firstFrame - 1, lastFrame).map((packet) => Number(packet['frame.len']))
    t.equal(
      lengths.reduce((sum, length) => sum + length, 0),
      bytes,
      `bytes of ${name}`,
    )
  }
  const { tcp = 0, udp = 0, icmp = 0, icmpv6 = 0, data = 0 } = hierarchy(statistics)
  const fragments = packets.filter((packet) => Number(packet['ip.frag_offset']) > 0).map((packet) => packet['ip.proto'])
  const later = (protocol: string): number => fragments.filter((one) => one === protocol).length
  t.strictSame(
    { tcp: protocols.tcp, udp: protocols.udp, icmp: protocols.icmp },
    { tcp: tcp + later('6'), udp: udp + later('17'), icmp: icmp + icmpv6 + later('1') },
    `protocols; ${data} frames are later fragments`,
  )
  t.equal(protocols.tcp + protocols.udp + protocols.icmp + protocols.other, report.packets)

  const ends = endpoints(statistics)
  sameAddresses(
    t,
    sources,
    ends.map(({ address, sent, sentBytes }) => ({ address, packets: sent, bytes: sentBytes })),
  )
  sameAddresses(
    t,
    destinations,
    ends.map(({ address, received, receivedBytes }) => ({ address, packets: received, bytes: receivedBytes })),
  )
  t.strictSame(ports, portsIn(packets), 'ports')

  // Of a TCP header that claims to be shorter than it can be, tshark shows no flags.
  if (garbage) return
  const flags = packets.flatMap((packet) => (packet['tcp.flags'] === '' ? [] : [Number(packet['tcp.flags'])]))
  const having = (mask: number, value: number): number => flags.filter((byte) => (byte & mask) === value).length
  t.strictSame(
    tcpFlags,
    {
      syn: having(0x12, 0x02),
      synack: having(0x12, 0x12),
      ack: having(0x17, 0x10),
      rst: having(4, 4),
      fin: having(1, 1),
    },
    'TCP flags',
  )
}

/** What passed, and how frames are found in it again: by their time and bytes, each behind the one before. */
function whatPassed(recording: Buffer): { truth: Passed[]; which: NonNullable<Asked['which']> } {
  const file = parsePcap(recording)
  const places = new Map<string, number[]>()
  const key = (time: bigint, data: Buffer): string => `${time} ${data.toString('latin1')}`
  const truth = file.records.map((record, number): Passed => {
    const time = timeOf(file, record)
    const same = key(time, record.data)
    places.set(same, [...(places.get(same) ?? []), number])
    return { time, stream: 'calm', number, length: record.len, data: record.data }
  })
  let last = -1
  const which = ({ time, data }: { time: bigint; data: Buffer }) => {
    const number = places.get(key(time, data))?.find((place) => place > last)
    if (number === undefined) return null
    last = number
    return { stream: 'calm', number } as const
  }
  return { truth, which }
}

const wrongIn = (
  report: IncidentReport,
  recording: Buffer,
  { ring, statsInterval }: PcapRingOptions = {},
): string[] => {
  const { truth, which } = whatPassed(recording)
  const interval = statsInterval === '50ms' ? 50 : 250
  return judgeOnset(report, truth, { which, cap, packets: ring?.packets ?? 500, statsInterval: interval })
}

const comment = (t: Test, report: IncidentReport): void =>
  t.comment(`${JSON.stringify(sectionCounts(report))}, onset at ${report.coverage.onsetAt}`)

for (const { name, pps, options, garbage } of floods) {
  test(`${name}: as tshark counts`, { skip }, async (t) => {
    const recording = readFileSync(capturePath(name))
    const report = await incidentOf(t, recording, pps, options)
    comment(t, report)
    t.strictSame(wrongIn(report, recording, options), [])
    sameAsTshark(t, report, garbage)
  })
}

// Real floods behind a calm, as they are met: a step, a ramp (2 kpps become 65 in a third of a second), one that ends
// after 147 ms, which the slots may fall upon in either way, and one in bursts, which is none.
for (const [name, onset] of [
  ['flood-syn-spoofed-37841.pcap', 'ramp'],
  ['amp-tcp-synack-8000.pcap', undefined],
  ['icmp-exactly-10000.pcap', 'watch'],
  ['ip4-frag-garbage.pcap', null],
] as const) {
  test(`${name}, behind a calm`, { skip }, async (t) => {
    const { records } = parsePcap(readFileSync(capturePath(name)))
    const first = records[0] as RawPacket
    const calm = toRaw(udpPackets({ pps: 100, count: 300, start: (usOf(first) - 3_000_000) / 1_000 }))
    const recording = pcapBytes([...calm, ...records])
    const report = await incidentOf(t, recording, 800, { statsInterval: '50ms', precision: 'micro' }, 6)
    comment(t, report)
    t.strictSame(wrongIn(report, recording, { statsInterval: '50ms' }), [])
    sameAsTshark(t, report, name === 'ip4-frag-garbage.pcap')
    const { history = 0, 'pre-buffer': before = 0 } = sectionCounts(report)
    if (onset === 'ramp') t.ok(history > 20 || before <= 400, `${history} in the history, ${before} before the freeze`)
    if (onset === undefined || onset === 'ramp') return
    t.equal(report.coverage.onsetSource, onset)
    if (onset === null) return
    t.ok(before >= 270 && before <= 400, `${before} packets of the calm and of the flood's first`)
  })
}

for (const name of noCaptures ? [] : captureNames()) {
  test(`${name}: as our own parser counts`, async (t) => {
    const ring = ringOf(t, { file: capturePath(name), cap, precision: 'nano', ring: { packets: 100_000 } })
    ring.on('warning', () => {})
    const started = await replay(ring).then(
      () => true,
      () => false,
    )
    if (!started) {
      t.pass('damaged at its head')
      return
    }
    const report = await ring.freeze().resolve()
    if (understood(report)) {
      t.strictSame(wrongTraffic(report), [])
      return
    }
    t.comment(`${report.linkType} is none of those that our own parser reads`)
    t.equal(
      report.traffic?.sizes.reduce((sum, { packets }) => sum + packets, 0),
      report.packets,
    )
  })
}
