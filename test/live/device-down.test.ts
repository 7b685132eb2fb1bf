// The device goes down, away, and comes back: told of, waited for, never an error of the ring.

import { setTimeout as wait } from 'node:timers/promises'
import tap, { type Test, test } from 'tap'

import type { IncidentReport, PcapRing } from '../../src/index.js'
import { type Census, censusAtRest, memory, memoryGivenBack, sameAsBefore } from '../support/census.js'
import { jumps, nsOf, readEvidence, sizes } from '../support/evidence.js'
import { Host } from '../support/host.js'
import {
  connect,
  down,
  makeNamespace,
  makePair,
  type Namespace,
  noNamespaces,
  noTool,
  type Pair,
  removeDevice,
  sh,
  up,
} from '../support/netns.js'
import { frameOf, noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

// Each has a cable and a host of its own, and waits for most of its time.
tap.jobs = 3

interface State {
  ring: PcapRing
  events: string[]
}

/** Of each host, from when its ring had started. */
const atFirst = new WeakMap<Host, { before: Census; held: number }>()

async function startHost(t: Test, { here }: Pair, more: object = {}): Promise<Host> {
  const host = await Host.start(t, { netns: here.name, nodeArgs: ['--expose-gc'] })
  await host.call<State, void, object>(
    async ({ PcapRing, state }, options) => {
      const ring = new PcapRing(options)
      state.ring = ring
      state.events = []
      ring.on('down', ({ code }) => state.events.push(`down ${code}`))
      ring.on('up', () => state.events.push('up'))
      ring.on('error', ({ code }) => state.events.push(`error ${code}`))
      ring.on('warning', ({ code }) => state.events.push(`warning ${code}`))
      await ring.start()
    },
    { device: here.device, directory: t.testdir({}), statsInterval: 50, ring: { packets: 5_000 }, ...more },
  )
  atFirst.set(host, { before: await censusAtRest(host), held: await memory(host) })
  return host
}

/** Fulfils once so many events have come. */
const events = (host: Host, count: number): Promise<string[]> =>
  host.call<State, string[], number>(async ({ state, once }, count) => {
    while (state.events.length < count) {
      await Promise.race(['down', 'up', 'error', 'warning'].map((name) => once(state.ring, name)))
    }
    return state.events
  }, count)

/** Share of a core that the process takes over twenty intervals. */
const load = (host: Host): Promise<number> =>
  host.call<State, number>(async ({ state, untilStats }) => {
    let left = 20
    const cpu = process.cpuUsage()
    const start = process.hrtime.bigint()
    await untilStats(state.ring, () => --left === 0)
    const { user, system } = process.cpuUsage(cpu)
    return (user + system) / (Number(process.hrtime.bigint() - start) / 1_000)
  })

/** How often the capture thread wakes up within so many intervals. */
const wakings = (host: Host, intervals: number): Promise<number> =>
  host.call<State, number, number>(async ({ require, state, untilStats }, left) => {
    const { readdirSync, readFileSync } = require('node:fs') as typeof import('node:fs')
    const thread = readdirSync('/proc/self/task').find(
      (task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim() === 'pcap-ring',
    )
    const slept = (): number =>
      Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(readFileSync(`/proc/self/task/${thread}/status`, 'utf8'))?.[1])
    await untilStats(state.ring, () => true)
    const before = slept()
    let counted = 0
    await untilStats(state.ring, () => ++counted === left)
    return slept() - before
  }, intervals)

const freeze = (host: Host): Promise<IncidentReport> =>
  host.call<State, IncidentReport>(({ state }) => state.ring.freeze({ resolution: { packets: 0 } }).resolve())

/** In an incident, as long as there is no interval to tell of them. */
const waitForPackets = (host: Host): Promise<void> =>
  host.call<State, void>(async ({ state }) => {
    await state.ring.capture({ cap: { packets: 100 } }).finished
  })

const openIncident = (host: Host): Promise<unknown> =>
  host.call<State, unknown>(({ state }) => state.ring.freeze({ id: 'open' }).flushed)

const resolveOpen = (host: Host): Promise<IncidentReport> =>
  host.call<State, IncidentReport>(async ({ state }) => {
    const [incident] = state.ring.incidents
    return (await incident?.resolve()) as IncidentReport
  })

/** The change befalls a ring, and one with an incident open, which has all that the ring has. */
function testBoth(
  name: string,
  skipped: boolean | string,
  body: (t: Test, pair: Pair, host: Host) => Promise<void>,
): void {
  for (const open of [false, true]) {
    test(`${name}${open ? '; with an incident open' : ''}`, { skip: skipped, buffered: true }, async (t) => {
      const pair = makePair(t)
      const host = await startHost(t, pair)
      if (open) await openIncident(host)
      await body(t, pair, host)
      if (open) {
        const report = await resolveOpen(host)
        t.same([report.error, readEvidence(report).wrong], [null, []])
        t.same(numbers(report), numbers(await freeze(host)))
      }
      await finishAsBefore(t, host)
    })
  }
}

const finish = (host: Host): Promise<void> => host.call<State, void>(({ state }) => state.ring.close())

/** Whatever befell the device, nothing is left of it. */
async function finishAsBefore(t: Test, host: Host): Promise<void> {
  const { before, held } = atFirst.get(host) as { before: Census; held: number }
  await sameAsBefore(t, host, before)
  await memoryGivenBack(t, host, held)
  await finish(host)
}

const numbers = (report: IncidentReport): number[] =>
  readEvidence(report).frames.map(({ data }) => frameOf(data).number)
const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, i) => from + i)

const rename = ({ name }: Namespace, from: string, to: string): string =>
  sh('ip', '-n', name, 'link', 'set', from, 'name', to)
const moveTo = (name: string, { device }: Namespace, from: string): string =>
  sh('ip', '-n', from, 'link', 'set', device, 'netns', name)
const elsewhere = new Map<Pair, string>()

const ways = {
  down: { code: 'ERR_PCAP_DEVICE_DOWN', away: ({ here }: Pair) => down(here), back: ({ here }: Pair) => up(here) },
  deleted: {
    code: 'ERR_PCAP_DEVICE_GONE',
    away: ({ here }: Pair) => removeDevice(here),
    back: connect,
  },
  // Where nothing has its index, so that it comes back under the same one.
  moved: {
    code: 'ERR_PCAP_DEVICE_GONE',
    away: (pair: Pair, t: Test) => {
      const name = elsewhere.get(pair) ?? makeNamespace(t)
      elsewhere.set(pair, name)
      moveTo(name, pair.here, pair.here.name)
    },
    back: (pair: Pair) => {
      moveTo(pair.here.name, pair.here, elsewhere.get(pair) as string)
      up(pair.here)
    },
  },
} as const

for (const [way, { code, away, back }] of Object.entries(ways)) {
  test(`${way}, and back`, { skip, buffered: true }, async (t) => {
    const pair = makePair(t)
    const host = await startHost(t, pair)
    await openIncident(host)
    await send(t, pair.there, { count: 400, pps: 4_000 }).sent
    // At once: the newest frames are still in the kernel's buffer.
    away(pair, t)
    t.same(await events(host, 1), [`down ${code}`])
    const share = await load(host)
    t.ok(share < 0.3, `no spinning: ${share.toFixed(3)} of a core while it is away`)
    t.same(numbers(await freeze(host)), range(0, 400), 'frozen while it is away: nothing is missing')

    back(pair)
    t.same(await events(host, 2), [`down ${code}`, 'up'])
    const after = await load(host)
    t.ok(after < 0.3, `no spinning: ${after.toFixed(3)} of a core`)
    await send(t, pair.there, { count: 300, first: 400, pps: 4_000 }).sent
    const report = await freeze(host)
    t.same(readEvidence(report).wrong, [])
    t.same(numbers(report), range(0, 700))
    t.equal(report.statistics.packets, 0)

    const open = await resolveOpen(host)
    t.same(sizes(open), { attack: 700 })
    t.same(jumps(readEvidence(open).frames), [])
    t.equal(open.statistics.packets, 700)
    t.equal(open.error, null)
    // Nobody knows what passed while it was away.
    for (const { coverage } of [report, open]) {
      t.match(coverage, { complete: false, gaps: [{ reason: 'device-down', packets: null, exact: false }] })
      t.equal(coverage.gaps.length, 1)
      const { frames } = readEvidence(report)
      const [last, first] = [frames[399], frames[400]]
      t.same(
        [coverage.gaps[0]?.from, coverage.gaps[0]?.to].map((at) => nsOf(at as string)),
        [last?.time, first?.time],
      )
    }
    t.same(await host.call<State, string[]>(({ state }) => state.events), [`down ${code}`, 'up'])
    await finishAsBefore(t, host)
  })

  test(`${way}, again and again`, { skip, buffered: true }, async (t) => {
    const pair = makePair(t)
    const host = await startHost(t, pair)
    for (let i = 0; i < 3; ++i) {
      await send(t, pair.there, { count: 100, first: 100 * i, pps: 4_000 }).sent
      away(pair, t)
      await events(host, 2 * i + 1)
      back(pair)
      await events(host, 2 * i + 2)
    }
    t.same(numbers(await freeze(host)), range(0, 300))
    t.same(
      await host.call<State, string[]>(({ state }) => state.events),
      Array(3)
        .fill([`down ${code}`, 'up'])
        .flat(),
    )
    await finishAsBefore(t, host)
  })

  test(`${way}, and closed with an incident open`, { skip, buffered: true }, async (t) => {
    const pair = makePair(t)
    const host = await startHost(t, pair)
    await send(t, pair.there, { count: 200, pps: 4_000 }).sent
    away(pair, t)
    await events(host, 1)
    const { took, report } = await host.call<State, { took: number; report: IncidentReport }>(async ({ state }) => {
      const incident = state.ring.freeze()
      const start = process.hrtime.bigint()
      await state.ring.close()
      return { took: Number(process.hrtime.bigint() - start) / 1e6, report: await incident.finished }
    })
    // latency + 1 s, threefold.
    t.ok(took < 3_300, `${took} ms`)
    t.same(numbers(report), range(0, 200))
    t.same(readEvidence(report).wrong, [])
  })
}

// Which is most of what a look costs.
test('down while the host is held up, with packets to be taken first', { skip, buffered: true }, async (t) => {
  const pair = makePair(t)
  // Nothing else wakes it up in time; and a large ring that fills would pass for memory that is not given back.
  const host = await startHost(t, pair, { statsInterval: 60_000, ring: { packets: 100 } })
  const sending = send(t, pair.there, { count: 1e9, pps: 20_000, size: 1_000 })
  await waitForPackets(host)
  process.kill(host.pid, 'SIGSTOP')
  await wait(100)
  down(pair.here)
  process.kill(host.pid, 'SIGCONT')
  const told = await Promise.race([events(host, 1), wait(20_000, ['nothing in 20 s'], { ref: false })])
  t.same(told, ['down ERR_PCAP_DEVICE_DOWN'])
  await sending.stop()
  await finishAsBefore(t, host)
})

test('looking for it takes no waking up of its own', { skip, buffered: true }, async (t) => {
  const pair = makePair(t)
  const host = await startHost(t, pair, { statsInterval: 250 })
  down(pair.here)
  await events(host, 1)
  await host.call<State, unknown>(({ state, untilStats }) => untilStats(state.ring, () => true))
  const woke = await wakings(host, 8)
  // Half as many again: the kernel may hold a look up, and then it sleeps twice.
  t.ok(woke <= 12, `${woke} times in eight intervals`)
  await finishAsBefore(t, host)
})

testBoth('deleted while it is down', skip, async (t, pair, host) => {
  await send(t, pair.there, { count: 100 }).sent
  down(pair.here)
  await events(host, 1)
  ways.deleted.away(pair)
  t.ok((await load(host)) < 0.3)
  connect(pair)
  t.same(await events(host, 2), ['down ERR_PCAP_DEVICE_DOWN', 'up'])
  await send(t, pair.there, { count: 100, first: 100 }).sent
  t.same(numbers(await freeze(host)), range(0, 200))
})

testBoth('renamed, and up again under the other name: down, until the name is back', skip, async (t, pair, host) => {
  const { here } = pair
  await send(t, pair.there, { count: 100, pps: 4_000 }).sent
  const renameDown = (from: string, to: string): void => {
    sh('ip', '-n', here.name, 'link', 'set', from, 'down')
    rename(here, from, to)
    sh('ip', '-n', here.name, 'link', 'set', to, 'up')
  }
  renameDown(here.device, 'other0')
  const [first] = await events(host, 1)
  t.match(first, /^down ERR_PCAP_DEVICE_(DOWN|GONE)$/)
  t.ok((await load(host)) < 0.3, 'no spinning')
  // By now it is not listened to any more.
  const sending = send(t, pair.there, { count: 2_000, first: 10_000 })
  for (const _ of [1, 2]) t.ok((await load(host)) < 0.3, 'no spinning')
  await sending.stop()
  t.same(await host.call<State, string[]>(({ state }) => state.events), [first], 'no up and down')
  t.same(numbers(await freeze(host)), range(0, 100))

  renameDown('other0', here.device)
  t.same(await events(host, 2), [first, 'up'])
  await send(t, pair.there, { count: 100, first: 100, pps: 4_000 }).sent
  t.same(numbers(await freeze(host)), range(0, 200))
  t.same(await host.call<State, string[]>(({ state }) => state.events), [first, 'up'])
})

// Which kernels allow from 6.2 on, and tell no socket of.
testBoth('renamed while it is up, and another made under its name', skip, async (t, pair, host) => {
  const { here } = pair
  await send(t, pair.there, { count: 100, pps: 4_000 }).sent
  // What is still in the kernel's buffer had the old name.
  rename(here, here.device, 'other0')
  t.same(await events(host, 1), ['down ERR_PCAP_DEVICE_GONE'])
  t.ok((await load(host)) < 0.3, 'no spinning')
  // By now it is not listened to any more.
  await send(t, pair.there, { count: 1_000, first: 10_000 }).sent
  t.same(numbers(await freeze(host)), range(0, 100))

  sh('ip', '-n', here.name, 'link', 'add', here.device, 'type', 'veth', 'peer', 'name', 'peer0')
  t.ok((await load(host)) < 0.3, 'no spinning')
  t.same(
    await host.call<State, string[]>(({ state }) => state.events),
    ['down ERR_PCAP_DEVICE_GONE'],
    'it is not up yet',
  )
  up(here)
  t.same((await events(host, 2)).at(-1), 'up')
  removeDevice(here)
  t.same((await events(host, 3)).at(-1), 'down ERR_PCAP_DEVICE_GONE')
  rename(here, 'other0', here.device)
  t.same((await events(host, 4)).at(-1), 'up')
  await send(t, pair.there, { count: 100, first: 100, pps: 4_000 }).sent
  t.same(numbers(await freeze(host)), range(0, 200))
})

test('back when the permission to capture was given up: told of once', { skip, buffered: true }, async (t) => {
  const pair = makePair(t)
  const host = await startHost(t, pair)
  await host.call<State, void>(() => {
    process.setgid?.(65_534)
    process.setuid?.(65_534)
  })
  removeDevice(pair.here)
  await events(host, 1)
  connect(pair)
  const told = ['down ERR_PCAP_DEVICE_GONE', 'warning ERR_PCAP_PERMISSION']
  t.same(await events(host, 2), told)
  t.ok((await load(host)) < 0.3, 'no spinning')
  t.same(await host.call<State, string[]>(({ state }) => state.events), told)
  await finish(host)
})

testBoth('larger packets than before are no matter of the device', skip, async (t, pair, host) => {
  await send(t, pair.there, { count: 100 }).sent
  for (const { name, device } of [pair.here, pair.there]) sh('ip', '-n', name, 'link', 'set', device, 'mtu', '9000')
  await send(t, pair.there, { count: 100, first: 100, size: 4_000 }).sent
  const report = await freeze(host)
  const { frames, wrong } = readEvidence(report)
  t.same(wrong, [])
  t.same(numbers(report), range(0, 200))
  t.equal(frames.at(-1)?.len, 4_000)
  t.same(await host.call<State, string[]>(({ state }) => state.events), [])
})

testBoth('offloads that change are no matter of the device', skip || noTool('ethtool'), async (t, pair, host) => {
  await send(t, pair.there, { count: 100 }).sent
  let first = 100
  for (const change of ['off', 'on']) {
    for (const feature of ['gro', 'tso', 'gso', 'tx', 'rx']) {
      sh('ip', 'netns', 'exec', pair.here.name, 'ethtool', '-K', pair.here.device, feature, change)
    }
    await send(t, pair.there, { count: 100, first }).sent
    first += 100
  }
  const report = await freeze(host)
  t.same([readEvidence(report).wrong, numbers(report)], [[], range(0, 300)])
  t.same(await host.call<State, string[]>(({ state }) => state.events), [])
})

testBoth('the cable pulled out is no matter of the device', skip, async (t, pair, host) => {
  await send(t, pair.there, { count: 100 }).sent
  down(pair.there)
  t.ok((await load(host)) < 0.3)
  up(pair.there)
  await send(t, pair.there, { count: 100, first: 100 }).sent
  t.same(numbers(await freeze(host)), range(0, 200))
  t.same(await host.call<State, string[]>(({ state }) => state.events), [])
})
