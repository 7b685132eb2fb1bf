// Starts that fail tell why, leave nothing behind, and spoil nothing.

import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { IncidentReport, PcapRing, PcapRingOptions } from '../../src/index.js'
import { readEvidence, sizes } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { down, makePair, noNamespaces, type Pair, up } from '../support/netns.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

interface Failure {
  code: string
  message: string
  descriptors: number[]
  threads: number[]
}

interface State {
  again: PcapRing | null
  ring: PcapRing | null
  made: number
  collected: number
  registry: FinalizationRegistry<null>
  count(failure: Pick<Failure, 'descriptors' | 'threads'>): Promise<void>
  failure: Failure
}

interface Wrong {
  options: PcapRingOptions
  code: string
  message: RegExp
  /** Makes it possible to start. */
  mend?(): void
}

/** Starts the wrong way twenty times, then the right way, in one process; then collects what is left of all of them. */
async function failTwenty(t: Test, pair: Pair, good: PcapRingOptions, wrong: Wrong): Promise<void> {
  const host = await Host.start(t, { netns: pair.here.name, nodeArgs: ['--expose-gc'] })
  const { code, message } = await host.call<State, Failure, PcapRingOptions>(
    async ({ PcapRing, state, require, restingThreads }, options) => {
      const { readdirSync } = require('node:fs') as typeof import('node:fs')
      state.made = 0
      state.collected = 0
      state.registry = new FinalizationRegistry(() => void state.collected++)
      state.count = async ({ descriptors, threads }) => {
        threads.push((await restingThreads()).length)
        descriptors.push(readdirSync('/proc/self/fd').length)
      }
      const make = (): PcapRing => {
        const ring = new PcapRing(options)
        state.made++
        state.registry.register(ring, null)
        return ring
      }
      const fail = async (ring: PcapRing): Promise<NodeJS.ErrnoException> => {
        try {
          await ring.start()
        } catch (error) {
          return error as NodeJS.ErrnoException
        }
        throw new Error('it started')
      }
      state.again = make()
      const { code = '', message } = await fail(state.again)
      state.failure = { code, message, descriptors: [], threads: [] }
      // The first made what the process keeps.
      await state.count(state.failure)
      for (let i = 0; i < 20; ++i) {
        const error = await fail(i % 2 === 0 ? state.again : make())
        if (error.code !== code) throw new Error(`once ${code}, then ${error.code}`)
        await state.count(state.failure)
        if (i % 5 === 0) gc?.()
      }
      return state.failure
    },
    wrong.options,
  )
  t.equal(code, wrong.code)
  t.match(message, wrong.message)

  wrong.mend?.()
  await host.call<State, void, PcapRingOptions>(async ({ PcapRing, state }, good) => {
    state.ring = new PcapRing(good)
    state.made++
    state.registry.register(state.ring, null)
    await state.ring.start()
  }, good)
  await send(t, pair.there, { count: 100 }).sent
  const report = await host.call<State, IncidentReport>(async ({ state }) => {
    const report = await (state.ring as PcapRing).freeze({ resolution: { packets: 0 } }).resolve()
    await state.ring?.close()
    await state.again?.close()
    await state.count(state.failure)
    state.ring = state.again = null
    return report
  })
  t.same(readEvidence(report).wrong, [])
  t.same(sizes(report), { 'pre-buffer': 100 }, 'the good ring captures')

  const left = await host.call<State, { made: number; collected: number; failure: Failure }>(async ({ state }) => {
    // What is collected is finalised in a later turn.
    for (let i = 0; i < 100 && state.collected < state.made; i++) {
      gc?.()
      await new Promise((resolve) => setImmediate(resolve))
    }
    gc?.()
    const { made, collected, failure } = state
    await state.count(failure)
    return { made, collected, failure }
  })
  t.equal(left.made, 12)
  t.equal(left.collected, left.made, 'nothing holds a ring')
  for (const what of ['descriptors', 'threads'] as const) {
    t.equal(new Set(left.failure[what]).size, 1, `${what} ${left.failure[what]}`)
  }
  t.same(await host.exit(), { status: 0, signal: null, stdout: '', stderr: '' })
}

const wrongs: Record<string, (good: PcapRingOptions & { directory: string }, pair: Pair) => Wrong> = {
  filter: (good) => ({
    options: { ...good, filter: 'udp prot 53' },
    code: 'ERR_PCAP_BAD_FILTER',
    message: /udp prot 53/,
  }),
  'no such device': (good) => ({
    options: { ...good, device: 'nosuch0' },
    code: 'ERR_PCAP_NO_SUCH_DEVICE',
    message: /nosuch0.*\bhere0\b/,
  }),
  'no default route': ({ directory }) => ({
    options: { directory },
    code: 'ERR_PCAP_NO_SUCH_DEVICE',
    message: /default route.*\bhere0\b/,
  }),
  'device down': (good, { here }) => {
    down(here)
    return { options: good, code: 'ERR_PCAP_DEVICE_DOWN', message: /here0/, mend: () => up(here) }
  },
  directory: (good) => ({
    options: { ...good, directory: join(good.directory, '../file') },
    code: 'ERR_PCAP_WRITE',
    message: /file/,
  }),
  'directory below a file': (good) => ({
    options: { ...good, directory: join(good.directory, '../file/x') },
    code: 'ERR_PCAP_WRITE',
    message: /file/,
  }),
}

for (const [what, wrong] of Object.entries(wrongs)) {
  test(`twenty failed starts, then a good one: ${what}`, { skip }, async (t) => {
    const pair = makePair(t)
    const good = { device: pair.here.device, directory: join(t.testdir({ file: '' }), 'captures') }
    await failTwenty(t, pair, good, wrong(good, pair))
  })
}

test('a device that is down at the start', { skip }, async (t) => {
  const pair = makePair(t)
  const { name, device } = pair.here
  const options = { device, directory: t.testdir({}) }
  down(pair.here)
  const host = await Host.start(t, { netns: name })
  const start = (): Promise<string> =>
    host.call<{ ring?: PcapRing }, string, PcapRingOptions>(async ({ PcapRing, state }, options) => {
      state.ring ??= new PcapRing(options)
      await state.ring.start()
      return state.ring.mode
    }, options)
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
