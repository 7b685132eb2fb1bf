// The signals of start() and of capture(), aborted at every moment: each in a process, which then ends by itself.

import { readdirSync } from 'node:fs'
import { test } from 'tap'

import type { PcapRingOptions } from '../../src/index.js'
import { type HostApi, runHost } from '../support/host.js'
import { judgeFiles, reportsIn } from '../support/incident-files.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

const fine = { status: 0, signal: null, stderr: '' }

type Script = (api: HostApi<Record<string, unknown>>, options: PcapRingOptions) => unknown

const starts: [what: string, script: Script][] = [
  [
    'aborted in the tick of start()',
    async ({ PcapRing }, options) => {
      const ring = new PcapRing(options)
      const stop = new AbortController()
      const started = ring.start({ signal: stop.signal }).then(
        () => 'started',
        (error) => (error === stop.signal.reason ? 'the reason' : error),
      )
      stop.abort()
      const outcome = await started
      const { mode } = ring
      await ring.close()
      console.log(outcome, mode, ring.mode)
    },
  ],
  [
    'aborted before start()',
    async ({ PcapRing }, options) => {
      const ring = new PcapRing(options)
      const signal = AbortSignal.abort()
      const outcome = await ring.start({ signal }).then(
        () => 'started',
        (error) => (error === signal.reason ? 'the reason' : error),
      )
      const { mode } = ring
      await ring.close()
      console.log(outcome, mode, ring.mode)
    },
  ],
  [
    'aborted while the ring starts, then started again',
    async ({ PcapRing, once, threads }, options) => {
      const ring = new PcapRing(options)
      const stop = new AbortController()
      const started = ring.start({ signal: stop.signal }).then(
        () => 'started',
        (error) => (error === stop.signal.reason ? 'the reason' : error),
      )
      // The capture thread is there by now, and opens the device.
      while (!threads().includes('pcap-ring'));
      stop.abort()
      const outcome = await started
      const { mode } = ring
      await ring.start()
      await once(ring, 'stats')
      await ring.close()
      console.log(outcome, mode, ring.mode)
    },
  ],
]
for (const [what, script] of starts) {
  test(`the signal of start() ${what}`, { skip }, async (t) => {
    const { here } = makePair(t)
    const directory = t.testdir({})
    const running = runHost(t, { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] }, script, {
      device: here.device,
      directory,
    })
    t.same(await running.ended, { ...fine, stdout: 'the reason idle closed\n' })
    t.same(readdirSync(directory), [])
  })
}

test('the signal of start() aborted once the ring is started: it goes on, and ends by itself', { skip }, async (t) => {
  const { here } = makePair(t)
  const directory = t.testdir({})
  const running = runHost(
    t,
    { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] },
    async ({ PcapRing, once }, options) => {
      const ring = new PcapRing(options)
      const stop = new AbortController()
      await ring.start({ signal: stop.signal })
      stop.abort()
      await once(ring, 'stats')
      const { mode } = ring
      await ring.close()
      console.log(mode)
    },
    { device: here.device, directory },
  )
  t.same(await running.ended, { ...fine, stdout: 'capture\n' })
  t.same(readdirSync(directory), [])
})

/** How a manual capture's signal is used there; the capture is to end by itself, the process with it. */
const aborts: [what: string, abort: Script][] = [
  [
    'in the midst of the capture',
    async ({ PcapRing, untilStats }, options) => {
      const ring = new PcapRing(options)
      await ring.start()
      const stop = new AbortController()
      const incident = ring.capture({ id: 'x', signal: stop.signal })
      await untilStats(ring, () => incident.packets >= 100)
      stop.abort()
      const { packets, capped } = await incident.finished
      await ring.close()
      console.log(packets >= 100, capped, ring.incidents.length)
    },
  ],
  [
    'before the capture',
    async ({ PcapRing, untilStats }, options) => {
      const ring = new PcapRing(options)
      await ring.start()
      await untilStats(ring, (stats) => (stats.ring?.packets ?? 0) >= 100)
      const { packets, capped } = await ring.capture({ id: 'x', signal: AbortSignal.abort() }).finished
      await ring.close()
      // Beginning and end are two moments, and a packet may pass between them.
      console.log(packets < 50, capped, ring.incidents.length)
    },
  ],
  [
    'after its end',
    async ({ PcapRing }, options) => {
      const ring = new PcapRing(options)
      await ring.start()
      const stop = new AbortController()
      const { packets } = await ring.capture({ id: 'x', signal: stop.signal, cap: { packets: 20 } }).finished
      stop.abort()
      await ring.close()
      console.log(packets === 20, null, ring.incidents.length)
    },
  ],
  [
    'after close()',
    async ({ PcapRing, untilStats }, options) => {
      const ring = new PcapRing(options)
      await ring.start()
      const stop = new AbortController()
      const incident = ring.capture({ id: 'x', signal: stop.signal })
      await untilStats(ring, () => incident.packets >= 100)
      const closed = ring.close()
      stop.abort()
      await closed
      const { packets, capped } = await incident.finished
      stop.abort()
      console.log(packets >= 100, capped, ring.incidents.length)
    },
  ],
]
for (const [what, abort] of aborts) {
  test(`the signal of a manual capture aborted ${what}`, { skip }, async (t) => {
    const { here, there } = makePair(t)
    const directory = t.testdir({})
    const sending = send(t, there, { count: 20_000 })
    const running = runHost(t, { netns: here.name, nodeArgs: ['--unhandled-rejections=strict'] }, abort, {
      device: here.device,
      directory,
      statsInterval: 50,
    })
    t.same(await running.ended, { ...fine, stdout: 'true null 0\n' })
    await sending.stop()
    const reports = reportsIn(t, directory)
    t.same(
      reports.map(({ id, error, kind }) => [id, error, kind]),
      [['x', null, 'manual']],
    )
    judgeFiles(t, reports)
  })
}
