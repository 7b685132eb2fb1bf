// Rings of the main thread and of workers, at once: each ends with its own thread, and takes nobody with it.

import { test } from 'tap'

import { sizes } from '../support/evidence.js'
import { runHost } from '../support/host.js'
import { judgeFiles, reportsIn } from '../support/incident-files.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

const fine = { status: 0, signal: null, stderr: '' }

test('main thread and workers at once: one terminated while it records, one throwing, one at its end', {
  skip,
}, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const running = runHost(
    t,
    { netns: here.name },
    async ({ PcapRing, untilStats, once, require, restingThreads }, options) => {
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
            // Nothing keeps this worker now: it ends by itself.
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
      const exit = once(resolved, 'exit')
      resolved.postMessage('resolve')
      const [ended] = await exit
      await untilStats(ring, () => incident.packets > 1_000)
      await incident.resolve()
      await ring.close()
      const left = (await restingThreads()).filter((name) => name.startsWith('pcap-ring'))
      console.log(JSON.stringify({ code, message: error.message, ended, left }))
    },
    { device: here.device, directory, statsInterval: 50, kernelBuffer: 8 * 1024 * 1024 },
  )
  const sending = send(t, there, { count: 40_000, pps: 2_000 })
  const { stdout, ...how } = await running.ended
  await sending.stop()
  t.same(how, fine)
  t.same(JSON.parse(stdout), { code: 1, message: 'in the worker', ended: 0, left: [] })
  const reports = reportsIn(t, directory)
  t.same(reports.map(({ id }) => id).sort(), ['main', 'resolved', 'terminated', 'thrown'])
  judgeFiles(t, reports)
  for (const report of reports) {
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

test("process.exit() in a worker's listener ends the worker alone, its incident complete", { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const running = runHost(
    t,
    { netns: here.name },
    async ({ PcapRing, untilStats, once, require }, options) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const inWorker = `
        const { PcapRing } = require(process.env.PCAP_RING_ROOT + '/lib/index.js')
        const ring = new PcapRing(require('node:worker_threads').workerData)
        ring.on('flush', () => process.exit(5))
        ring.on('stats', (stats) => {
          if (stats.ring.packets === 500 && ring.incidents.length === 0) ring.freeze({ id: 'worker' })
        })
        ring.start()`
      const ring = new PcapRing(options)
      await ring.start()
      await untilStats(ring, (stats) => stats.ring?.packets === 500)
      const incident = ring.freeze({ id: 'main' })
      const worker = new Worker(inWorker, { eval: true, workerData: options })
      const [code] = await once(worker, 'exit')
      const then = incident.packets
      await untilStats(ring, () => incident.packets > then + 200)
      await ring.close()
      console.log(code)
    },
    { device: here.device, directory, statsInterval: 50, kernelBuffer: 8 * 1024 * 1024 },
  )
  const sending = send(t, there, { count: 40_000, pps: 2_000 })
  t.same(await running.ended, { ...fine, stdout: '5\n' })
  await sending.stop()
  const reports = reportsIn(t, directory)
  t.same(
    reports.map(({ id, error }) => [id, error]),
    [
      ['main', null],
      ['worker', null],
    ],
  )
  judgeFiles(t, reports)
})
