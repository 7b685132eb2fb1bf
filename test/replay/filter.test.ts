// What a replay counts and keeps: filters and directions. What is not wanted only moves the time.

import { test } from 'tap'

import type { PcapRing } from '../../src/index.js'
import { defaultStart, synPackets, udpPackets } from '../support/generate.js'
import {
  at,
  interfaceBlock,
  packetBlock,
  pcapBytes,
  type RawPacket,
  sectionBlock,
  toRaw,
  usOf,
} from '../support/recording.js'
import { range, replay, ringOf, scratch, sequencesIn } from '../support/replay.js'

const mixed = [
  ...udpPackets({ pps: 100, count: 30 }),
  ...synPackets({ pps: 100, count: 60, firstSequence: 30, start: defaultStart + 300 }),
  ...udpPackets({ pps: 100, count: 10, firstSequence: 90, start: defaultStart + 900 }),
]

async function kept(t: Parameters<typeof scratch>[0], ring: PcapRing): Promise<number[]> {
  const path = `${scratch(t)}/x.pcap`
  await ring.dump(path)
  return sequencesIn(path)
}

test('a filter', async (t) => {
  const ring = ringOf(t, { file: pcapBytes(toRaw(mixed)), filter: 'udp and port 9' })
  const { stats } = await replay(ring)
  t.strictSame(
    stats.map(({ interval, packets, protocols }) => [interval, packets, protocols?.tcp]),
    [
      [250, 25, 0],
      [250, 5, 0],
      [250, 0, 0],
      [240, 10, 0],
    ],
  )
  t.equal(ring.stats().total.packets, 40)
  t.strictSame(await kept(t, ring), [...range(0, 30), ...range(90, 10)])
  const incident = ring.freeze()
  t.match(await incident.resolve(), { filter: 'udp and port 9', packets: 40 })
})

test('nothing matches: intervals go on, of nothing', async (t) => {
  const ring = ringOf(t, { file: pcapBytes(toRaw(mixed)), filter: 'icmp' })
  const { stats } = await replay(ring)
  t.strictSame(
    stats.map(({ interval, packets }) => [interval, packets]),
    [250, 250, 250, 240].map((interval) => [interval, 0]),
  )
  t.strictSame(await kept(t, ring), [])
})

test('a bad filter, or one that the link type cannot have, is told by start()', async (t) => {
  const bad = { name: 'PcapRingError', code: 'ERR_PCAP_BAD_FILTER' }
  await t.rejects(ringOf(t, { file: pcapBytes([]), filter: 'udp and' }).start(), bad)
  await t.rejects(ringOf(t, { file: pcapBytes([], { linkType: 12_345 }), filter: 'udp' }).start(), bad)
  await t.rejects(ringOf(t, { file: pcapBytes([], { linkType: 101 }), filter: 'ether src 1:2:3:4:5:6' }).start(), bad)
})

test('a recording without directions is all inbound', async (t) => {
  for (const [direction, wanted] of [
    ['both', 100],
    ['in', 100],
    ['out', 0],
  ] as const) {
    const ring = ringOf(t, { file: pcapBytes(toRaw(mixed)), direction })
    const { stats } = await replay(ring)
    t.equal(ring.stats().total.packets, wanted, direction)
    t.ok(stats.every(({ packets, inbound }) => packets === inbound.packets))
    t.equal((await kept(t, ring)).length, wanted)
  }
})

// Every third is sent by the interface.
const isSent = (i: number): boolean => i % 3 === 0

function cooked(linkType: 113 | 276): Buffer {
  const packets = toRaw(mixed).map(({ data, ...packet }, i): RawPacket => {
    const head = Buffer.alloc(linkType === 113 ? 16 : 20)
    if (linkType === 113) {
      head.writeUInt16BE(isSent(i) ? 4 : 0, 0)
      head.writeUInt16BE(0x0800, 14)
    } else {
      head.writeUInt16BE(0x0800, 0)
      head[10] = isSent(i) ? 4 : 0
    }
    const whole = Buffer.concat([head, data.subarray(14)])
    return { ...packet, data: whole, len: whole.length }
  })
  return pcapBytes(packets, { linkType })
}

const flagged = Buffer.concat([
  sectionBlock('BE'),
  interfaceBlock('BE', 1),
  ...toRaw(mixed).map((packet, i) => packetBlock('BE', BigInt(usOf(packet)), packet, 0, isSent(i) ? 2 : 1)),
])

const directed: [string, Buffer][] = [
  ['LINUX_SLL', cooked(113)],
  ['LINUX_SLL2', cooked(276)],
  ['the flags of a .pcapng', flagged],
]
for (const [name, file] of directed) {
  test(`directions from ${name}`, async (t) => {
    for (const [direction, packets, inbound] of [
      ['both', 100, 66],
      ['in', 66, 66],
      ['out', 34, 0],
    ] as const) {
      const ring = ringOf(t, { file, direction })
      const { stats } = await replay(ring)
      t.equal(ring.stats().total.packets, packets, direction)
      t.equal(
        stats.reduce((sum, figures) => sum + figures.inbound.packets, 0),
        inbound,
        direction,
      )
      const { packets: written } = await ring.dump(`${scratch(t)}/x.pcap`)
      t.equal(written, packets)
      t.match(await ring.freeze().resolve(), { direction, packets })
    }
  })
}

test('the packet that is not wanted ends an interval all the same', async (t) => {
  const start = defaultStart
  const [udp] = udpPackets({ pps: 1, count: 1 })
  const [syn] = synPackets({ pps: 1, count: 1 })
  const packets = [at(start, udp?.data as Buffer), at(start + 1_000, syn?.data as Buffer)]
  const { stats } = await replay(ringOf(t, { file: pcapBytes(packets), filter: 'udp' }))
  t.match(stats, [{ interval: 1_000, packets: 1 }])
})
