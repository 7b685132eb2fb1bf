// `traffic` of a report, against the file that it speaks of, read by somebody else.

import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { FreezeOptions, Incident, IncidentReport, PcapRingOptions, Traffic } from '../../src/index.js'
import * as frame from '../support/frames.js'
import { defaultStart, udpPackets } from '../support/generate.js'
import { runHost } from '../support/host.js'
import { random } from '../support/random.js'
import { at, pcapBytes, type RawPacket, timeString, toRaw } from '../support/recording.js'
import { recordingOf, replay, ringOf, scratch, sectionCounts } from '../support/replay.js'
import { wrongTraffic } from '../support/traffic.js'

const everything = { packets: 1_000_000 }

interface Asked {
  ring?: PcapRingOptions
  freeze?: FreezeOptions
  linkType?: number
  /** Of which statistics event the freeze and the resolve are. @default 3, 6 */
  freezeAt?: number
  resolveAt?: number
}

/** Replays packets, freezes and resolves at two boundaries; the report, and that nothing is wrong with its traffic. */
async function reportOf(
  t: Test,
  packets: RawPacket[],
  asked: Asked = {},
): Promise<IncidentReport & { traffic: Traffic }> {
  const { freezeAt = 3, resolveAt = 6, linkType = 1 } = asked
  const ring = ringOf(t, {
    file: pcapBytes(packets, { linkType }),
    ring: { packets: 200_000, bytes: 1 << 28 },
    cap: everything,
    ...asked.ring,
  })
  let incident: Incident | undefined
  let boundaries = 0
  ring.on('stats', () => {
    boundaries++
    if (boundaries === freezeAt) incident = ring.freeze({ resolution: { packets: 500 }, ...asked.freeze })
    if (boundaries === resolveAt) void incident?.resolve()
  })
  await replay(ring)
  incident ??= ring.freeze(asked.freeze)
  const report = await incident.resolve()
  t.strictSame(wrongTraffic(report), [], 'nothing is wrong with its traffic')
  return report as IncidentReport & { traffic: Traffic }
}

/** A frame each half millisecond. */
const inStep = (frames: Buffer[]): RawPacket[] => frames.map((data, i) => at(defaultStart + i / 2, data))

/** Of all kinds, from some dozens of addresses. */
function mixedFrames(count: number, stream: number): Buffer[] {
  const next = random(stream)
  const below = (bound: number): number => Math.floor(next() * bound)
  const port = (): number => (next() < 0.7 ? ([53, 80, 123, 443] as const)[below(4)] : below(65_536)) as number
  const address = (): number => 0x0a000000 + Math.floor(60 * next() ** 3)
  const size = (): number => below(next() < 0.5 ? 40 : 1_400)
  const transport = (): [number, Buffer] => {
    const kind = below(5)
    if (kind === 0) return [1, frame.icmp(size())]
    if (kind === 1) return [47, Buffer.alloc(20)]
    if (kind === 2) return [17, frame.udp(port(), port(), size())]
    return [6, frame.tcp(port(), port(), below(64), size())]
  }
  const four = (): Buffer => {
    const [protocol, payload] = transport()
    const fragment = next() < 0.8 ? 0x4000 : ([0x2000, 0x2001, 0x00b9] as const)[below(3)]
    const words = next() < 0.9 ? 5 : 5 + below(11)
    return frame.ipv4(protocol, payload, { source: address(), destination: address(), words, fragment: fragment ?? 0 })
  }
  const six = (): Buffer => {
    let [protocol, payload] = transport()
    if (protocol === 1) protocol = 58
    for (let left = below(4); left > 0; left--) {
      const kind = ([0, 43, 60, 44] as const)[below(4)] as number
      const field = ([0, 1, 8, 9] as const)[below(4)] as number
      payload =
        kind === 44 ? frame.fragment6(protocol, field, payload) : frame.extension(protocol, payload, 1 + below(3))
      protocol = kind
    }
    return frame.ipv6(protocol, payload, address(), address())
  }
  return Array.from({ length: count }, () => {
    if (next() < 0.05) return frame.arp()
    const [type, packet] = next() < 0.5 ? ([0x0800, four()] as const) : ([0x86dd, six()] as const)
    const tagged = below(4)
    if (tagged === 0) return frame.ethernet(0x8100, frame.tag(type, packet))
    if (tagged === 1) return frame.ethernet(0x88a8, frame.tag(0x8100, frame.tag(type, packet)))
    return frame.ethernet(type, packet)
  })
}

test('by hand: one packet of each kind', async (t) => {
  const frames = [
    frame.ethernet(0x0800, frame.ipv4(6, frame.tcp(40_000, 80, 0x02))),
    frame.ethernet(0x0800, frame.ipv4(17, frame.udp(53, 40_000, 1_000), { source: 0xc0000201 })),
    frame.ethernet(0x8100, frame.tag(0x86dd, frame.ipv6(17, frame.udp(123, 123)))),
    frame.ethernet(0x0800, frame.ipv4(17, Buffer.alloc(600), { fragment: 0x00b9 })),
    frame.ethernet(0x0800, frame.ipv4(1, frame.icmp())),
    frame.arp(),
  ]
  const { traffic, frozenAt } = await reportOf(t, inStep(frames))
  t.equal(frozenAt, timeString(defaultStart * 1_000 + 2_500), 'the last packet ends a partial interval')
  const one = (address: string, packets: number, bytes: number) => ({ address, packets, bytes })
  const slot = (ms: number, packets: number, bytes: number) => ({
    at: timeString(defaultStart * 1_000 + ms * 1_000),
    packets,
    bytes,
    section: 'pre-buffer' as const,
  })
  t.strictSame(traffic, {
    protocols: { tcp: 1, udp: 3, icmp: 1, other: 1 },
    tcpFlags: { syn: 1, synack: 0, ack: 0, rst: 0, fin: 0 },
    fragments: 1,
    sizes: [
      { upTo: 64, packets: 3 },
      { upTo: 127, packets: 1 },
      { upTo: 255, packets: 0 },
      { upTo: 511, packets: 0 },
      { upTo: 1_023, packets: 1 },
      { upTo: 1_518, packets: 1 },
      { upTo: 9_018, packets: 0 },
      { upTo: null, packets: 0 },
    ],
    sources: {
      count: 3,
      estimated: false,
      top: [one('10.0.0.1', 3, 54 + 634 + 42), one('192.0.2.1', 1, 1_034), one('2001:db8::1', 1, 66)],
      other: 0,
    },
    destinations: {
      count: 2,
      estimated: false,
      top: [one('10.0.0.2', 4, 54 + 1_034 + 634 + 42), one('2001:db8::2', 1, 66)],
      other: 0,
    },
    ports: [
      { proto: 'tcp', side: 'source', port: 40_000, packets: 1 },
      { proto: 'tcp', side: 'destination', port: 80, packets: 1 },
      { proto: 'udp', side: 'source', port: 53, packets: 1 },
      { proto: 'udp', side: 'source', port: 123, packets: 1 },
      { proto: 'udp', side: 'destination', port: 123, packets: 1 },
      { proto: 'udp', side: 'destination', port: 40_000, packets: 1 },
    ],
    // Frozen 2.5 ms after the first packet: the grid lies at the half milliseconds.
    timeline: [slot(-0.5, 1, 54), slot(0.5, 2, 1_100), slot(1.5, 2, 676), slot(2.5, 1, 60)],
  })
})

test('mixed traffic, VLANs, IPv6 with extension headers, fragments', async (t) => {
  const report = await reportOf(t, inStep(mixedFrames(4_000, 1)))
  t.strictSame(sectionCounts(report), { 'pre-buffer': 1_500, attack: 1_500, resolution: 500 })
  const { protocols, fragments, sources, ports } = report.traffic
  for (const packets of [...Object.values(protocols), fragments]) t.ok(packets > 100)
  t.equal(sources.estimated, false)
  t.ok(sources.count > 40 && sources.other > 0)
  t.equal(ports.length, 40)
})

test('the same of both formats', async (t) => {
  const packets = inStep(mixedFrames(4_000, 10))
  const [pcap, pcapng] = [await reportOf(t, packets), await reportOf(t, packets, { ring: { format: 'pcapng' } })]
  t.equal(pcapng.format, 'pcapng')
  t.strictSame(pcapng.traffic, pcap.traffic)
})

test('packets cut when they were recorded, at every length', async (t) => {
  const packets = inStep(mixedFrames(4_000, 2)).map((packet, i) => ({
    ...packet,
    data: packet.data.subarray(0, i % 130),
    len: packet.data.length,
  }))
  const { traffic } = await reportOf(t, packets)
  t.ok(traffic.sources.other > 0)
})

test('packets cut by a small snaplen', async (t) => {
  const report = await reportOf(t, inStep(mixedFrames(4_000, 3)), { ring: { snaplen: 64 } })
  t.equal(report.snaplen, 64)
  t.ok(
    report.traffic.sizes.some(({ upTo, packets }) => upTo === 1_023 && packets > 100),
    'sizes are those of the wire',
  )
})

test('damaged lengths and damaged everything', async (t) => {
  const next = random(4)
  const damaged = mixedFrames(4_000, 4).map((data, i) => {
    const bytes = Buffer.from(data)
    // Every second packet where lengths stand, the others anywhere near the front.
    const flips = 1 + Math.floor(next() * 3)
    for (let n = 0; n < flips; n++) {
      const place = i % 2 === 0 ? ([14, 16, 17, 18, 19, 20] as const)[Math.floor(next() * 6)] : Math.floor(next() * 80)
      if ((place as number) < bytes.length) bytes[place as number] = Math.floor(next() * 256)
    }
    return bytes
  })
  await reportOf(t, inStep(damaged))
  const lying = inStep(damaged).map((packet, i) => ({ ...packet, len: i % 3 === 0 ? 2 ** 32 - 1 : i % 100 }))
  const { traffic } = await reportOf(t, lying)
  t.ok((traffic.sizes.at(-1)?.packets ?? 0) > 1_000)
})

test('other link types: raw IP, cooked, and one that nobody looks into', async (t) => {
  const ip = mixedFrames(2_000, 5).map((data) => data.subarray(14))
  for (const linkType of [101, 228, 229]) await reportOf(t, inStep(ip), { linkType })
  const cooked = mixedFrames(2_000, 6).map((data) => Buffer.concat([Buffer.alloc(2), data]))
  const { traffic } = await reportOf(t, inStep(cooked), { linkType: 113 })
  t.ok(traffic.sources.count > 10)
  const unknown = await reportOf(t, inStep(ip), { linkType: 147 })
  t.equal(unknown.traffic.protocols.other, unknown.packets)
  t.strictSame(unknown.traffic.sources, { count: 0, estimated: false, top: [], other: 0 })
  t.strictSame(unknown.traffic.ports, [])
})

/** From ever new sources, of both families, every tenth packet from one of five that stay. */
function spoofed(count: number): RawPacket[] {
  const next = random(7)
  return Array.from({ length: count }, (_, i) => {
    const source = i % 10 === 0 ? 1 + (i % 50) / 10 : 0x40000000 + i
    const datagram = frame.udp(Math.floor(next() * 65_536), 53, 8 + Math.floor(next() * 60))
    const data =
      i % 2 === 0
        ? frame.ethernet(0x0800, frame.ipv4(17, datagram, { source }))
        : frame.ethernet(0x86dd, frame.ipv6(17, datagram, source))
    return at(defaultStart + Math.floor(i * 10) / 1_000, data)
  })
}

test('a spoofed flood of 100,000 sources', async (t) => {
  const report = await reportOf(t, spoofed(111_100), { freezeAt: 1, resolveAt: 99 })
  const { sources, destinations, ports } = report.traffic
  t.equal(report.packets, 111_100)
  t.equal(sources.estimated, true)
  t.comment(`${sources.count} of 99,995 sources`)
  t.ok(Math.abs(sources.count / 99_995 - 1) < 0.05)
  t.strictSame(
    sources.top
      .slice(0, 5)
      .map(({ address }) => address)
      .sort(),
    ['0.0.0.1', '0.0.0.2', '0.0.0.3', '0.0.0.4', '0.0.0.5'],
  )
  t.match(destinations, { count: 2, estimated: false, other: 0 })
  t.match(ports.at(-1), { proto: 'udp', side: 'destination', port: 53, packets: 111_100 })
})

test('exact up to 4,096 sources, an estimate from the next on', async (t) => {
  for (const [sources, estimated] of [
    [4_096, false],
    [4_097, true],
  ] as const) {
    const frames = Array.from({ length: 5_000 }, (_, i) =>
      frame.ethernet(0x0800, frame.ipv4(17, frame.udp(1, 2), { source: 0x0b000000 + (i % sources) })),
    )
    const { traffic } = await reportOf(t, inStep(frames), { freezeAt: 99 })
    t.equal(traffic.sources.estimated, estimated)
    if (!estimated) t.equal(traffic.sources.count, sources)
  }
})

test('a timeline of hours, with steps back and a jump', async (t) => {
  const packets = toRaw(udpPackets({ pps: 1, count: 9_000 })).map((packet, i) => ({
    ...packet,
    sec: packet.sec - (i % 1_000 === 999 ? 30 : 0) + (i >= 7_000 ? 86_000 : 0),
  }))
  const { traffic } = await reportOf(t, packets, { ring: { statsInterval: '60s' }, freezeAt: 40, resolveAt: 90 })
  t.ok(traffic.timeline.length > 250 && traffic.timeline.length <= 600, `${traffic.timeline.length} slots`)
})

test('precision nano, and the cap', async (t) => {
  const report = await reportOf(t, inStep(mixedFrames(3_000, 8)), {
    ring: { precision: 'nano', ring: { packets: 700 }, cap: { packets: 1_000 } },
  })
  t.strictSame(sectionCounts(report), { 'pre-buffer': 700, attack: 300 })
  t.match(report.traffic.timeline[0]?.at, /\.\d{9}Z$/)
})

test('a manual capture, two at once, and an empty one', async (t) => {
  const packets = inStep(mixedFrames(3_000, 9))
  const ring = ringOf(t, { file: pcapBytes(packets) })
  const open: Incident[] = []
  ring.once('stats', () => void open.push(ring.capture({ cap: everything }), ring.freeze({ cap: everything })))
  await replay(ring)
  open.push(ring.freeze({ id: 'late', cap: { packets: 1 } }), ring.capture({ id: 'empty' }))
  const reports = await Promise.all(open.map((incident) => incident.resolve()))
  for (const report of reports) t.strictSame(wrongTraffic(report), [], report.id)
  t.match(reports[0]?.traffic?.timeline, [{ section: 'capture' }])
  t.strictSame(reports.at(-1)?.packets, 0)
  t.strictSame(reports.at(-1)?.traffic?.sources, { count: 0, estimated: false, top: [], other: 0 })
  t.strictSame(reports.at(-1)?.traffic?.timeline, [])
})

test('after a failed write it speaks of what was kept', async (t) => {
  const ring = ringOf(t, { file: recordingOf(udpPackets({ pps: 1_000, count: 600 })) })
  let incident: Incident | undefined
  ring.once('stats', async () => {
    incident = ring.freeze()
    await incident.flushed
    appendFileSync(`${incident.file}.part`, 'mine')
  })
  ring.on('warning', () => {})
  await replay(ring)
  const report = (await incident?.resolve()) as IncidentReport
  t.match(report, { error: 'ERR_PCAP_WRITE', packets: 250 })
  t.strictSame(wrongTraffic(report), [])
})

test('after a write that failed in its middle, too', async (t) => {
  // 800 KiB of packets, of which a file may have 350 KiB; the signal that comes with the refusal is not for us.
  const directory = scratch(t)
  const file = join(directory, 'x.pcap')
  writeFileSync(file, recordingOf(udpPackets({ pps: 1_000, count: 800, size: 1_000 })))
  const wrap = ['sh', '-c', `trap '' XFSZ; ulimit -f 700; exec "$@"`, 'sh']
  const { status, stdout, stderr } = await runHost(
    t,
    { wrap },
    async ({ PcapRing, once }, { file, directory }) => {
      const ring = new PcapRing({ file, directory })
      ring.on('warning', () => {})
      let incident: Incident | undefined
      ring.once('stats', () => {
        incident = ring.freeze()
      })
      const end = once(ring, 'end')
      await ring.start()
      await end
      const report = await incident?.resolve()
      await ring.close()
      process.stdout.write(JSON.stringify(report))
    },
    { file, directory },
  ).ended
  t.equal(status, 0, stderr)
  const report = JSON.parse(stdout) as IncidentReport
  t.match(report, { error: 'ERR_PCAP_WRITE' })
  t.ok(report.packets > 250 && report.packets < 350, `${report.packets} packets`)
  t.strictSame(wrongTraffic(report), [])
})
