import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import type { StatsCapture } from '../../src/index.js'
import { captureNames, capturePath, noCaptures } from '../support/captures.js'
import { defaultStart, synPackets, udpPackets } from '../support/generate.js'
import { timeString } from '../support/recording.js'
import { recordingOf, replay, ringOf, scratch } from '../support/replay.js'

const calm = udpPackets({ pps: 400, count: 200 })
const flood = synPackets({ pps: 8_000, count: 2_100, firstSequence: 200, start: defaultStart + 500, size: 100 })

test('before the first interval: zeros', async (t) => {
  const ring = ringOf(t, { file: recordingOf(calm) })
  const zeros = {
    interval: 0,
    mode: 'capture',
    sampling: 1,
    packets: 0,
    bytes: 0,
    pps: 0,
    bps: 0,
    inbound: { packets: 0, bytes: 0, pps: 0, bps: 0 },
    protocols: { tcp: 0, udp: 0, icmp: 0, other: 0 },
    tcpFlags: { syn: 0, synack: 0, ack: 0, rst: 0, fin: 0 },
    fragments: 0,
    loss: { kernel: 0, interface: 0 },
    ring: { packets: 0, bytes: 0, span: 0, oldest: null },
    total: { packets: 0, bytes: 0, kernelLoss: 0, interfaceLoss: 0 },
  }
  const { time, ...rest } = ring.stats()
  t.strictSame(rest, zeros)
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  await ring.start()
  t.strictSame({ ...ring.stats(), time: undefined }, { ...zeros, time: undefined })
})

test('every figure of an interval', async (t) => {
  const ring = ringOf(t, { file: recordingOf(calm, flood) })
  const { stats } = await replay(ring)
  t.equal(stats.length, 4)
  t.strictSame(stats[0], {
    time: timeString(defaultStart * 1_000 + 250_000),
    interval: 250,
    mode: 'capture',
    sampling: 1,
    packets: 100,
    bytes: 6_400,
    pps: 400,
    bps: 204_800,
    inbound: { packets: 100, bytes: 6_400, pps: 400, bps: 204_800 },
    protocols: { tcp: 0, udp: 100, icmp: 0, other: 0 },
    tcpFlags: { syn: 0, synack: 0, ack: 0, rst: 0, fin: 0 },
    fragments: 0,
    loss: { kernel: 0, interface: 0 },
    ring: { packets: 100, bytes: 6_400, span: 247.5, oldest: timeString(defaultStart * 1_000) },
    total: { packets: 100, bytes: 6_400, kernelLoss: 0, interfaceLoss: 0 },
  })
  t.match(stats[2], {
    packets: 2_000,
    bytes: 200_000,
    pps: 8_000,
    bps: 6_400_000,
    protocols: { tcp: 2_000, udp: 0 },
    tcpFlags: { syn: 2_000, synack: 0, ack: 0 },
    ring: { packets: 500, bytes: 50_000, span: 62.375, oldest: timeString(defaultStart * 1_000 + 687_500) },
    total: { packets: 2_200, bytes: 212_800 },
  })
})

test('stats() is the last completed interval, and asking changes nothing', async (t) => {
  const ring = ringOf(t, { file: recordingOf(calm, flood) })
  const asked: unknown[] = []
  ring.on('stats', (stats) => {
    for (let i = 0; i < 5; i++) asked.push(ring.stats() === stats)
  })
  const { stats } = await replay(ring)
  t.ok(asked.length === 20 && asked.every(Boolean))
  t.equal(ring.stats(), stats.at(-1))
  t.equal(
    stats.reduce((sum, { packets }) => sum + packets, 0),
    ring.stats().total.packets,
  )
  await ring.close()
  t.equal(ring.stats(), stats.at(-1), 'after close() too')
})

test('with precision nano times have nine digits', async (t) => {
  const ring = ringOf(t, { file: recordingOf(calm), precision: 'nano' })
  const { stats } = await replay(ring)
  t.match(stats[0]?.time, /\.250000000Z$/)
  t.match(stats[0]?.ring?.oldest, /\.000000000Z$/)
})

// What tshark sees of the outermost IP header in the same recordings.
const tsharkFilters: [name: string, filter: string, of: (stats: StatsCapture) => number][] = [
  ['tcp', 'ip.proto == 6 || ipv6.nxt == 6', ({ protocols }) => protocols.tcp],
  ['udp', 'ip.proto == 17 || ipv6.nxt == 17', ({ protocols }) => protocols.udp],
  ['icmp', 'ip.proto == 1 || ipv6.nxt == 58', ({ protocols }) => protocols.icmp],
]
const flat = ['flood-syn-spoofed-37841.pcap', 'amp-tcp-synack-8000.pcap', 'synscan-2011.pcap', 'sll2.pcap', 'ssdp.pcap']

test('real captures: protocols and flags as tshark counts them', { skip: noCaptures }, async (t) => {
  for (const name of flat) {
    const ring = ringOf(t, { file: capturePath(name), statsInterval: '60s' })
    const { stats } = await replay(ring)
    const all = stats as StatsCapture[]
    const sum = (of: (stats: StatsCapture) => number): number => all.reduce((total, figures) => total + of(figures), 0)
    const count = (filter: string): number => {
      const args = ['-n', '-r', capturePath(name), '-Y', filter, '-T', 'fields', '-e', 'frame.number']
      return execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 2 ** 26 })
        .split('\n')
        .filter(Boolean).length
    }
    for (const [protocol, filter, of] of tsharkFilters) {
      if (name.startsWith('flood') && protocol !== 'tcp') continue
      // An ICMP error quotes the header of what it is about: only outermost headers count.
      const outermost = protocol === 'icmp' ? filter : `(${filter}) && !icmp && !icmpv6`
      t.equal(sum(of), count(outermost), `${name}: ${protocol}`)
    }
    if (!name.startsWith('flood')) {
      t.equal(
        sum(({ tcpFlags }) => tcpFlags.synack),
        count('tcp.flags.syn == 1 && tcp.flags.ack == 1 && !icmp'),
        `${name}: synack`,
      )
    }
  }
})

test('every real capture: the sums agree with one another', { skip: noCaptures }, async (t) => {
  for (const name of captureNames().filter((name) => !/^(zero|mal-hdr|mal-link)/.test(name))) {
    const ring = ringOf(t, { file: capturePath(name) })
    ring.on('warning', () => {})
    const { stats } = await replay(ring)
    for (const { packets, protocols, inbound, ring: held } of stats as StatsCapture[]) {
      const { tcp, udp, icmp, other } = protocols
      if (tcp + udp + icmp + other !== packets) t.fail(`${name}: protocols do not add up`)
      if (inbound.packets > packets) t.fail(`${name}: inbound`)
      if (held.packets > 500) t.fail(`${name}: ring`)
    }
    const { total } = ring.stats()
    t.equal(
      stats.reduce((sum, { packets }) => sum + packets, 0),
      total.packets,
      name,
    )
    t.equal(
      stats.reduce((sum, { bytes }) => sum + bytes, 0),
      total.bytes,
      name,
    )
  }
})

test('a listener that comes late hears the next interval', async (t) => {
  const directory = scratch(t)
  const path = join(directory, 'x.pcap')
  writeFileSync(path, recordingOf(calm, flood))
  const ring = ringOf(t, { file: path, directory })
  let heard = 0
  ring.once('stats', () => {
    ring.on('stats', () => void heard++)
  })
  const end = once(ring, 'end')
  await ring.start()
  await end
  t.equal(heard, 3)
})
