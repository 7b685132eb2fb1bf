// Workers that end in the middle of a replay: figures are on their way to them, and the process goes on.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { udpPackets } from '../support/generate.js'
import { runHost } from '../support/host.js'
import { recordingOf, scratch } from '../support/replay.js'

const workers = 48
const ends = ['terminated', 'throwing', 'exiting'] as const

function recording(t: Test): string {
  const file = join(scratch(t), 'x.pcap')
  writeFileSync(file, recordingOf(udpPackets({ pps: 1_000, count: 20_000 })))
  return file
}

for (const how of ends) {
  for (const pace of ['lockstep', 'recorded'] as const) {
    test(`${workers} workers ${how}, ${pace}`, async (t) => {
      const file = recording(t)
      const { ended } = runHost(
        t,
        {},
        async ({ PcapRing, once, require }, { workers, how, ...options }) => {
          const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
          const inWorker = `
            const { parentPort, workerData: { options, how, number } } = require('node:worker_threads')
            const { PcapRing } = require(process.env.PCAP_RING_ROOT + '/lib/index.js')
            const ring = new PcapRing(options)
            let boundaries = 0
            ring.on('stats', () => {
              if (++boundaries === 1) ring.freeze({ cap: { packets: 10 } })
              // Each at another moment.
              if (boundaries !== 1 + number % 4) return
              if (how === 'terminated') parentPort.postMessage('now')
              if (how === 'throwing') throw new Error('in the worker')
              if (how === 'exiting') process.exit(3)
            })
            ring.start()`
          const codes = new Set<unknown>()
          const one = async (number: number): Promise<void> => {
            const worker = new Worker(inWorker, { eval: true, workerData: { options, how, number } })
            worker.on('error', () => {})
            const exit = once(worker, 'exit')
            if (how === 'terminated') {
              await once(worker, 'message')
              await worker.terminate()
            }
            codes.add((await exit)[0])
          }
          let next = 0
          const lane = async (): Promise<void> => {
            while (next < workers) await one(next++)
          }
          await Promise.all([lane(), lane(), lane(), lane()])
          // The addon works on.
          const ring = new PcapRing({ ...options, pace: 'lockstep' })
          const end = once(ring, 'end')
          await ring.start()
          await end
          await ring.close()
          console.log(...codes)
        },
        { workers, how, file, pace, directory: join(scratch(t), 'captures'), statsInterval: 50 },
      )
      t.strictSame(await ended, { status: 0, signal: null, stdout: `${how === 'exiting' ? 3 : 1}\n`, stderr: '' })
    })
  }
}

test(`${workers} workers terminated in the middle of calls`, async (t) => {
  const { ended } = runHost(
    t,
    {},
    async ({ once, require }, { workers, ...options }) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const inWorker = `
        const { parentPort, workerData } = require('node:worker_threads')
        const { PcapRing } = require(process.env.PCAP_RING_ROOT + '/lib/index.js')
        const ring = new PcapRing(workerData)
        ring.start().then(() => {
          const first = ring.freeze()
          parentPort.postMessage('now')
          for (let i = 0; i < 20; i++) ring.freeze().resolve().catch(() => {})
          for (;;) first.packets
        })`
      for (let i = 0; i < workers; i++) {
        const worker = new Worker(inWorker, { eval: true, workerData: options })
        await once(worker, 'message')
        // Each at another moment.
        const until = performance.now() + (i % 8) / 8
        while (performance.now() < until);
        await worker.terminate()
      }
      console.log('done')
    },
    { workers, file: recording(t), directory: join(scratch(t), 'captures'), cap: { packets: 10 } },
  )
  t.strictSame(await ended, { status: 0, signal: null, stdout: 'done\n', stderr: '' })
})
