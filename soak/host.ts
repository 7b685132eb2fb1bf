// What the host of the soak does: functions that are handed to it as text (test/support/host.ts), so that they see their arguments only.

import type { IncidentReport, PcapRing, PcapRingOptions } from '../src/index.js'
import type { HostApi } from '../test/support/host.js'

export interface State {
  ring: PcapRing
  events: Record<string, number>
}
type Api = HostApi<State>

export async function start({ PcapRing, state }: Api, options: PcapRingOptions): Promise<void> {
  state.ring = new PcapRing(options)
  state.events = {}
  const count = (name: string): void => {
    state.events[name] = (state.events[name] ?? 0) + 1
  }
  for (const name of ['down', 'up', 'onset', 'expire'] as const) state.ring.on(name, () => count(name))
  state.ring.on('warning', ({ code }) => count(`warning ${code}`))
  state.ring.on('error', ({ code }) => count(`error ${code}`))
  await state.ring.start()
}

/** An incident that is open for so long. */
export async function incident({ state }: Api, ms: number): Promise<IncidentReport> {
  const incident = state.ring.freeze({ reason: 'soak' })
  await new Promise((resolve) => setTimeout(resolve, ms))
  return incident.resolve()
}

/** A worker with a ring of its own, which is closed before it ends, or goes with it. */
export async function worker({ require }: Api, arg: { options: PcapRingOptions; closes: boolean }): Promise<void> {
  const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
  const body = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { PcapRing } = require(process.env.PCAP_RING_ROOT + '/lib/index.js')
    ;(async () => {
      const ring = new PcapRing(workerData.options)
      await ring.start()
      const incident = ring.freeze({ resolution: { packets: 0 } })
      await new Promise((resolve) => setTimeout(resolve, 300))
      if (workerData.closes) {
        await incident.resolve()
        await ring.close()
      }
      parentPort.postMessage('done')
      if (!workerData.closes) setInterval(() => {}, 1000)
    })()`
  const worker = new Worker(body, { eval: true, workerData: arg })
  await new Promise<void>((resolve, reject) => {
    worker.on('error', reject)
    worker.on('message', resolve)
  })
  await worker.terminate()
}

export interface Census {
  /** KiB of the process that are no file's. */
  anonymous: number
  /** KiB of Node's heap in use. */
  heap: number
  descriptors: number
  threads: number
}

/** What the process holds, at rest. */
export async function census({ require, restingThreads }: Api): Promise<Census> {
  const { readdirSync, readFileSync } = require('node:fs') as typeof import('node:fs')
  // What one collection lets go is finalised in a later turn, and freed by the next.
  for (let i = 0; i < 3; ++i) {
    gc?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const threads = (await restingThreads()).length
  const status = readFileSync('/proc/self/status', 'utf8')
  return {
    anonymous: Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]),
    heap: Math.round(process.memoryUsage().heapUsed / 1024),
    descriptors: readdirSync('/proc/self/fd').length,
    threads,
  }
}

export async function finish({ state }: Api): Promise<Record<string, number>> {
  await state.ring.close()
  return state.events
}
