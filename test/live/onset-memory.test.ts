// What a ring at its defaults adds to the memory of its host, the kernel's buffer included: calm, and with an onset kept.
//
//   npm test -- test/live/onset-memory.test.ts
//
// Resident memory of a host with a ring, less that of a host that has loaded the library and done nothing with it; both
// after a collection of garbage, each the least of several readings. V8 keeps pages that hold nothing, more or fewer from
// run to run: its heap counts by what is in it. Pages of Node's and the system's own code, which all processes share, come
// with whatever a program does first: they are told beside it.

import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { type Test, test } from 'tap'

import type { PcapRing } from '../../src/index.js'
import { Host } from '../support/host.js'
import { makeNamespace, noNamespaces, sh } from '../support/netns.js'
import { notSanitized } from '../support/sanitizer.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender || notSanitized('memory is not what it is without')
const miB = 1024 * 1024

interface State {
  ring: PcapRing
  onsets: number
}

interface Resident {
  /** All, but for `shared`. */
  own: number
  /** The kernel's buffer, which is mapped. */
  packets: number
  /** Code and constants of files that are not ours. */
  shared: number
}

function residentOf(pid: number): Resident {
  const found = { own: 0, packets: 0, shared: 0 }
  let kind: keyof Resident = 'own'
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const [, name] = /^[0-9a-f]+-[0-9a-f]+ (?:\S+ +){4}(.*)$/.exec(line) ?? []
    if (name?.startsWith('socket:')) kind = 'packets'
    else if (name !== undefined) kind = name.startsWith('/') && !/pcap/.test(name) ? 'shared' : 'own'
    const [, kiB] = /^Rss: +(\d+) kB$/.exec(line) ?? []
    found[kind] += Number(kiB ?? 0) * 1024
  }
  return { ...found, own: found.own + found.packets }
}

async function settled(host: Host): Promise<Resident> {
  let least: Resident = { own: Infinity, packets: 0, shared: 0 }
  for (let i = 0; i < 5; ++i) {
    const idle = await host.call<State, number>(() => {
      gc?.()
      const { heapTotal, heapUsed } = process.memoryUsage()
      return heapTotal - heapUsed
    })
    const now = residentOf(host.pid)
    if (now.own - idle < least.own) least = { ...now, own: now.own - idle }
    await wait(20)
  }
  return least
}

async function started(t: Test, netns: string): Promise<Host> {
  const host = await Host.start(t, { netns, nodeArgs: ['--expose-gc'] })
  await host.call<State, void>(({ devices }) => {
    devices()
  })
  return host
}

for (const { size, calm, flood } of [
  { size: 64, calm: 1_000, flood: 50_000 },
  { size: 1_514, calm: 1_000, flood: 50_000 },
  { size: 65_536, calm: 500, flood: 10_000 },
]) {
  test(`${size} bytes`, { skip }, async (t) => {
    const name = makeNamespace(t)
    sh('ip', '-n', name, 'link', 'set', 'lo', 'mtu', '65536')
    const device = { name, device: 'lo' }
    const [without, host] = await Promise.all([started(t, name), started(t, name)])
    await host.call<State, void, object>(
      async ({ PcapRing, state }, options) => {
        state.onsets = 0
        state.ring = new PcapRing(options)
        state.ring.on('onset', () => {
          state.onsets++
        })
        await state.ring.start()
      },
      { device: 'lo', directory: t.testdir({}) },
    )
    const sending = send(t, device, { count: 1e9, pps: calm, size })
    // Until the ring is full and there is a baseline.
    await host.call<State, void, number>(async ({ state, untilStats }, packets) => {
      await untilStats(state.ring, ({ total }) => total.packets > packets)
    }, 3 * calm)
    const calmly = await settled(host)

    const attack = send(t, device, { count: 1e9, pps: flood, size, src: '02:00:00:00:00:09', for: 1_000 })
    await host.call<State, unknown>(({ state, once }) => once(state.ring, 'onset'))
    const meanwhile = await settled(host)
    await attack.sent
    await host.call<State, void>(async ({ state, untilStats }) => {
      // The ring is the calm's again; the onset is kept.
      for (let i = 0; i < 4; ++i) await untilStats(state.ring, () => true)
    })
    const kept = await settled(host)
    const base = await settled(without)
    const stats = await host.call<State, string>(async ({ state }) => JSON.stringify(state.ring.stats().ring))
    await sending.stop()
    await host.call<State, void>(({ state }) => state.ring.close())

    const added = (now: Resident, of: keyof Resident = 'own'): number => (now[of] - base[of]) / miB
    const told = (now: Resident): string =>
      `${added(now).toFixed(2)} MiB (and ${added(now, 'shared').toFixed(2)} shared)`
    t.comment(`added: calm ${told(calmly)}, in a flood ${told(meanwhile)}, with its onset kept ${told(kept)}`)
    t.comment(`the ring: ${stats}; the host without: ${((base.own + base.shared) / miB).toFixed(1)} MiB`)
    t.equal(calmly.packets, 2.75 * miB, "the kernel's buffer is counted, with what the ring holds of it")
    t.ok(added(calmly) <= 5, 'calm')
    t.ok(added(meanwhile) <= 6, 'in a flood')
    t.ok(added(kept) <= 6, 'with an onset kept')
  })
}
