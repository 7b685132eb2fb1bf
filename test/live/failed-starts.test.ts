// Starts that fail tell why, leave nothing behind, and spoil nothing.

import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { PcapRingOptions } from '../../src/index.js'
import { Host } from '../support/host.js'
import { down, makePair, noNamespaces, up } from '../support/netns.js'

const skip = noNamespaces

interface Failure {
  code: string
  message: string
  descriptors: number[]
  threads: number[]
  mode: string
}

/** Starts that way twenty times, then the right way, in one process. */
async function failTwenty(t: Test, netns: string, options: PcapRingOptions, good: PcapRingOptions): Promise<Failure> {
  const host = await Host.start(t, { netns, nodeArgs: ['--expose-gc'] })
  return host.call<unknown, Failure, { options: PcapRingOptions; good: PcapRingOptions }>(
    async ({ PcapRing, require }, { options, good }) => {
      const { readdirSync } = require('node:fs') as typeof import('node:fs')
      const count = (what: string): number => readdirSync(`/proc/self/${what}`).length
      const fail = async (ring: InstanceType<typeof PcapRing>): Promise<NodeJS.ErrnoException> => {
        try {
          await ring.start()
        } catch (error) {
          return error as NodeJS.ErrnoException
        }
        throw new Error('it started')
      }
      const again = new PcapRing(options)
      const { code, message } = await fail(again)
      // The first made what the process keeps.
      const descriptors = [count('fd')]
      const threads = [count('task')]
      for (let i = 0; i < 20; ++i) {
        const error = await fail(i % 2 === 0 ? again : new PcapRing(options))
        if (error.code !== code) throw new Error(`once ${code}, then ${error.code}`)
        if (i % 5 === 0) gc?.()
      }
      descriptors.push(count('fd'))
      threads.push(count('task'))
      const ring = new PcapRing(good)
      await ring.start()
      const { mode } = ring
      await ring.close()
      await again.close()
      gc?.()
      descriptors.push(count('fd'))
      threads.push(count('task'))
      return { code: code ?? '', message, descriptors, threads, mode }
    },
    { options, good },
  )
}

test('twenty failed starts, then a good one', { skip }, async (t) => {
  const pair = makePair(t)
  const { name, device } = pair.here
  const directory = t.testdir({ file: '' })
  const good = { device, directory: join(directory, 'captures') }
  const wrong: [what: string, options: PcapRingOptions, code: string, message: RegExp][] = [
    ['filter', { ...good, filter: 'udp prot 53' }, 'ERR_PCAP_BAD_FILTER', /udp prot 53/],
    ['no such device', { ...good, device: 'nosuch0' }, 'ERR_PCAP_NO_SUCH_DEVICE', /nosuch0.*\bhere0\b/],
    ['no default route', { directory: good.directory }, 'ERR_PCAP_NO_SUCH_DEVICE', /default route.*\bhere0\b/],
    ['directory', { ...good, directory: join(directory, 'file') }, 'ERR_PCAP_WRITE', /file/],
    ['directory below a file', { ...good, directory: join(directory, 'file', 'x') }, 'ERR_PCAP_WRITE', /file/],
  ]
  for (const [what, options, code, message] of wrong) {
    await t.test(what, async (t) => {
      const found = await failTwenty(t, name, options, good)
      t.equal(found.code, code)
      t.match(found.message, message)
      t.equal(found.mode, 'capture')
      t.equal(new Set(found.descriptors).size, 1, `descriptors ${found.descriptors}`)
      t.equal(new Set(found.threads).size, 1, `threads ${found.threads}`)
    })
  }
})

test('a device that is down at the start', { skip }, async (t) => {
  const pair = makePair(t)
  const { name, device } = pair.here
  const options = { device, directory: t.testdir({}) }
  down(pair.here)
  const host = await Host.start(t, { netns: name })
  const start = (): Promise<string> =>
    host.call<{ ring?: InstanceType<typeof import('../../src/index.js').PcapRing> }, string, PcapRingOptions>(
      async ({ PcapRing, state }, options) => {
        state.ring ??= new PcapRing(options)
        await state.ring.start()
        return state.ring.mode
      },
      options,
    )
  await t.rejects(start(), { code: 'ERR_PCAP_DEVICE_DOWN', message: /here0/ })
  await t.rejects(start(), { code: 'ERR_PCAP_DEVICE_DOWN' })
  up(pair.here)
  t.equal(await start(), 'capture', 'the same ring, once it is up')
})

test('concurrent starts share their failure, and the ring stays idle', { skip }, async (t) => {
  const pair = makePair(t)
  const host = await Host.start(t, { netns: pair.here.name })
  const found = await host.call<unknown, object, PcapRingOptions>(
    async ({ PcapRing }, options) => {
      const ring = new PcapRing(options)
      const both = await Promise.allSettled([ring.start(), ring.start()])
      const [first, second] = both.map((one) => (one.status === 'rejected' ? one.reason : null))
      let thrown: NodeJS.ErrnoException | null = null
      try {
        ring.freeze()
      } catch (error) {
        thrown = error as NodeJS.ErrnoException
      }
      const { mode } = ring
      await ring.close()
      return { name: first?.name, one: first === second, thrown: thrown?.code, mode, closed: ring.mode }
    },
    { device: pair.here.device, directory: t.testdir({}), filter: ')' },
  )
  t.same(found, { name: 'PcapRingError', one: true, thrown: 'ERR_PCAP_NOT_STARTED', mode: 'idle', closed: 'closed' })
})
