// Without the permission to capture: figures of the operating system, incidents with a report and no file.

import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { IncidentReport, PcapRing, PcapRingOptions, Stats } from '../../src/index.js'
import { jumps, readEvidence } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { installedCopy } from '../support/installed.js'
import { connect, countersOf, down, makePair, noNamespaces, noTool, sh, up } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender || noTool('setpriv')

const nobody = ['--reuid', '65534', '--regid', '65534', '--clear-groups']
const without = {
  'another user': ['setpriv', ...nobody],
  'root without CAP_NET_RAW': ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-all'],
}

/** A directory that everybody may write to. */
function openDirectory(t: Test): string {
  const directory = t.testdir({ captures: {} })
  chmodSync(join(directory, 'captures'), 0o777)
  return join(directory, 'captures')
}

interface State {
  ring: PcapRing
  warnings: { code: string; message: string }[]
  stats: Stats[]
  events: string[]
}

const startRing = async (
  { PcapRing, state }: Pick<import('../support/host.js').HostApi<State>, 'PcapRing' | 'state'>,
  options: PcapRingOptions,
): Promise<string> => {
  const ring = new PcapRing(options)
  Object.assign(state, { ring, warnings: [], stats: [], events: [] })
  ring.on('warning', ({ code, message }) => state.warnings.push({ code, message }))
  ring.on('stats', (stats) => state.stats.push(stats))
  for (const name of ['freeze', 'flush', 'cap', 'resolve', 'error'] as const) {
    ring.on(name, () => state.events.push(name))
  }
  await ring.start()
  return ring.mode
}

for (const [who, wrap] of Object.entries(without)) {
  test(who, { skip }, async (t) => {
    const root = installedCopy(t)
    const pair = makePair(t)
    const { device } = pair.here
    const directory = openDirectory(t)
    const host = await Host.start(t, { netns: pair.here.name, wrap, root, nodeArgs: ['--expose-gc'] })
    const options: PcapRingOptions = { device, directory, statsInterval: 100, filter: 'udp' }

    await t.test('fallback: false', async (t) => {
      const start = host.call<State, string, PcapRingOptions>(startRing, { ...options, fallback: false })
      await t.rejects(start, { code: 'ERR_PCAP_PERMISSION', message: /CAP_NET_RAW/ })
    })
    const before = countersOf(pair.here)
    t.equal(await host.call<State, string, PcapRingOptions>(startRing, options), 'statistics')

    await send(t, pair.there, { count: 1_000, pps: 5_000, size: 200 }).sent
    const taken = await host.call<State, { report: IncidentReport; file: string | null; flushed: unknown }>(
      async ({ state, untilStats }) => {
        await untilStats(state.ring, ({ total }) => total.packets >= 1_000)
        const incident = state.ring.freeze({ reason: 'figures only', resolution: { packets: 50 } })
        const flushed = await incident.flushed
        await untilStats(state.ring, () => true)
        ;(globalThis as { incident?: unknown }).incident = incident
        return { report: null as never, file: incident.file, flushed }
      },
    )
    t.equal(taken.file, null)
    t.same(taken.flushed, [])
    await send(t, pair.here, { count: 500, pps: 5_000, size: 100 }).sent
    const { report, state } = await host.call<State, { report: IncidentReport; state: Omit<State, 'ring'> }>(
      async ({ state, untilStats }) => {
        await untilStats(state.ring, ({ total }) => total.packets >= 1_500)
        const [incident] = state.ring.incidents
        const report = (await incident?.resolve()) as IncidentReport
        gc?.()
        await state.ring.close()
        gc?.()
        const { warnings, stats, events } = state
        return { report, state: { warnings, stats, events } }
      },
    )
    const counters = countersOf(pair.here)

    await t.test('one warning of the mode, with the remedy, and one of the filter', async (t) => {
      t.same(
        state.warnings.filter(({ code }) => code === 'ERR_PCAP_PERMISSION').length,
        1,
        JSON.stringify(state.warnings),
      )
      t.match(state.warnings[0]?.message, /CAP_NET_RAW.*setcap.*--cap-add.*root/)
      t.ok(
        state.warnings.some(({ message }) => /filter/.test(message) && /not applied/.test(message)),
        'a filter is warned of as not applied',
      )
    })
    await t.test("the figures are the interface's", async (t) => {
      const last = state.stats.at(-1) as Stats
      t.equal(last.mode, 'statistics')
      t.equal(last.total.packets, counters.rx.packets - before.rx.packets + counters.tx.packets - before.tx.packets)
      t.equal(last.total.bytes, counters.rx.bytes - before.rx.bytes + counters.tx.bytes - before.tx.bytes)
      const sum = (of: (stats: Stats) => number): number => state.stats.reduce((sum, stats) => sum + of(stats), 0)
      t.equal(
        sum(({ packets }) => packets),
        1_500,
      )
      t.equal(
        sum(({ inbound }) => inbound.packets),
        1_000,
      )
      t.equal(
        sum(({ inbound }) => inbound.bytes),
        200_000,
      )
      for (const key of ['protocols', 'tcpFlags', 'fragments', 'ring'] as const) t.equal(last[key], null)
      t.equal(last.loss.kernel, null)
      t.equal(last.total.kernelLoss, null)
    })
    await t.test('an incident with a report and no file', async (t) => {
      t.match(report, {
        mode: 'statistics',
        kind: 'incident',
        file: null,
        error: null,
        packets: 0,
        bytes: 0,
        sections: [],
        from: null,
        to: null,
        sha256: null,
        reason: 'figures only',
        traffic: null,
      })
      t.equal(report.statistics.packets, 500)
      t.equal(report.statistics.bytes, 50_000)
      t.equal(report.statistics.protocols, null)
      t.equal(
        report.statistics.timeline.reduce((sum, { packets }) => sum + packets, 0),
        500,
      )
      t.ok(report.statistics.peakPps.value > 0)
      t.same(readdirSync(directory), [`incident_${report.id}.json`])
      t.same(JSON.parse(readFileSync(join(directory, `incident_${report.id}.json`), 'utf8')), report)
      t.same(state.events, ['freeze', 'flush', 'resolve'])
    })
    t.same(await host.call<State, unknown>(() => process.exit(0)).catch(() => host.ended), {
      status: 0,
      signal: null,
      stdout: '',
      stderr: '',
    })
  })
}

test('a warning that nobody listens to is the process own, and dump has nothing to write', { skip }, async (t) => {
  const root = installedCopy(t)
  const pair = makePair(t)
  const directory = openDirectory(t)
  const host = await Host.start(t, { netns: pair.here.name, wrap: without['another user'], root })
  const found = await host.call<State, { warnings: string[]; dump: string | undefined }, PcapRingOptions>(
    async ({ PcapRing, once }, options) => {
      const warned = once(process, 'warning')
      const ring = new PcapRing(options)
      await ring.start()
      const [warning] = (await warned) as [NodeJS.ErrnoException]
      const dump = await ring.dump(`${options.directory}/x.pcap`).catch((error: NodeJS.ErrnoException) => error.code)
      await ring.close()
      return { warnings: [warning.code ?? ''], dump: dump as string }
    },
    { device: pair.here.device, directory },
  )
  t.same(found, { warnings: ['ERR_PCAP_PERMISSION'], dump: 'ERR_PCAP_PERMISSION' })
  t.notOk(existsSync(join(directory, 'x.pcap')))
})

test('direction is judged by the counters, too', { skip }, async (t) => {
  const root = installedCopy(t)
  const pair = makePair(t)
  for (const [direction, packets, inbound] of [
    ['in', 300, 300],
    ['out', 200, 0],
  ] as const) {
    const host = await Host.start(t, { netns: pair.here.name, wrap: without['another user'], root })
    const options = { device: pair.here.device, directory: openDirectory(t), direction, statsInterval: 100 }
    await host.call<State, string, PcapRingOptions>(startRing, options)
    await send(t, pair.there, { count: 300 }).sent
    await send(t, pair.here, { count: 200 }).sent
    const stats = await host.call<State, Stats[], number>(async ({ state, untilStats }, packets) => {
      await untilStats(state.ring, ({ total }) => total.packets >= packets)
      await state.ring.close()
      return state.stats
    }, packets)
    const sum = (of: (stats: Stats) => number): number => stats.reduce((sum, one) => sum + of(one), 0)
    t.equal(
      sum((one) => one.packets),
      packets,
    )
    t.equal(
      sum((one) => one.inbound.packets),
      inbound,
    )
  }
})

test('a device that goes down, away and comes back', { skip }, async (t) => {
  const root = installedCopy(t)
  const pair = makePair(t)
  const host = await Host.start(t, { netns: pair.here.name, wrap: without['another user'], root })
  const options = { device: pair.here.device, directory: openDirectory(t), statsInterval: 50 }
  await host.call<State, void, PcapRingOptions>(async ({ PcapRing, state }, options) => {
    state.ring = new PcapRing(options)
    state.events = []
    for (const name of ['down', 'up', 'error'] as const) {
      state.ring.on(name, (error?: Error) =>
        state.events.push(`${name} ${(error as NodeJS.ErrnoException)?.code ?? ''}`),
      )
    }
    state.ring.on('warning', () => {})
    await state.ring.start()
  }, options)
  const events = (count: number): Promise<string[]> =>
    host.call<State, string[], number>(async ({ state, untilStats }, count) => {
      await untilStats(state.ring, () => state.events.length >= count)
      return state.events
    }, count)
  await send(t, pair.there, { count: 100 }).sent
  down(pair.here)
  t.same(await events(1), ['down ERR_PCAP_DEVICE_DOWN'])
  up(pair.here)
  t.equal((await events(2)).at(-1), 'up ')
  sh('ip', '-n', pair.here.name, 'link', 'del', pair.here.device)
  t.equal((await events(3)).at(-1), 'down ERR_PCAP_DEVICE_GONE')
  connect(pair)
  t.equal((await events(4)).at(-1), 'up ')
  await send(t, pair.there, { count: 50 }).sent
  const total = await host.call<State, number>(async ({ state, untilStats }) => {
    await untilStats(state.ring, ({ total }) => total.packets >= 150)
    await state.ring.close()
    return state.ring.stats().total.packets
  })
  t.equal(total, 150)
  t.equal((await host.call<State, string[]>(({ state }) => state.events)).length, 4)
})

test('CAP_NET_RAW alone is enough', { skip }, async (t) => {
  const root = installedCopy(t)
  const pair = makePair(t)
  const directory = openDirectory(t)
  const wrap = ['setpriv', ...nobody, '--inh-caps=+net_raw', '--ambient-caps=+net_raw', '--bounding-set=-all,+net_raw']
  const host = await Host.start(t, { netns: pair.here.name, wrap, root })
  const options = { device: pair.here.device, directory }
  t.equal(await host.call<State, string, PcapRingOptions>(startRing, options), 'capture')
  await send(t, pair.there, { count: 400 }).sent
  const report = await host.call<State, IncidentReport>(async ({ state }) => {
    const report = await state.ring.freeze({ resolution: { packets: 0 } }).resolve()
    await state.ring.close()
    return report
  })
  const { frames, wrong } = readEvidence(report)
  t.same(wrong, [])
  t.equal(frames.length, 400)
  t.same(jumps(frames), [])
})
