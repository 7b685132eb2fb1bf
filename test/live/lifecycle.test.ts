// Every way a host can end: the process ends, too, and its files are whole.

import { readdirSync, readFileSync } from 'node:fs'
import { type Test, test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { jumps, readEvidence, sizes } from '../support/evidence.js'
import { type Ended, Host, runHost } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { frameOf, noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

/** Of incident files; what else is there is told under its own name. */
function reportsIn(t: Test, directory: string): IncidentReport[] {
  const names = readdirSync(directory).sort()
  const ids = names.filter((name) => name.endsWith('.json')).map((name) => name.slice('incident_'.length, -5))
  t.same(names, ids.flatMap((id) => [`incident_${id}.json`, `incident_${id}.pcap`]).sort(), 'whole files only')
  return ids.map((id) => JSON.parse(readFileSync(`${directory}/incident_${id}.json`, 'utf8')) as IncidentReport)
}

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

test('closed on an idle device, the process ends by itself', { skip }, async (t) => {
  const { here } = makePair(t)
  const options = { device: here.device, directory: t.testdir({}) }
  const { ended } = runHost(
    t,
    { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] },
    async ({ PcapRing, once }, options) => {
      const ring = new PcapRing(options)
      await ring.start()
      await once(ring, 'stats')
      const start = process.hrtime.bigint()
      await ring.close()
      console.log(Number(process.hrtime.bigint() - start) / 1e6)
    },
    options,
  )
  const { stdout, ...how } = await ended
  t.same(how, fine)
  // latency + 1 s, threefold.
  t.ok(Number(stdout) < 3_300, `close() took ${stdout} ms`)
})

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
    'start() aborted, then closed',
    async ({ PcapRing }, options) => {
      const ring = new PcapRing(options)
      const stop = new AbortController()
      const started = ring.start({ signal: stop.signal }).then(
        () => 'started',
        (error) => (error === stop.signal.reason ? 'ERR_PCAP_CLOSED' : error),
      )
      stop.abort()
      const outcome = await started
      const { mode } = ring
      await ring.close()
      console.log(outcome, true, mode === 'idle', ring.mode)
    },
  ],
]
for (const [what, script] of quick) {
  test(what, { skip }, async (t) => {
    const { here } = makePair(t)
    const options = { device: here.device, directory: t.testdir({}) }
    const running = runHost(t, { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] }, script, options)
    t.same(await running.ended, { ...fine, stdout: 'ERR_PCAP_CLOSED true true closed\n' })
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
    end: ({ state }) => (state.ring as AsyncDisposable & { close(): Promise<void> }).close(),
  },
  {
    what: 'asyncDispose',
    how: fine,
    end: ({ state }) => (state.ring as AsyncDisposable)[Symbol.asyncDispose](),
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
    for (const report of reports) {
      const { frames, wrong } = readEvidence(report)
      t.same(wrong, [])
      t.same(jumps(frames), [])
      t.match(report, { error: null, capped: null, loss: { kernel: 0, interface: 0, writer: 0 } })
      t.equal(report.recovered, false)
    }
    t.equal(sizes(reports[0] as IncidentReport)['pre-buffer'], 500)
    t.same(Object.keys(sizes(reports[1] as IncidentReport)), ['capture'])
  })
}

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
    t.same(readEvidence(report as IncidentReport).wrong, [])
  })
}

test('main thread and workers at once, one of them terminated while it records', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const running = runHost(
    t,
    { netns: here.name },
    async ({ PcapRing, untilStats, once, require }, options) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const inWorker = `
        const { parentPort, workerData } = require('node:worker_threads')
        const { PcapRing } = require(process.env.PCAP_RING_ROOT + '/lib/index.js')
        ;(async () => {
          const ring = new PcapRing(workerData.options)
          await ring.start()
          await new Promise((resolve) => {
            ring.on('stats', (stats) => stats.ring.packets === 500 && resolve())
          })
          const incident = ring.freeze({ id: workerData.id })
          await incident.flushed
          parentPort.postMessage('recording')
          parentPort.once('message', async (what) => {
            if (what === 'throw') throw new Error('in the worker')
            await incident.resolve()
            await ring.close()
            parentPort.postMessage('closed')
          })
        })()`
      const workers = ['terminated', 'thrown', 'resolved'].map(
        (id) => new Worker(inWorker, { eval: true, workerData: { options, id } }),
      )
      const ring = new PcapRing(options)
      await ring.start()
      await untilStats(ring, (stats) => stats.ring?.packets === 500)
      const incident = ring.freeze({ id: 'main' })
      await Promise.all([incident.flushed, ...workers.map((worker) => once(worker, 'message'))])
      const [terminated, thrown, resolved] = workers as [(typeof workers)[0], (typeof workers)[0], (typeof workers)[0]]
      const code = await terminated.terminate()
      const failed = once(thrown, 'error')
      thrown.postMessage('throw')
      const [error] = (await failed) as [Error]
      const ended = [once(resolved, 'exit'), once(resolved, 'message')]
      resolved.postMessage('resolve')
      await Promise.all(ended.slice(1))
      resolved.postMessage('end')
      await resolved.terminate()
      await untilStats(ring, () => incident.packets > 1_000)
      await incident.resolve()
      await ring.close()
      console.log(code, error.message)
    },
    { device: here.device, directory, statsInterval: 50, kernelBuffer: 8 * 1024 * 1024 },
  )
  const sending = send(t, there, { count: 40_000, pps: 2_000 })
  t.same(await running.ended, { ...fine, stdout: '1 in the worker\n' })
  await sending.stop()
  const reports = reportsIn(t, directory)
  t.same(reports.map(({ id }) => id).sort(), ['main', 'resolved', 'terminated', 'thrown'])
  for (const report of reports) {
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [], report.id)
    t.same(jumps(frames), [], report.id)
    t.equal(report.error, null)
    t.equal(sizes(report)['pre-buffer'], 500)
  }
})

test('a worker terminated inside a listener takes nobody with it', { skip }, async (t) => {
  const { here } = makePair(t)
  const directory = t.testdir({})
  const running = runHost(
    t,
    { netns: here.name },
    async ({ once, require }, options) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const inWorker = `
        const { parentPort, workerData } = require('node:worker_threads')
        const { PcapRing } = require(process.env.PCAP_RING_ROOT + '/lib/index.js')
        const ring = new PcapRing(workerData)
        ring.on('flush', () => {
          parentPort.postMessage('busy')
          for (;;);
        })
        ring.start().then(() => ring.freeze({ id: 'x' }))`
      const worker = new Worker(inWorker, { eval: true, workerData: options })
      await once(worker, 'message')
      console.log(await worker.terminate())
    },
    { device: here.device, directory },
  )
  t.same(await running.ended, { ...fine, stdout: '1\n' })
  t.same(
    reportsIn(t, directory).map(({ id, error }) => [id, error]),
    [['x', null]],
  )
})

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
  t.ok(frames.length > 500 + 5_000, `${frames.length} frames`)
})

test('two rings on one device, with filters and snaplens of their own', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const host = await Host.start(t, { netns: here.name })
  interface State {
    rings: InstanceType<typeof import('../../src/index.js').PcapRing>[]
  }
  await host.call<State, void, object[]>(
    async ({ PcapRing, state }, all) => {
      state.rings = all.map((options) => new PcapRing(options))
      await Promise.all(state.rings.map((ring) => ring.start()))
    },
    [{ snaplen: 64 }, { filter: 'greater 500' }].map((more) => ({
      device: here.device,
      directory: t.testdir({}),
      ...more,
    })),
  )
  await send(t, there, { count: 200, size: 400 }).sent
  await send(t, there, { count: 100, first: 200, size: 600 }).sent
  const reports = await host.call<State, IncidentReport[]>(({ state }) =>
    Promise.all(
      state.rings.map(async (ring) => {
        const report = await ring.freeze({ resolution: { packets: 0 } }).resolve()
        await ring.close()
        return report
      }),
    ),
  )
  const [cut, filtered] = reports.map((report) => readEvidence(report).frames)
  t.equal(cut?.length, 300)
  t.ok(cut?.every(({ caplen }) => caplen === 64))
  t.same(
    filtered?.map(({ data }) => frameOf(data).number),
    Array.from({ length: 100 }, (_, i) => 200 + i),
  )
  t.ok(filtered?.every(({ caplen }) => caplen === 600))
})

test('a start, an incident and a close leave nothing in the process', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const host = await Host.start(t, { netns: here.name, nodeArgs: ['--expose-gc'] })
  const sending = send(t, there, { count: 20_000 })
  const found = await host.call<unknown, { fd: number; task: number }[], object>(
    async ({ PcapRing, require }, options) => {
      const { readdirSync } = require('node:fs') as typeof import('node:fs')
      const found: { fd: number; task: number }[] = []
      for (let i = 0; i < 15; ++i) {
        const ring = new PcapRing(options)
        await ring.start()
        const incident = ring.freeze({ resolution: { packets: 0 } })
        await incident.resolve()
        await ring.close()
        gc?.()
        if (i >= 3) found.push({ fd: readdirSync('/proc/self/fd').length, task: readdirSync('/proc/self/task').length })
      }
      return found
    },
    { device: here.device, directory: t.testdir({}) },
  )
  await sending.stop()
  t.equal(new Set(found.map((one) => JSON.stringify(one))).size, 1, JSON.stringify(found))
})
