// What a flood is called: by counters, by the capture, cut short and sampled.

import { test } from 'tap'
import { FloodDetector } from '../../src/detect/index.js'
import { type Mix, noMix } from '../../src/detect/interval.js'
import { vectorOfMix, vectorOfTraffic } from '../../src/detect/vector.js'
import type { Attack, Incident, IncidentReport, Traffic, Vector } from '../../src/index.js'
import { encodePcap, type PacketInput, readPackets } from '../../src/testing.js'
import { capturePath, noCaptures } from '../support/captures.js'
import { ethernet, icmp, ipv4, tcp, udp } from '../support/frames.js'
import { defaultStart } from '../support/generate.js'
import { random, seed } from '../support/random.js'
import { ringOf } from '../support/replay.js'
import { Feed } from './support.js'

const mixes: [string, Partial<Mix>, Vector][] = [
  ['UDP', { udp: 1 }, 'udp-flood'],
  ['UDP whose victim answers with ICMP', { udp: 1, icmp: 0.3, outbound: 0.3 }, 'udp-flood'],
  ['UDP with some TCP', { udp: 0.85, tcp: 0.15, ack: 0.15 }, 'udp-flood'],
  ['SYN', { tcp: 1, syn: 1 }, 'syn-flood'],
  ['SYN that is answered by SYN-ACK', { tcp: 2, syn: 1, synack: 1, outbound: 1 }, 'syn-flood'],
  ['SYN to a closed port', { tcp: 2, syn: 1, rst: 1, outbound: 1 }, 'syn-flood'],
  ['SYN-ACK', { tcp: 1, synack: 1 }, 'synack-reflection'],
  ['SYN-ACK that is answered by RST', { tcp: 2, synack: 1, rst: 1, outbound: 1 }, 'synack-reflection'],
  ['ACK', { tcp: 1, ack: 1 }, 'ack-flood'],
  ['ACK that is answered by RST', { tcp: 2, ack: 1, rst: 1, outbound: 1 }, 'ack-flood'],
  ['RST', { tcp: 1, rst: 1 }, 'rst-flood'],
  ['ICMP', { icmp: 1 }, 'icmp-flood'],
  ['ICMP that is answered', { icmp: 2, outbound: 1 }, 'icmp-flood'],
  ['fragments of UDP', { udp: 1, fragments: 0.95 }, 'fragment-flood'],
  ['fragments of ICMP', { icmp: 1, fragments: 1 }, 'fragment-flood'],
  ['UDP and SYN', { udp: 0.5, tcp: 0.5, syn: 0.5 }, 'multi-vector'],
  ['UDP, SYN and ICMP', { udp: 0.34, tcp: 0.33, syn: 0.33, icmp: 0.33 }, 'multi-vector'],
  ['SYN and ACK', { tcp: 1, syn: 0.5, ack: 0.5 }, 'multi-vector'],
  ['recorded: SYN that is answered by SYN-ACK', { tcp: 2, syn: 1, synack: 1 }, 'syn-flood'],
  ['recorded: SYN to a closed port', { tcp: 2, syn: 1, rst: 1 }, 'syn-flood'],
  ['recorded: SYN-ACK that is answered by RST', { tcp: 2, synack: 1, rst: 1 }, 'synack-reflection'],
  ['recorded: ACK that is answered by RST', { tcp: 2, ack: 1, rst: 1 }, 'ack-flood'],
  ['a download', { tcp: 1.5, ack: 1.5, outbound: 0.5 }, 'unknown'],
  ['GRE', { other: 1 }, 'unknown'],
  ['TCP without flags', { tcp: 1 }, 'unknown'],
  ['nothing', {}, 'unknown'],
]

test('by counters', (t) => {
  for (const [name, mix, wanted] of mixes) t.equal(vectorOfMix({ ...noMix(), ...mix }), wanted, name)
  t.end()
})

test('what was normal before is no part of it', (t) => {
  const feed = new Feed(new FloodDetector())
  feed.for(60, { pps: 3_000, protocols: { tcp: 3_000 }, tcpFlags: { ack: 3_000 } })
  const [found] = feed.for(1, { pps: 30_000, protocols: { tcp: 3_000, udp: 27_000 }, tcpFlags: { ack: 3_000 } })
  t.match(found?.attack, { vector: 'udp-flood' })
  t.end()
})

const amplified: [number, Vector][] = [
  [53, 'dns-amplification'],
  [123, 'ntp-amplification'],
  [1900, 'ssdp-amplification'],
  [11211, 'memcached-amplification'],
  [389, 'cldap-amplification'],
  [161, 'snmp-amplification'],
  [19, 'chargen-amplification'],
  [17, 'qotd-amplification'],
  [111, 'portmap-amplification'],
  [3702, 'ws-discovery-amplification'],
]

/** Calm of a hundred packets a second, then a flood; as a recording, of which only each `oneOf`th packet is there. */
function recording(frame: (i: number) => Buffer, flood = 4_000, oneOf = 1): Uint8Array {
  const packets: { time: number; data: Buffer }[] = []
  for (let i = 0; i < 300; i++)
    packets.push({ time: defaultStart + i * 10, data: ethernet(0x0800, ipv4(6, tcp(40_000, 80, 0x10))) })
  for (let i = 0; i < flood; i++) packets.push({ time: defaultStart + 3_000 + i / 4, data: frame(i) })
  const next = random(9)
  return encodePcap(packets.filter(() => oneOf === 1 || next() < 1 / oneOf))
}

/** As a detector that watches names it: at first, and in the end. */
async function named(
  t: Parameters<typeof ringOf>[0],
  file: Uint8Array | string,
  options = {},
): Promise<{ first: Vector; last: Vector; report: IncidentReport | null }> {
  const ring = ringOf(t, { file, onset: { minPps: 50 } })
  ring.on('warning', () => {})
  const detector = new FloodDetector({ floor: { pps: 50, bps: 1e12 }, ...options })
  detector.watch(ring)
  const begun = new Promise<[Attack, Incident | null]>((resolve) => detector.once('attack', (...all) => resolve(all)))
  const ended = new Promise<[Attack, IncidentReport | null]>((resolve) =>
    detector.once('clear', (...all) => resolve(all)),
  )
  await ring.start()
  const [first] = await begun
  const [last, report] = await ended
  return { first: first.vector, last: last.vector, report }
}

test('amplification, by the source ports of what was captured', async (t) => {
  for (const [port, wanted] of amplified) {
    const frame = (i: number) =>
      ethernet(0x0800, ipv4(17, udp(port, 1_024 + (i % 50_000), 400), { source: 0x0b000000 + (i % 200) }))
    const { first, last, report } = await named(t, recording(frame))
    t.equal(first, 'udp-flood', 'statistics know no ports')
    t.equal(last, wanted)
    t.match(report, { attack: { vector: 'udp-flood', cause: 'baseline' }, coverage: { onsetSource: 'watch' } })
    // Two hundred packets of it, and one of sixteen.
    t.equal((await named(t, recording(frame, 16 * 200, 16))).last, wanted, `${wanted}, sampled`)
  }
})

test('amplification whose answers come in fragments', (t) => {
  for (const fragments of [2, 3, 5]) {
    const traffic = {
      protocols: { tcp: 0, udp: 1_000 * fragments, icmp: 0, other: 0 },
      fragments: 1_000 * fragments,
      ports: [{ proto: 'udp', side: 'source', port: 53, packets: 1_000 }],
    } as unknown as Traffic
    t.equal(vectorOfTraffic('fragment-flood', traffic), 'dns-amplification', `${fragments} fragments`)
  }
  const few = {
    protocols: { tcp: 0, udp: 10_000, icmp: 0, other: 0 },
    fragments: 9_900,
    ports: [{ proto: 'udp', side: 'source', port: 53, packets: 100 }],
  } as unknown as Traffic
  t.equal(vectorOfTraffic('fragment-flood', few), 'fragment-flood', 'some real answers name nothing')
  t.end()
})

test('what is normal is no part of it, also by thresholds alone', (t) => {
  const feed = new Feed(new FloodDetector({ pps: 50_000, baseline: null }))
  const normal = { protocols: { tcp: 45_000 }, tcpFlags: { ack: 45_000 } }
  feed.for(60, { pps: 45_000, ...normal })
  const [found] = feed.for(1, { pps: 55_000, ...normal, protocols: { tcp: 45_000, udp: 10_000 } })
  t.match(found?.attack, { vector: 'udp-flood', cause: 'pps' })
  t.end()
})

test('UDP that only looks like it keeps the general name', async (t) => {
  for (const frame of [
    (i: number) => ethernet(0x0800, ipv4(17, udp(1_024 + (i % 50_000), 53, 40))),
    (i: number) => ethernet(0x0800, ipv4(17, udp(i % 2 === 0 ? 53 : 4_444, 80, 40))),
    (i: number) => ethernet(0x0800, ipv4(17, udp(i % 60_000, 80, 40))),
  ]) {
    t.equal((await named(t, recording(frame))).last, 'udp-flood')
  }
})

test('two kinds of amplification are more than one vector', (t) => {
  const traffic = {
    protocols: { tcp: 0, udp: 1_000, icmp: 0, other: 0 },
    fragments: 0,
    ports: [
      { proto: 'udp', side: 'source', port: 53, packets: 500 },
      { proto: 'udp', side: 'source', port: 123, packets: 500 },
    ],
  } as unknown as Traffic
  t.equal(vectorOfTraffic('udp-flood', traffic), 'multi-vector')
  t.equal(vectorOfTraffic('syn-flood', traffic), 'syn-flood', 'the counters know better what is TCP')
  t.end()
})

const judged = { pps: 100, baseline: null, sustain: 0 }

const real: [string, Vector][] = [
  ['flood-syn-spoofed-37841.pcap', 'syn-flood'],
  // SYNs of some sources, SYN-ACKs of others.
  ['flood-syn-synack-896.pcap', 'multi-vector'],
  ['synscan-2011.pcap', 'syn-flood'],
  ['amp-tcp-synack-8000.pcap', 'synack-reflection'],
  ['amp-snmp-4373.pcap', 'snmp-amplification'],
  ['icmp-exactly-10000.pcap', 'icmp-flood'],
  ['flood-icmp6-rsmurf-1000.pcap', 'icmp-flood'],
]

/** Link layer of the frames below: it tells which way they went. */
const linkType = 'LINUX_SLL'

function cooked(outbound: boolean, packet: Buffer): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt16BE(outbound ? 4 : 0, 0)
  header.writeUInt16BE(1, 2)
  header.writeUInt16BE(6, 4)
  header.writeUInt16BE(0x0800, 14)
  return Buffer.concat([header, packet])
}

/** Packets that come to a mix, each drawn by what there is of its kind. */
function framesOf(given: Partial<Mix>, next: () => number): () => Buffer {
  const mix = { ...noMix(), ...given }
  let sent = mix.outbound
  const kinds: { weight: number; frame: () => Buffer }[] = []
  const add = (weight: number, packet: () => Buffer): void => {
    // What the victim sends is its answers: RSTs, else SYN-ACKs, else pings and ACKs.
    const out = Math.min(sent, weight)
    sent -= out
    kinds.push({ weight: out, frame: () => cooked(true, packet()) })
    kinds.push({ weight: weight - out, frame: () => cooked(false, packet()) })
  }
  const from = () => ({ source: Math.floor(next() * 2 ** 32) })
  const any = () => 1_024 + Math.floor(next() * 60_000)
  const segment = (flags: number) => () => ipv4(6, tcp(any(), 80, flags), from())
  add(mix.rst, segment(0x04))
  add(mix.synack, segment(0x12))
  // The first of a packet's fragments has its ports.
  const fragment = () => [0x2000, 0x2000 | 185, 370][Math.floor(next() * 3)] as number
  const ofIcmp = Math.min(mix.icmp, mix.fragments)
  add(ofIcmp, () => ipv4(1, icmp(1_480), { ...from(), fragment: fragment() }))
  add(mix.icmp - ofIcmp, () => ipv4(1, icmp(56), from()))
  add(mix.ack, segment(0x10))
  add(mix.syn, segment(0x02))
  add(mix.tcp - mix.syn - mix.synack - mix.ack - mix.rst, segment(0))
  const ofUdp = mix.fragments - ofIcmp
  add(ofUdp, () => ipv4(17, udp(any(), 80, 1_480), { ...from(), fragment: fragment() }))
  add(mix.udp - ofUdp, () => ipv4(17, udp(any(), 80, 400), from()))
  add(mix.other, () => ipv4(47, Buffer.alloc(40), from()))
  const all = kinds.reduce((sum, { weight }) => sum + weight, 0)
  return () => {
    let left = next() * all
    const kind = kinds.find(({ weight }) => {
      left -= weight
      return left < 0
    })
    const one = (kind ?? kinds.at(-1)) as (typeof kinds)[number]
    return one.frame()
  }
}

interface Flood {
  name: string
  wanted: Vector
  /** What it may be called besides if little of it is there: by its protocol. */
  general: Vector[]
  packets: Iterable<PacketInput> | AsyncIterable<PacketInput>
  linkType?: string
}

const enough = 200
const oneOf = 16

function* generated(frame: () => Buffer): Generator<PacketInput> {
  for (let i = 0; i < 2 * enough * oneOf; i++) yield { time: 0, data: frame() }
}

const generalOf = (wanted: Vector): Vector[] => (wanted.endsWith('-amplification') ? ['udp-flood'] : [])

function* everyFlood(): Generator<Flood> {
  const next = random(11)
  for (const [name, mix, wanted] of mixes) {
    // Of nothing there is no flood.
    if (Object.keys(mix).length === 0) continue
    const general: Vector[] = wanted === 'fragment-flood' ? [mix.udp ? 'udp-flood' : 'icmp-flood'] : []
    yield { name, wanted, general, packets: generated(framesOf(mix, next)), linkType }
  }
  for (const [port, wanted] of amplified) {
    const from = () => ({ source: 0x0b000000 + Math.floor(next() * 200) })
    const frame = () => cooked(false, ipv4(17, udp(port, 1_024 + Math.floor(next() * 50_000), 400), from()))
    yield { name: `source port ${port}`, wanted, general: generalOf(wanted), packets: generated(frame), linkType }
  }
  if (noCaptures) return
  for (const [name, wanted] of real) {
    yield { name, wanted, general: generalOf(wanted), packets: readPackets(capturePath(name)) }
  }
}

/** Five hundred a second: some real floods last for 24 ms, others for a quarter of an hour. */
const paced = (packets: readonly PacketInput[], linkType = 'EN10MB'): Uint8Array =>
  encodePcap(
    packets.map((packet, i) => ({ ...packet, time: defaultStart + 2 * i })),
    { linkType },
  )

test('real floods', { skip: noCaptures }, async (t) => {
  for (const [name, wanted] of real) {
    const packets: PacketInput[] = []
    for await (const packet of readPackets(capturePath(name))) packets.push(packet)
    t.equal((await named(t, paced(packets), judged)).last, wanted, name)
  }
})

test('all of them cut to 200 packets, and 200 of which are one of sixteen', async (t) => {
  t.comment(`PCAP_RING_SEED=${seed}`)
  const next = random(10)
  const wrong = { cut: [] as string[], sampled: [] as string[] }
  let floods = 0
  for (const { name, wanted, general, packets, linkType } of everyFlood()) {
    ++floods
    const all: PacketInput[] = []
    for await (const packet of packets) all.push(packet)
    // Two real ones have no more than 900 and 1,000.
    const one = Math.min(oneOf, Math.floor(all.length / enough))
    for (const [how, some] of [
      ['cut', all.slice(0, enough)],
      ['sampled', all.filter(() => next() < 1 / one).slice(0, enough)],
    ] as const) {
      const { last } = await named(t, paced(some, linkType), judged)
      if (last === wanted) continue
      wrong[how].push(`${name}: ${last}`)
      t.ok(['unknown', ...general].includes(last), `${name}, ${how}, 1 of ${one}: ${last} is not wrongly specific`)
    }
  }
  t.ok(floods >= 35, `${floods} floods`)
  for (const [how, names] of Object.entries(wrong)) {
    t.comment(`${how}: ${floods - names.length} of ${floods}`)
    t.ok(
      names.length <= 0.2 * floods,
      `${how}: ${floods - names.length} of ${floods} are right; not ${names.join(', ')}`,
    )
  }
})
