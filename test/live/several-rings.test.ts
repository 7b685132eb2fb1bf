// Several rings in one process, at once: each keeps and writes what is its own.

import { type Test, test } from 'tap'

import type { Incident, IncidentReport, PcapRing, PcapRingOptions } from '../../src/index.js'
import { readEvidence, sizes } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { judgeFiles, reportsIn } from '../support/incident-files.js'
import { connect, makePair, noNamespaces } from '../support/netns.js'
import { range } from '../support/replay.js'
import { frameOf, noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

interface State {
  rings: PcapRing[]
  open: Incident[]
}

async function startRings(t: Test, netns: string, all: PcapRingOptions[]): Promise<Host> {
  const host = await Host.start(t, { netns })
  await host.call<State, void, PcapRingOptions[]>(async ({ PcapRing, state }, all) => {
    state.rings = all.map((options) => new PcapRing(options))
    await Promise.all(state.rings.map((ring) => ring.start()))
  }, all)
  return host
}

/** Freezes all rings in one turn. */
const freeze = (host: Host): Promise<void> =>
  host.call<State, void>(async ({ state }) => {
    state.open = state.rings.map((ring, i) => ring.freeze({ id: `ring${i}`, resolution: { packets: 0 } }))
    await Promise.all(state.open.map(({ flushed }) => flushed))
  })

const resolve = (host: Host): Promise<IncidentReport[]> =>
  host.call<State, IncidentReport[]>(({ state }) => Promise.all(state.open.map((incident) => incident.resolve())))

const framesOf = (report: IncidentReport): { caplen: number; len: number; number: number }[] =>
  readEvidence(report).frames.map(({ caplen, len, data }) => ({ caplen, len, number: frameOf(data).number }))

test('two on one device, with filters and snaplens of their own', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const own = [
    { filter: 'udp', snaplen: 64 },
    { filter: 'greater 500', snaplen: 200 },
  ]
  const host = await startRings(
    t,
    here.name,
    own.map((options) => ({ device: here.device, directory, ...options })),
  )
  await send(t, there, { count: 200, size: 400 }).sent
  await send(t, there, { count: 100, first: 200, size: 600 }).sent
  await freeze(host)
  await send(t, there, { count: 150, first: 300, size: 600 }).sent
  await send(t, there, { count: 50, first: 450, size: 400 }).sent
  const [all, large] = (await resolve(host)) as [IncidentReport, IncidentReport]
  await host.call<State, void>(async ({ state }) => {
    for (const ring of state.rings) await ring.close()
  })
  judgeFiles(t, reportsIn(t, directory))

  t.match(all, own[0])
  t.same(sizes(all), { 'pre-buffer': 300, attack: 200 })
  t.same(
    framesOf(all),
    range(0, 500).map((number) => ({ caplen: 64, len: number >= 200 && number < 450 ? 600 : 400, number })),
  )
  t.match(large, own[1])
  t.same(sizes(large), { 'pre-buffer': 100, attack: 150 })
  t.same(
    framesOf(large),
    range(200, 250).map((number) => ({ caplen: 200, len: 600, number })),
  )
})

test('one on each of two devices, both with an incident', { skip }, async (t) => {
  const pair = makePair(t)
  const other = {
    here: { ...pair.here, device: 'here1', mac: '02:11:00:00:00:11' },
    there: { ...pair.there, device: 'there1', mac: '02:22:00:00:00:12' },
  }
  connect(other)
  const both = [pair, other]
  const directory = t.testdir({})
  const host = await startRings(
    t,
    pair.here.name,
    both.map(({ here }) => ({ device: here.device, directory, statsInterval: 50 })),
  )
  /** At once on both devices, with numbers apart. */
  const sendBoth = (first: number, counts: [number, number]): Promise<number[]> =>
    Promise.all(
      both.map(({ there }, i) => send(t, there, { count: counts[i] as number, first: first + 100_000 * i }).sent),
    )
  await sendBoth(0, [300, 200])
  await freeze(host)
  await sendBoth(1_000, [150, 250])
  const reports = await resolve(host)
  // One goes, the other goes on.
  await host.call<State, void>(({ state }) => state.rings[0]?.close())
  await sendBoth(2_000, [50, 60])
  const total = await host.call<State, number>(async ({ state, untilStats }) => {
    const [, second] = state.rings as [PcapRing, PcapRing]
    await untilStats(second, ({ total }) => total.packets >= 510)
    await second.close()
    return second.stats().total.packets
  })
  t.equal(total, 510)

  const judged = reportsIn(t, directory)
  t.same(judged, reports)
  for (const [i, report] of reports.entries()) {
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [])
    t.match(report, { error: null, loss: { kernel: 0, interface: 0, writer: 0 }, coverage: { complete: true } })
    t.equal(report.custody.device?.name, both[i]?.here.device)
    t.equal(report.custody.device?.mac, both[i]?.here.mac)
    const [before, after] = [
      [300, 150],
      [200, 250],
    ][i] as [number, number]
    t.same(sizes(report), { 'pre-buffer': before, attack: after })
    t.same(
      frames.map(({ data }) => frameOf(data).number),
      [...range(100_000 * i, before), ...range(100_000 * i + 1_000, after)],
    )
  }
})
