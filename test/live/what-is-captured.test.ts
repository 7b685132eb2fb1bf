// Which packets of a device are kept, and how: direction, filter, snaplen, link types, the default route's device.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type Test, test } from 'tap'

import type { IncidentReport, PcapRing, PcapRingOptions, Stats } from '../../src/index.js'
import { type Frame, jumps, readEvidence } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { connect, makeNamespace, makePair, noNamespaces, noTool, type Pair, sh, up } from '../support/netns.js'
import { parsePcap } from '../support/pcap-file.js'
import { frameOf, noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

interface State {
  ring: PcapRing
  inbound: { packets: number; bytes: number }
}

interface Captured {
  report: IncidentReport
  frames: Frame[]
  stats: Stats
  inbound: { packets: number; bytes: number }
}

/** Starts a ring, lets `traffic` pass, and freezes: the file is all that was captured, up to the very call. */
async function capture(
  t: Test,
  netns: string,
  options: PcapRingOptions,
  traffic: () => Promise<unknown>,
): Promise<Captured> {
  const host = await Host.start(t, { netns })
  await host.call<State, void, PcapRingOptions>(
    async ({ PcapRing, state }, options) => {
      const ring = new PcapRing(options)
      state.ring = ring
      state.inbound = { packets: 0, bytes: 0 }
      ring.on('stats', ({ inbound }) => {
        state.inbound.packets += inbound.packets
        state.inbound.bytes += inbound.bytes
      })
      await ring.start()
    },
    { ...options, directory: t.testdir({}), ring: { packets: 10_000 } },
  )
  await traffic()
  const taken = await host.call<State, Omit<Captured, 'frames'>>(async ({ state, once }) => {
    const report = await state.ring.freeze({ resolution: { packets: 0 } }).resolve()
    // Ends after the freeze, so nothing of the traffic comes behind it.
    const [stats] = (await once(state.ring, 'stats')) as [Stats]
    await state.ring.close()
    return { report, stats, inbound: state.inbound }
  })
  const { frames, wrong } = readEvidence(taken.report)
  t.same(wrong, [])
  return { ...taken, frames }
}

const numbers = (frames: Frame[]): number[] => frames.map(({ data }) => frameOf(data).number)
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i)

// The kernel shows each packet twice there, on its way out and on its way in; libpcap passes on the second only.
for (const direction of ['both', 'in', 'out'] as const) {
  test(`loopback, direction ${direction}`, { skip }, async (t) => {
    const name = makeNamespace(t)
    const found = await capture(
      t,
      name,
      { device: 'lo', direction },
      () => send(t, { name, device: 'lo' }, { count: 400, size: 100 }).sent,
    )
    const seen = direction === 'out' ? 0 : 400
    t.same(numbers(found.frames), range(0, seen))
    t.equal(found.stats.total.packets, seen)
    t.equal(found.stats.total.bytes, seen * 100)
    t.same(found.inbound, { packets: seen, bytes: seen * 100 })
    t.equal(found.report.direction, direction)
    t.equal(found.report.loss.kernel, 0)
  })
}

// From the other end of the cable, then out of the device itself; and with MAC addresses that lie about it.
const bothWays = async (t: Test, { here, there }: Pair, vlan?: number): Promise<void> => {
  const tag = vlan === undefined ? {} : { vlan }
  await send(t, there, { count: 300, src: there.mac, ...tag }).sent
  await send(t, here, { count: 200, first: 1_000, src: here.mac, ...tag }).sent
  await send(t, here, { count: 100, first: 2_000, src: '02:99:00:00:00:03', ...tag }).sent
  await send(t, there, { count: 50, first: 3_000, src: here.mac, ...tag }).sent
}
const incoming = [...range(0, 300), ...range(3_000, 50)]
const outgoing = [...range(1_000, 200), ...range(2_000, 100)]

for (const vlan of [undefined, 7]) {
  for (const direction of ['both', 'in', 'out'] as const) {
    test(`direction ${direction}${vlan === undefined ? '' : ', tagged frames'}`, { skip }, async (t) => {
      const pair = makePair(t)
      const found = await capture(t, pair.here.name, { device: pair.here.device, direction }, () =>
        bothWays(t, pair, vlan),
      )
      const wanted = direction === 'in' ? incoming : direction === 'out' ? outgoing : [...incoming, ...outgoing]
      t.same(
        numbers(found.frames).sort((a, b) => a - b),
        wanted.sort((a, b) => a - b),
      )
      const inbound = direction === 'out' ? 0 : incoming.length
      t.same(found.inbound, { packets: inbound, bytes: inbound * 64 })
      t.equal(found.stats.total.packets, wanted.length)
      t.ok(found.frames.every(({ data }) => data.readUInt16BE(12) === (vlan === undefined ? 0x0800 : 0x8100)))
      t.ok(found.frames.every(({ data }) => vlan === undefined || data.readUInt16BE(14) === vlan))
      t.equal(found.report.statistics.protocols?.other, 0)
    })
  }
}

// More than the 4,096 instructions that the kernel takes: libpcap runs it, and hands packets out.
test('a filter that the kernel does not take', { skip, timeout: 60_000 }, async (t) => {
  const pair = makePair(t)
  // Of what the sender leaves zero.
  const never = range(0, 2_600).map((i) => `ether[${58 + (i % 3)}:4] = ${1 + i * 7_919}`)
  const found = await capture(
    t,
    pair.here.name,
    { device: pair.here.device, filter: `udp dst port 9 or ${never.join(' or ')}` },
    async () => {
      await bothWays(t, pair)
      await send(t, pair.there, { count: 40, first: 4_000, port: 10 }).sent
    },
  )
  t.same(
    numbers(found.frames).sort((a, b) => a - b),
    [...incoming, ...outgoing].sort((a, b) => a - b),
  )
  t.same(found.inbound, { packets: incoming.length, bytes: incoming.length * 64 }, 'what came in is told apart')
})

test('a filter keeps what matches, and only that is counted', { skip }, async (t) => {
  const pair = makePair(t)
  const traffic = async (): Promise<void> => {
    await send(t, pair.there, { count: 200, size: 100 }).sent
    await send(t, pair.there, { count: 100, first: 1_000, size: 300 }).sent
  }
  const options = { device: pair.here.device, filter: 'udp dst port 9 and greater 200' }
  const found = await capture(t, pair.here.name, options, traffic)
  t.same(numbers(found.frames), range(1_000, 100))
  t.equal(found.stats.total.packets, 100)
  t.equal(found.report.filter, options.filter)
  const none = await capture(t, pair.here.name, { device: pair.here.device, filter: 'tcp' }, traffic)
  t.same(none.frames, [])
  t.equal(none.stats.total.packets, 0)
})

for (const vlan of [undefined, 7]) {
  test(`snaplen cuts${vlan === undefined ? '' : ' tagged frames'}, and the lengths stay`, { skip }, async (t) => {
    const pair = makePair(t)
    const tag = vlan === undefined ? {} : { vlan }
    const found = await capture(t, pair.here.name, { device: pair.here.device, snaplen: 64 }, async () => {
      await send(t, pair.there, { count: 200, size: 1_400, ...tag }).sent
      await send(t, pair.here, { count: 200, first: 200, size: 1_400, ...tag }).sent
    })
    t.same(numbers(found.frames), range(0, 400))
    t.same(new Set(found.frames.map(({ caplen }) => caplen)), new Set([64]))
    t.same(new Set(found.frames.map(({ len }) => len)), new Set([1_400]))
    t.equal(found.report.snaplen, 64)
    t.equal(found.stats.total.bytes, 400 * 1_400, 'the statistics count what passed')
    t.same(found.inbound, { packets: 200, bytes: 200 * 1_400 })
  })
}

test('super-frames of an offloading card are kept whole with a large snaplen', { skip }, async (t) => {
  const name = makeNamespace(t)
  sh('ip', '-n', name, 'link', 'set', 'lo', 'mtu', '65536')
  const found = await capture(
    t,
    name,
    { device: 'lo', direction: 'in', snaplen: 262_144 },
    () => send(t, { name, device: 'lo' }, { count: 100, pps: 500, size: 65_000 }).sent,
  )
  t.same(numbers(found.frames), range(0, 100))
  t.ok(found.frames.every(({ caplen, len }) => caplen === 65_000 && len === 65_000))
})

test('nanoseconds', { skip }, async (t) => {
  const pair = makePair(t)
  const found = await capture(
    t,
    pair.here.name,
    { device: pair.here.device, precision: 'nano' },
    () => send(t, pair.there, { count: 300 }).sent,
  )
  t.same(jumps(found.frames), [])
  t.ok(
    found.frames.some(({ time }) => time % 1_000n !== 0n),
    'finer than microseconds',
  )
  t.ok(
    found.frames.every(({ time, data }) => time >= frameOf(data).sentAt),
    'by the same clock as the sender, and after it',
  )
  for (const time of [found.report.frozenAt, found.report.from, found.stats.time]) {
    t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
  }
})

test('microseconds are cut from nanoseconds, not rounded', { skip: skip || noTool('tcpdump') }, async (t) => {
  const pair = makePair(t)
  const host = await Host.start(t, { netns: pair.here.name })
  const directory = t.testdir({})
  // As long as anybody asks for it, the kernel stamps a packet once, for all: then two rings have the same stamps.
  const asking = spawn('ip', ['netns', 'exec', pair.here.name, 'tcpdump', '-i', 'lo', '--nano', '-w', '/dev/null'])
  t.teardown(() => void asking.kill('SIGKILL'))
  await once(asking.stderr, 'data')
  await host.call<{ rings: PcapRing[] }, void, object>(
    async ({ PcapRing, state }, options) => {
      const precisions = ['micro', 'nano'] as const
      state.rings = precisions.map((precision) => new PcapRing({ ...options, precision }))
      await Promise.all(state.rings.map((ring) => ring.start()))
    },
    { device: pair.here.device, directory, ring: { packets: 1_000 } },
  )
  await send(t, pair.there, { count: 500 }).sent
  const reports = await host.call<{ rings: PcapRing[] }, IncidentReport[]>(({ state }) =>
    Promise.all(
      state.rings.map(async (ring) => {
        const report = await ring.freeze({ resolution: { packets: 0 } }).resolve()
        await ring.close()
        return report
      }),
    ),
  )
  const [micro, nano] = reports.map((report) => readEvidence(report).frames) as [Frame[], Frame[]]
  t.equal(micro.length, 500)
  const stamps = new Map(nano.map(({ data, time }) => [frameOf(data).number, time]))
  const apart = micro.map(({ data, time }) => (stamps.get(frameOf(data).number) as bigint) - time)
  t.ok(
    apart.filter((ns) => ns >= 0n && ns < 1_000n).length > 450,
    `cut: ${apart.filter((ns) => ns < 0n || ns >= 1_000n)}`,
  )
})

// Where the kernel's blocks are not read in place, libpcap reads, and has to be asked for nanoseconds.
for (const [what, wrap] of [
  ['in the kernel’s blocks', []],
  ['without /proc: by libpcap', ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh']],
] as [string, string[]][]) {
  test(`nanoseconds of the time of day, ${what}`, { skip }, async (t) => {
    const pair = makePair(t)
    const host = await Host.start(t, { netns: pair.here.name, wrap })
    const options = { device: pair.here.device, directory: t.testdir({}), precision: 'nano' }
    await host.call<State, void, object>(async ({ PcapRing, state }, options) => {
      state.ring = new PcapRing(options)
      await state.ring.start()
    }, options)
    const before = BigInt(Date.now()) * 1_000_000n
    await send(t, pair.there, { count: 200, pps: 200 }).sent
    const report = await host.call<State, IncidentReport>(async ({ state }) => {
      const report = await state.ring.freeze({ resolution: { packets: 0 } }).resolve()
      await state.ring.close()
      return report
    })
    const after = BigInt(Date.now()) * 1_000_000n
    const times = readEvidence(report).frames.map(({ time }) => time)
    t.equal(times.length, 200)
    t.ok(
      times.every((time, i) => time >= (times[i - 1] ?? before) && time <= after),
      'in order, between before and after',
    )
    t.ok(times.filter((time) => time % 1_000n !== 0n).length > 150, 'nanoseconds')
    t.ok((times.at(-1) ?? 0n) - (times[0] ?? 0n) > 900_000_000n, 'as long as it took to send them')
  })
}

test('promiscuous while it runs, and not longer', { skip }, async (t) => {
  const pair = makePair(t)
  const { name, device } = pair.here
  const promiscuity = (): number =>
    (JSON.parse(sh('ip', '-n', name, '-d', '-j', 'link', 'show', device)) as { promiscuity: number }[])[0]
      ?.promiscuity as number
  let during = 0
  const found = await capture(t, name, { device, promiscuous: true }, async () => {
    during = promiscuity()
    await send(t, pair.there, { count: 10 }).sent
  })
  t.equal(during, 1)
  t.equal(promiscuity(), 0)
  t.equal(found.report.custody.device?.promiscuous, true)
  t.match(found.report.custody.device, { name: device, mac: pair.here.mac, mtu: 1500, driver: 'veth' })
  await capture(t, name, { device }, async () => {
    during = promiscuity()
  })
  t.equal(during, 0)
})

test('a link without Ethernet', { skip }, async (t) => {
  const name = makeNamespace(t)
  sh('ip', '-n', name, 'tuntap', 'add', 'dev', 'tun0', 'mode', 'tun')
  up({ name, device: 'tun0', mac: '' })
  const found = await capture(
    t,
    name,
    { device: 'tun0' },
    () => send(t, { name, device: 'tun0' }, { count: 300, size: 100, tun: 1 }).sent,
  )
  t.same(numbers(found.frames), range(0, 300))
  t.equal(found.report.linkType, 'RAW')
  t.same(found.inbound, { packets: 300, bytes: 300 * 86 })
  t.equal(found.report.statistics.protocols?.other, 0)
})

test('without a device: the one of the default route', { skip }, async (t) => {
  const pair = makePair(t)
  const { name, device } = pair.here
  const deviceOf = async (): Promise<string | null> => {
    const host = await Host.start(t, { netns: name })
    return host.call<unknown, string | null, object>(
      async ({ PcapRing }, options) => {
        const ring = new PcapRing(options)
        await ring.start()
        const { device } = ring
        await ring.close()
        return device
      },
      { directory: t.testdir({}) },
    )
  }
  await t.rejects(deviceOf(), { code: 'ERR_PCAP_NO_SUCH_DEVICE', message: new RegExp(`\\blo\\b.*\\b${device}\\b`) })
  await t.test('IPv4', async (t) => {
    sh('ip', '-n', name, 'address', 'add', '10.99.0.1/24', 'dev', device)
    await t.rejects(deviceOf(), { code: 'ERR_PCAP_NO_SUCH_DEVICE' }, 'a route to one network is no default route')
    sh('ip', '-n', name, 'route', 'add', 'default', 'via', '10.99.0.2')
    t.equal(await deviceOf(), device)
  })
  await t.test('IPv6 alone', async (t) => {
    sh('ip', '-n', name, 'route', 'del', 'default')
    await t.rejects(deviceOf(), { code: 'ERR_PCAP_NO_SUCH_DEVICE' })
    sh('ip', 'netns', 'exec', name, 'sysctl', '-qw', `net.ipv6.conf.${device}.disable_ipv6=0`)
    sh('ip', '-n', name, '-6', 'route', 'add', 'default', 'dev', device)
    t.equal(await deviceOf(), device)
  })
  await t.test('the lowest metric wins', async (t) => {
    const second = { here: { ...pair.here, device: 'here1', mac: '02:11:00:00:00:11' } }
    connect({ ...second, there: { ...pair.there, device: 'there1', mac: '02:22:00:00:00:22' } })
    sh('ip', '-n', name, 'route', 'add', 'default', 'dev', device, 'metric', '50')
    sh('ip', '-n', name, 'route', 'add', 'default', 'dev', 'here1', 'metric', '40')
    t.equal(await deviceOf(), 'here1')
  })
})

test('dump holds the newest packets, and the ring goes on', { skip }, async (t) => {
  const pair = makePair(t)
  const host = await Host.start(t, { netns: pair.here.name })
  const directory = t.testdir({})
  await host.call<State, void, object>(
    async ({ PcapRing, state }, options) => {
      state.ring = new PcapRing(options)
      await state.ring.start()
    },
    { device: pair.here.device, directory },
  )
  for (const first of [0, 1_000]) {
    await send(t, pair.there, { count: 700, first }).sent
    const file = `${directory}/dump-${first}.pcap`
    const report = await host.call<State, { packets: number }, string>(({ state }, file) => state.ring.dump(file), file)
    t.equal(report.packets, 500)
    const { records } = parsePcap((await import('node:fs')).readFileSync(file))
    t.same(
      records.map(({ data }) => frameOf(data).number),
      range(first + 200, 500),
    )
    await t.rejects(
      host.call<State, unknown, string>(({ state }, file) => state.ring.dump(file), file),
      { code: 'ERR_PCAP_FILE_EXISTS' },
    )
  }
  await host.call<State, void>(({ state }) => state.ring.close())
})
