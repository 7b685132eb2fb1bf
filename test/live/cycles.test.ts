// Start, freeze, close, again and again: nothing is left in the process.

import { test } from 'tap'

import type { PcapRingOptions } from '../../src/index.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces } from '../support/netns.js'
import { notSanitized } from '../support/sanitizer.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

interface Left {
  descriptors: number
  threads: number
  /** KiB. */
  resident: number
  /** Of these, those that are no file's: what the kernel takes back of Node's own file hides no leak. */
  anonymous: number
}

const warmUps = 10
const cycles = 50
/** Of so many cycles at either end the smallest figure counts: what a collection has yet to free is no leak. */
const window = 5

test(`${cycles} cycles after ${warmUps}: descriptors, threads and memory`, { skip }, async (t) => {
  const { here, there } = makePair(t)
  // Without the optimising compiler: its first run takes 4 MiB of Node's own file into memory, at a moment of its own.
  const host = await Host.start(t, { netns: here.name, nodeArgs: ['--expose-gc', '--no-opt'] })
  const options: PcapRingOptions = {
    device: here.device,
    directory: t.testdir({}),
    statsInterval: 50,
    latency: 10,
    kernelBuffer: 8 * 1024 * 1024,
    resolution: { packets: 0 },
  }
  const some = (count: number): Promise<Left[]> =>
    host.call<unknown, Left[], { count: number; options: PcapRingOptions }>(
      async ({ PcapRing, untilStats, restingThreads, require }, { count, options }) => {
        const { readdirSync, readFileSync } = require('node:fs') as typeof import('node:fs')
        const memory = (name: string): number =>
          Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
        const found: Left[] = []
        for (let i = 0; i < count; ++i) {
          const ring = new PcapRing(options)
          await ring.start()
          // Packets are kept, and recorded before and after the freeze: 140 kB at least, which would show if left behind.
          await untilStats(ring, ({ ring }) => (ring?.packets ?? 0) >= 100)
          const incident = ring.freeze()
          await untilStats(ring, () => incident.packets >= 200)
          await ring.close()
          const { packets } = await incident.finished
          if (packets < 200) throw new Error(`${packets} packets`)
          // What one collection lets go is finalised in a later turn, and freed by the next.
          gc?.()
          await new Promise((resolve) => setImmediate(resolve))
          gc?.()
          const threads = (await restingThreads()).length
          found.push({
            descriptors: readdirSync('/proc/self/fd').length,
            threads,
            resident: memory('VmRSS'),
            anonymous: memory('RssAnon'),
          })
        }
        return found
      },
      { count, options },
    )
  const found: Left[] = []
  // The sender sends for at most 20 s, however slow this machine is.
  for (let left = warmUps + cycles; left > 0; left -= 10) {
    const sending = send(t, there, { count: 80_000, pps: 4_000, size: 1_400 })
    found.push(...(await some(Math.min(left, 10))))
    await sending.stop()
  }
  t.equal(found.length, warmUps + cycles)
  const after = found.slice(warmUps)
  for (const what of ['descriptors', 'threads'] as const) {
    t.same([...new Set(after.map((left) => left[what]))], [found[warmUps - 1]?.[what]], what)
  }
  await t.test('memory', { skip: notSanitized('its own memory grows along') }, async (t) => {
    for (const what of ['resident', 'anonymous'] as const) {
      const smallest = (some: Left[]): number => Math.min(...some.map((left) => left[what]))
      const before = smallest(found.slice(warmUps - window, warmUps))
      const grown = smallest(found.slice(-window)) - before
      t.comment(`${what}: ${before} KiB, and ${grown} KiB more after ${cycles} cycles`)
      t.ok(grown <= 2_048, `${what}: ${grown} KiB more: ${found.map((left) => left[what])}`)
    }
  })
})
