// Without the permission to capture: figures of the operating system, incidents with a report and no file.

import { chmodSync, existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { IncidentReport, PcapRing, PcapRingOptions, Stats } from '../../src/index.js'
import { jumps, readEvidence, sizes } from '../support/evidence.js'
import { Host, runHost } from '../support/host.js'
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
  report?: Promise<IncidentReport> | undefined
  /** Rings and incidents made, and those of them that were collected. */
  made: number
  collected: number
  registry: FinalizationRegistry<null>
}

const startRing = async (
  { PcapRing, state }: Pick<import('../support/host.js').HostApi<State>, 'PcapRing' | 'state'>,
  options: PcapRingOptions,
): Promise<string> => {
  const ring = new PcapRing(options)
  Object.assign(state, { ring, warnings: [], stats: [], events: [] })
  state.made = (state.made ?? 0) + 1
  state.collected ??= 0
  state.registry ??= new FinalizationRegistry(() => void state.collected++)
  state.registry.register(ring, null)
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
    const taken = await host.call<State, { file: string | null; flushed: unknown }>(async ({ state, untilStats }) => {
      await untilStats(state.ring, ({ total }) => total.packets >= 1_000)
      const incident = state.ring.freeze({ reason: 'figures only', resolution: { packets: 50 } })
      const flushed = await incident.flushed
      await untilStats(state.ring, () => true)
      state.made++
      state.registry.register(incident, null)
      return { file: incident.file, flushed }
    })
    t.equal(taken.file, null)
    t.same(taken.flushed, [])
    await send(t, pair.here, { count: 500, pps: 5_000, size: 100 }).sent
    const { report, state } = await host.call<
      State,
      { report: IncidentReport; state: Pick<State, 'warnings' | 'stats' | 'events'> }
    >(async ({ state, untilStats }) => {
      await untilStats(state.ring, ({ total }) => total.packets >= 1_500)
      const [incident] = state.ring.incidents
      const report = (await incident?.resolve()) as IncidentReport
      gc?.()
      await state.ring.close()
      const { warnings, stats, events } = state
      return { report, state: { warnings, stats, events } }
    })
    const counters = countersOf(pair.here)

    await t.test('one warning, with the remedy, which tells of the filter, too', async (t) => {
      t.match(state.warnings, [
        { code: 'ERR_PCAP_PERMISSION', message: /CAP_NET_RAW.*setcap.*--cap-add.*root.*filter is not applied/ },
      ])
      t.equal(state.warnings.length, 1)
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
    await t.test('all of it is collected, and the process ends as it should', async (t) => {
      const left = await host.call<State, { made: number; collected: number }>(async ({ state }) => {
        state.ring = null as never
        // What is collected is finalised in a later turn.
        for (let i = 0; i < 100 && state.collected < state.made; i++) {
          gc?.()
          await new Promise((resolve) => setImmediate(resolve))
        }
        gc?.()
        return { made: state.made, collected: state.collected }
      })
      t.same(left, { made: 3, collected: 3 }, 'the ring that was refused, the ring, its incident')
      t.same(await host.exit(), { status: 0, signal: null, stdout: '', stderr: '' })
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

test('with too little room no incident begins', { skip }, async (t) => {
  const root = installedCopy(t)
  const pair = makePair(t)
  const directory = openDirectory(t)
  const host = await Host.start(t, { netns: pair.here.name, wrap: without['another user'], root })
  const options = { device: pair.here.device, directory, statsInterval: 50, minFree: 2 ** 50 }
  await host.call<State, string, PcapRingOptions>(startRing, options)
  const found = await host.call<State, { codes: string[]; state: string }>(async ({ state, untilStats }) => {
    const incident = state.ring.freeze()
    const codes = await Promise.all(
      [incident.flushed, incident.resolve()].map((promise) =>
        promise.then(
          () => 'fulfilled',
          ({ code }: { code: string }) => code,
        ),
      ),
    )
    await untilStats(state.ring, () => true)
    await state.ring.close()
    return { codes, state: incident.state }
  })
  t.same(found, { codes: ['ERR_PCAP_NO_SPACE', 'ERR_PCAP_NO_SPACE'], state: 'failed' })
  t.same(readdirSync(directory), [])
})

test('killed amid an incident: the next start tells of it, once', { skip }, async (t) => {
  const root = installedCopy(t)
  const pair = makePair(t)
  const directory = openDirectory(t)
  const options = { device: pair.here.device, directory, statsInterval: 50 }
  const startHost = async (): Promise<Host> => {
    const host = await Host.start(t, { netns: pair.here.name, wrap: without['another user'], root })
    t.equal(await host.call<State, string, PcapRingOptions>(startRing, options), 'statistics')
    return host
  }
  const host = await startHost()
  const frozenAt = await host.call<State, number>(async ({ state }) => {
    await state.ring.freeze({ id: 'x', reason: 'figures only', labels: { site: 'a' } }).flushed
    return Date.now()
  })
  await send(t, pair.there, { count: 100 }).sent
  await host.kill('SIGKILL')
  t.same(readdirSync(directory), ['incident_x.json.part'])

  await (await startHost()).kill('SIGKILL')
  t.same(readdirSync(directory), ['incident_x.json'])
  const text = readFileSync(join(directory, 'incident_x.json'), 'utf8')
  const report = JSON.parse(text) as IncidentReport
  t.match(report, {
    id: 'x',
    mode: 'statistics',
    recovered: true,
    file: null,
    packets: 0,
    reason: 'figures only',
    labels: { site: 'a' },
  })
  t.ok(Date.parse(report.frozenAt) <= frozenAt)
  await (await startHost()).kill('SIGKILL')
  t.equal(readFileSync(join(directory, 'incident_x.json'), 'utf8'), text)
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

for (const act of ['close()', 'process.exit()'] as const) {
  for (const kind of ['warning', 'start', 'flush'] as const) {
    test(`${act} in a listener of ${kind}`, { skip }, async (t) => {
      const root = installedCopy(t)
      const pair = makePair(t)
      const directory = openDirectory(t)
      const running = runHost(
        t,
        {
          netns: pair.here.name,
          wrap: without['another user'],
          root,
          nodeArgs: ['--unhandled-rejections=strict', '--expose-gc'],
        },
        async ({ PcapRing }, { act, kind, options }) => {
          const ring = new PcapRing(options)
          ring.on('warning', () => {})
          ring.on('start', () => ring.freeze({ id: 'x' }))
          ring.on(kind, async () => {
            if (act === 'process.exit()') process.exit(3)
            await ring.close()
            gc?.()
            console.log(ring.mode)
          })
          // Called from the warning, close() comes before the ring is started.
          const outcome = await ring.start().then(
            () => 'started',
            ({ code }) => code,
          )
          console.log(outcome)
        },
        { act, kind, options: { device: pair.here.device, directory } },
      )
      const { stdout, ...how } = await running.ended
      t.same(how, { status: act === 'close()' ? 0 : 3, signal: null, stderr: '' })
      if (act === 'close()') {
        t.same(
          stdout.trimEnd().split('\n').sort(),
          [kind === 'warning' ? 'ERR_PCAP_CLOSED' : 'started', 'closed'].sort(),
        )
      }
      t.same(readdirSync(directory), kind === 'warning' ? [] : ['incident_x.json'])
    })
  }
}

test('CAP_NET_RAW alone is enough', { skip }, async (t) => {
  const root = installedCopy(t)
  const pair = makePair(t)
  const directory = openDirectory(t)
  const wrap = ['setpriv', ...nobody, '--inh-caps=+net_raw', '--ambient-caps=+net_raw', '--bounding-set=-all,+net_raw']
  const host = await Host.start(t, { netns: pair.here.name, wrap, root })
  const rights = await host.call<State, string[]>(({ require }) => {
    const { readFileSync } = require('node:fs') as typeof import('node:fs')
    return (readFileSync('/proc/self/status', 'utf8').match(/^(Uid|Gid|Groups|Cap...):.*$/gm) ?? []).map((line) =>
      line.replace(/\s+/g, ' ').trim(),
    )
  })
  const netRaw = '0000000000002000'
  t.same(rights, [
    'Uid: 65534 65534 65534 65534',
    'Gid: 65534 65534 65534 65534',
    'Groups:',
    ...['Inh', 'Prm', 'Eff', 'Bnd', 'Amb'].map((which) => `Cap${which}: ${netRaw}`),
  ])
  const options: PcapRingOptions = { device: pair.here.device, directory, filter: 'udp', fallback: false }
  t.equal(await host.call<State, string, PcapRingOptions>(startRing, options), 'capture')
  await send(t, pair.there, { count: 700 }).sent
  await host.call<State, unknown>(
    ({ state }) => state.ring.freeze({ resolution: { packets: 50, duration: '10s' } }).flushed,
  )
  await send(t, pair.there, { count: 400, first: 700 }).sent
  await host.call<State, void>(({ state }) => {
    state.report = state.ring.incidents[0]?.resolve()
  })
  await send(t, pair.there, { count: 100, first: 1_100 }).sent
  const report = (await host.call<State, IncidentReport | undefined>(({ state }) => state.report)) as IncidentReport
  const { warnings, events } = await host.call<State, Pick<State, 'warnings' | 'events'>>(async ({ state }) => {
    await state.ring.close()
    return { warnings: state.warnings, events: state.events }
  })
  t.same({ warnings, events }, { warnings: [], events: ['freeze', 'flush', 'resolve'] })
  const { frames, wrong } = readEvidence(report)
  t.same(wrong, [])
  t.same(sizes(report), { 'pre-buffer': 500, attack: 400, resolution: 50 })
  t.same(jumps(frames), [])
  t.match(report, { mode: 'capture', error: null, loss: { kernel: 0, interface: 0, writer: 0 } })
})
