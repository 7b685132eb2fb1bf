// Without the permission to capture: when `flushed` is fulfilled the disk has the incident.

import { test } from 'tap'

import type { PcapRing, PcapRingOptions } from '../../src/index.js'
import { makeFaultyDisk, noFaultyDisk } from '../support/faulty-disk.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces, noTool } from '../support/netns.js'

interface State {
  ring: PcapRing
}

test('the next start would tell of it after a loss of power, too', {
  skip: noNamespaces || noTool('setpriv') || noFaultyDisk,
}, async (t) => {
  const pair = makePair(t)
  const { env, set } = makeFaultyDisk(t)
  const wrap = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-all']
  const host = await Host.start(t, { netns: pair.here.name, wrap, env })
  const options = { device: pair.here.device, directory: t.testdir() }
  const mode = await host.call<State, string, PcapRingOptions>(async ({ PcapRing, state }, options) => {
    state.ring = new PcapRing(options)
    await state.ring.start()
    return state.ring.mode
  }, options)
  t.equal(mode, 'statistics')
  const outcomes = (): Promise<string[]> =>
    host.call<State, string[]>(({ state }) => {
      const incident = state.ring.freeze()
      const all = [incident.flushed, incident.flushed.catch(() => {}).then(() => incident.resolve())]
      return Promise.all(
        all.map((promise) =>
          promise.then(
            () => 'done',
            ({ code }: { code: string }) => code,
          ),
        ),
      )
    })
  set({ call: 'fdatasync', error: 'EIO' })
  t.same(await outcomes(), ['ERR_PCAP_WRITE', 'ERR_PCAP_WRITE'])
  set(null)
  t.same(await outcomes(), ['done', 'done'])
})
