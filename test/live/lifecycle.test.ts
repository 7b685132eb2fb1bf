// Every way a host can end: the process ends, too, and its files are whole.

import { readdirSync } from 'node:fs'
import { type Test, test } from 'tap'
import { ScriptTarget, transpile } from 'typescript'

import type { IncidentReport, PcapRing } from '../../src/index.js'
import { jumps, nsOf, readEvidence, sizes } from '../support/evidence.js'
import { type Ended, Host, runHost } from '../support/host.js'
import { judgeFiles, reportsIn } from '../support/incident-files.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

/** What the host's next life begins with. */
async function startOnce(t: Test, netns: string, options: object): Promise<void> {
  const next = await Host.start(t, { netns })
  await next.call<unknown, void, object>(async ({ PcapRing }, options) => {
    const ring = new PcapRing(options)
    await ring.start()
    await ring.close()
  }, options)
}

const fine = { status: 0, signal: null, stderr: '' }

for (const latency of [100, 1_000]) {
  for (const incidents of [0, 2]) {
    test(`closed on an idle device, latency ${latency} ms, ${incidents} incidents open`, { skip }, async (t) => {
      const { here } = makePair(t)
      const options = { device: here.device, directory: t.testdir({}), latency }
      const running = runHost(
        t,
        { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] },
        async ({ PcapRing, once }, { incidents, ...options }) => {
          const ring = new PcapRing(options)
          await ring.start()
          await once(ring, 'stats')
          if (incidents > 0) await ring.freeze({ id: 'one' }).flushed
          // The latest moment there is: its boundary is still to be crossed.
          if (incidents > 0) ring.capture({ id: 'two' })
          const start = process.hrtime.bigint()
          await ring.close()
          console.log(Number(process.hrtime.bigint() - start) / 1e6)
        },
        { ...options, incidents },
      )
      const { stdout, ...how } = await running.ended
      t.same(how, fine)
      // latency + 1 s, threefold.
      t.ok(Number(stdout) < 3 * (latency + 1_000), `close() took ${stdout} ms`)
      const reports = reportsIn(t, options.directory)
      t.same(
        reports.map(({ id, error, packets }) => [id, error, packets]),
        ['one', 'two'].slice(0, incidents).map((id) => [id, null, 0]),
      )
      judgeFiles(t, reports)
    })
  }
}

const quick: [what: string, script: Parameters<typeof runHost<object>>[2]][] = [
  [
    'close() in the tick of start()',
    async ({ PcapRing }, options) => {
      const ring = new PcapRing(options)
      const started = ring.start().then(
        () => 'started',
        ({ code }) => code,
      )
      const closed = ring.close()
      console.log(await started, (await closed) === undefined, ring.close() === closed, ring.mode)
    },
  ],
  [
    'close() before start()',
    async ({ PcapRing }, options) => {
      const ring = new PcapRing(options)
      await ring.close()
      const started = ring.start().then(
        () => 'started',
        ({ code }) => code,
      )
      console.log(await started, true, true, ring.mode)
    },
  ],
  [
    'close() in the tick of start(), and nothing awaited',
    ({ PcapRing }, options) => {
      const ring = new PcapRing(options)
      void ring.start()
      void ring.close()
      void ring.close()
      let closes = 0
      ring.on('close', () => void closes++)
      process.on('exit', () => {
        ring.start().catch(({ code }) => console.log(code, closes === 1, true, ring.mode))
      })
    },
  ],
]
for (const [what, script] of quick) {
  test(what, { skip }, async (t) => {
    const { here } = makePair(t)
    const options = { device: here.device, directory: t.testdir({}) }
    const running = runHost(t, { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] }, script, options)
    t.same(await running.ended, { ...fine, stdout: 'ERR_PCAP_CLOSED true true closed\n' })
    t.same(readdirSync(options.directory), [])
  })
}

test('unref: a started ring does not keep the process', { skip }, async (t) => {
  const { here } = makePair(t)
  for (const when of ['before', 'after']) {
    const running = runHost(
      t,
      { netns: here.name },
      async ({ PcapRing }, { when, ...options }) => {
        const ring = new PcapRing(options)
        if (when === 'before') {
          ring.unref()
          await ring.start()
        } else {
          await ring.start()
          ring.ref().unref()
        }
        console.log(ring.mode)
      },
      { when, device: here.device, directory: t.testdir({}) },
    )
    t.same(await running.ended, { ...fine, stdout: 'capture\n' }, when)
  }
})

/** What ends the host while it records, as it is called there. `how`: as the process is expected to end. */
const ends: { what: string; how: Partial<Ended>; end: Parameters<typeof runHost<object>>[2] }[] = [
  {
    what: 'close()',
    how: fine,
    end: ({ state }) => (state.ring as PcapRing).close(),
  },
  {
    what: 'close(), twice, and nothing awaited',
    how: fine,
    end: ({ state }) => {
      void (state.ring as PcapRing).close()
      void (state.ring as PcapRing).close()
    },
  },
  {
    what: 'asyncDispose',
    how: fine,
    end: ({ state }) => (state.ring as AsyncDisposable)[Symbol.asyncDispose](),
  },
  {
    what: 'unref(), and the end of all else',
    how: fine,
    end: ({ state }) => {
      ;(state.ring as PcapRing).unref()
    },
  },
  { what: 'process.exit()', how: { status: 3, signal: null }, end: () => process.exit(3) },
  {
    what: 'an error that nobody catches',
    how: { status: 1, signal: null },
    end: () => {
      setImmediate(() => {
        throw new Error("the host's own")
      })
    },
  },
  {
    what: 'a listener that throws',
    how: { status: 1, signal: null },
    end: ({ state }) => {
      ;(state.ring as NodeJS.EventEmitter).on('stats', () => {
        throw new Error("the host's own")
      })
    },
  },
  {
    what: 'a listener that rejects',
    how: { status: 1, signal: null },
    end: ({ state }) => {
      ;(state.ring as NodeJS.EventEmitter).on('stats', async () => {
        throw new Error("the host's own")
      })
    },
  },
]
for (const { what, how, end } of ends) {
  test(`${what} with incidents open`, { skip }, async (t) => {
    const { here, there } = makePair(t)
    const directory = t.testdir({})
    const running = runHost(
      t,
      { netns: here.name },
      async (api, { options, source }) => {
        const ring = new api.PcapRing(options)
        api.state.ring = ring
        await ring.start()
        await api.untilStats(ring, (stats) => stats.ring?.packets === 500)
        const [one, two] = [ring.freeze({ id: 'one' }), ring.capture({ id: 'two', cap: { packets: 1_000_000 } })]
        await Promise.all([one.flushed, two.flushed])
        await api.untilStats(ring, () => one.packets > 700)
        console.log('recording')
        const end = new Function(`return ${source}`)() as (given: typeof api) => unknown
        await end(api)
      },
      { options: { device: here.device, directory, statsInterval: 50 }, source: end.toString() },
    )
    const sending = send(t, there, { count: 20_000, pps: 2_000 })
    await running.until(/recording/)
    t.match(await running.ended, how)
    await sending.stop()
    const reports = reportsIn(t, directory)
    t.same(
      reports.map(({ id }) => id),
      ['one', 'two'],
    )
    judgeFiles(t, reports)
    for (const report of reports) t.match(report, { error: null, capped: null })
    t.equal(sizes(reports[0] as IncidentReport)['pre-buffer'], 500)
    t.same(Object.keys(sizes(reports[1] as IncidentReport)), ['capture'])
  })
}

test('await using, with an incident open', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  // This language's newest: Node 20 is given what it is compiled to, with its helpers.
  const source = transpile(
    `async function run({ PcapRing, untilStats }, options) {
      let outside
      {
        await using ring = new PcapRing(options)
        outside = ring
        await ring.start()
        await untilStats(ring, (stats) => stats.ring.packets === 500)
        await ring.freeze({ id: 'x' }).flushed
        await untilStats(ring, () => ring.incidents[0].packets > 700)
      }
      console.log(outside.mode)
    }`,
    { target: ScriptTarget.ES2022 },
  )
  const run = new Function('api', 'options', `${source}\nreturn run(api, options)`) as () => unknown
  const options = { device: here.device, directory, statsInterval: 50 }
  const running = runHost(t, { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] }, run, options)
  const sending = send(t, there, { count: 20_000, pps: 2_000 })
  t.same(await running.ended, { ...fine, stdout: 'closed\n' })
  await sending.stop()
  const reports = reportsIn(t, directory)
  t.same(
    reports.map(({ id, error }) => [id, error]),
    [['x', null]],
  )
  judgeFiles(t, reports)
  t.equal(sizes(reports[0] as IncidentReport)['pre-buffer'], 500)
})

test('close() at any moment of the start, again and again', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const sending = send(t, there, { count: 20_000 })
  const running = runHost(
    t,
    { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] },
    async ({ PcapRing }, options) => {
      const outcomes = new Set<string>()
      // More and more turns, until it takes no more for the ring to be started.
      for (let turns = 1, started = 0; started < 10; turns *= 1.3) {
        const ring = new PcapRing(options)
        const outcome = ring.start().then(
          () => 'started',
          ({ code }) => code,
        )
        for (let i = 0; i < turns && ring.mode === 'idle'; i++) await new Promise((resolve) => setImmediate(resolve))
        if (ring.mode === 'capture') {
          started++
          void ring.freeze()
        }
        await ring.close()
        outcomes.add(await outcome)
      }
      console.log([...outcomes].sort().join(' '))
    },
    { device: here.device, directory },
  )
  t.same(await running.ended, { ...fine, stdout: 'ERR_PCAP_CLOSED started\n' })
  await sending.stop()
  const reports = reportsIn(t, directory)
  t.equal(reports.length, 10)
  judgeFiles(t, reports)
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} to a host that does not listen for it: the next start recovers`, { skip }, async (t) => {
    const { here, there } = makePair(t)
    const options = { device: here.device, directory: t.testdir({}) }
    const running = runHost(
      t,
      { netns: here.name },
      async ({ PcapRing, once }, options) => {
        const ring = new PcapRing(options)
        await ring.start()
        await once(ring, 'stats')
        await ring.freeze({ id: 'x' }).flushed
        console.log('recording')
      },
      options,
    )
    const sending = send(t, there, { count: 5_000 })
    await running.until(/recording/)
    running.kill(signal)
    t.match(await running.ended, { status: null, signal }, 'the library installs no handler')
    await sending.stop()
    await startOnce(t, here.name, options)
    const [report] = reportsIn(t, options.directory)
    t.equal(report?.recovered, true)
    const { frames, wrong } = readEvidence(report as IncidentReport)
    t.same(wrong, [])
    t.same(jumps(frames), [])
  })
}

test('the event loop blocked for two seconds during an incident: nothing is lost', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const running = runHost(
    t,
    { netns: here.name },
    async ({ PcapRing, untilStats }, options) => {
      const ring = new PcapRing(options)
      await ring.start()
      await untilStats(ring, (stats) => stats.ring?.packets === 500)
      const incident = ring.freeze({ id: 'x' })
      await incident.flushed
      const end = Date.now() + 2_000
      while (Date.now() < end);
      await incident.resolve()
      await ring.close()
    },
    { device: here.device, directory, cap: { packets: 100_000 } },
  )
  const sending = send(t, there, { count: 80_000, pps: 5_000 })
  t.match(await running.ended, fine)
  await sending.stop()
  const [report] = reportsIn(t, directory) as [IncidentReport]
  const { frames, wrong } = readEvidence(report)
  t.same(wrong, [])
  t.same(jumps(frames), [])
  t.same(report.loss, { kernel: 0, interface: 0, writer: 0 })
  t.ok(report.duration >= 2_000)
  const { attack = 0, resolution } = sizes(report)
  t.ok(attack > 5_000, `${attack} frames`)
  // Numbered without a hole from before the freeze to behind the resolution: so none of the two seconds is missing.
  t.equal(resolution, 100)
  t.ok((frames[500 + attack - 1]?.time ?? 0n) <= nsOf(report.resolvedAt))
  t.ok((frames[500 + attack]?.time ?? 0n) >= nsOf(report.resolvedAt))
})
