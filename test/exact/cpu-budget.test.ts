// The capture thread's share of a core: above it the kernel keeps 1 of N packets, every figure says so and is near what
// passed, and what is recorded is whole all the same.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { Incident, IncidentReport, PcapRing, PcapRingOptions, Stats } from '../../src/index.js'
import { nsOf, readEvidence, sizes } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces, type Pair } from '../support/netns.js'
import { frameOf, noSender, type Sending, send, type Traffic } from '../support/sender.js'
import { SentLog } from '../support/sent.js'

const skip = noNamespaces || noSender

interface State {
  ring: PcapRing
  stats: Stats[]
  /** ns of CPU time that the capture thread had used at each of them. */
  used: number[]
  incident: Incident
}

/** A ring that writes to the test's directory. */
async function start(t: Test, { here }: Pair, options: PcapRingOptions = {}): Promise<Host> {
  const host = await Host.start(t, { netns: here.name })
  await host.call<State, void, PcapRingOptions>(
    async ({ PcapRing, state, require }, options) => {
      const { readdirSync, readFileSync } = require('node:fs') as typeof import('node:fs')
      state.ring = new PcapRing(options)
      state.stats = []
      state.used = []
      await state.ring.start()
      const task = readdirSync('/proc/self/task').find(
        (task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8') === 'pcap-ring\n',
      )
      state.ring.on('stats', (stats) => {
        state.stats.push(stats)
        state.used.push(Number(readFileSync(`/proc/self/task/${task}/schedstat`, 'utf8').split(' ')[0]))
      })
    },
    { device: here.device, directory: join(t.testdirName, 'captures'), precision: 'nano', ...options },
  )
  return host
}

const close = (host: Host): Promise<void> => host.call<State, void>(({ state }) => state.ring.close())

/** Floods from the other end, each with a log. */
class Sent {
  readonly #logs: string[] = []
  readonly #sending: Sending[]

  constructor(t: Test, { there }: Pair, floods: readonly Partial<Traffic>[]) {
    this.#sending = floods.map((flood, stream) => {
      const log = join(t.testdirName, `sent-${stream}`)
      this.#logs.push(log)
      return send(t, there, { count: 1e9, stream, src: `02:00:00:00:00:1${stream}`, log, ...flood })
    })
  }

  async logs(): Promise<SentLog[]> {
    await Promise.all(this.#sending.map((one) => one.stop()))
    return this.#logs.map((log) => new SentLog(log))
  }
}

const passedBetween = (log: SentLog, from: bigint, to: bigint): number =>
  (log.passedBefore(to)[0] + log.passedBefore(to)[1] - log.passedBefore(from)[0] - log.passedBefore(from)[1]) / 2

/** Five seconds of statistics, or as many intervals, a second after a flood began. */
const steady = (host: Host, intervals = 20): Promise<{ stats: Stats[]; used: number[] }> =>
  host.call<State, { stats: Stats[]; used: number[] }, number>(async ({ state, untilStats }, intervals) => {
    await untilStats(state.ring, ({ pps }) => pps > 5_000)
    const begun = Date.now()
    await untilStats(state.ring, () => Date.now() - begun >= 1_000)
    state.stats.length = state.used.length = 0
    await untilStats(state.ring, () => state.stats.length > intervals)
    return { stats: state.stats, used: state.used }
  }, intervals)

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)

/** By how much a figure of these intervals is off, as a share of what passed. What the kernel still held back is of the next. */
function off(
  stats: readonly Stats[],
  logs: readonly SentLog[],
  bytesOf: readonly number[],
): { pps: number; bps: number } {
  const within = stats.slice(1)
  const held = 50_000_000n
  const [from, to] = [nsOf((stats[0] as Stats).time) - held, nsOf((within.at(-1) as Stats).time) - held]
  const passed = logs.map((log) => passedBetween(log, from, to))
  const bytes = sum(passed.map((packets, i) => packets * (bytesOf[i] as number)))
  return {
    pps: sum(within.map(({ packets }) => packets)) / sum(passed) - 1,
    bps: sum(within.map(({ bytes }) => bytes)) / bytes - 1,
  }
}

const shareOf = (stats: readonly Stats[], used: readonly number[]): number =>
  ((used.at(-1) as number) - (used[0] as number)) / 1e6 / sum(stats.slice(1).map((one) => one.interval))

for (const size of [64, 1_514]) {
  test(`a flood of ${size} bytes, as many as go`, { skip, timeout: 60_000 }, async (t) => {
    t.testdir({})
    const pair = makePair(t)
    const host = await start(t, pair)
    const sent = new Sent(t, pair, [{ pps: 0, size }])
    const { stats, used } = await steady(host)
    const logs = await sent.logs()
    await close(host)

    const share = shareOf(stats, used)
    t.comment(`share of a core ${share}, 1 of ${stats.map(({ sampling }) => sampling).join(' ')}`)
    t.ok(share <= 3 * 0.005, 'the thread keeps to its share (three times that is a busy machine)')
    t.ok(
      stats.every(({ sampling }) => sampling > 1 && Number.isInteger(Math.log2(sampling)) && sampling <= 4_096),
      'every interval says that it is sampled',
    )
    const changes = stats.filter(({ sampling }, i) => i > 0 && sampling !== stats[i - 1]?.sampling).length
    t.ok(changes <= 2, `N changes ${changes} times`)
    const { pps, bps } = off(stats, logs, [size])
    t.comment(`off by ${pps}, ${bps}`)
    t.ok(Math.abs(pps) < 0.05, `${pps}`)
    t.ok(Math.abs(bps) < 0.05, `${bps}`)
  })
}

// Each of the trains is suspected to be a rise. That every packet is kept for it, again and again, must not cost the budget.
test('100,000 packets a second in trains, as they were all the time', { skip, timeout: 60_000 }, async (t) => {
  t.testdir({})
  const pair = makePair(t)
  const host = await start(t, pair, { cpuBudget: 0.002 })
  const sent = new Sent(t, pair, [{ pulse: '100:1' }])
  const { stats, used } = await steady(host)
  const logs = await sent.logs()
  await close(host)
  const share = shareOf(stats, used)
  t.comment(`share of a core ${share}, 1 of ${stats.map(({ sampling }) => sampling).join(' ')}`)
  t.ok(share <= 3 * 0.002, `${share}`)
  const sampled = stats.filter(({ sampling }) => sampling > 1).length
  t.ok(sampled >= 0.7 * stats.length, `${sampled} of ${stats.length} intervals are sampled`)
  const { pps } = off(stats, logs, [64])
  t.ok(Math.abs(pps) < 0.05, `${pps}`)
})

test('a mixed flood, with the smallest of budgets', { skip, timeout: 60_000 }, async (t) => {
  t.testdir({})
  const pair = makePair(t)
  const host = await start(t, pair, { cpuBudget: 0.0001 })
  const flood = { pps: 30_000, cpu: 0 }
  const sent = new Sent(t, pair, [
    { ...flood, proto: 17, size: 128 },
    { ...flood, proto: 1, size: 700 },
    { ...flood, proto: 47, size: 1_400 },
  ])
  const { stats } = await steady(host)
  const logs = await sent.logs()
  await close(host)
  t.ok(
    stats.every(({ sampling }) => sampling >= 16 && sampling <= 64),
    stats.map(({ sampling }) => sampling).join(),
  )
  const { pps, bps } = off(stats, logs, [128, 700, 1_400])
  t.ok(Math.abs(pps) < 0.05, `${pps}`)
  t.ok(Math.abs(bps) < 0.05, `${bps}`)
  const within = stats.slice(1)
  const all = sum(within.map(({ packets }) => packets))
  for (const protocol of ['udp', 'icmp', 'other'] as const) {
    const share = sum(within.map(({ protocols }) => protocols?.[protocol] ?? 0)) / all
    t.ok(Math.abs(share - 1 / 3) < 0.03, `${protocol}: ${share}`)
  }
})

test('without a budget nothing is sampled, nor below it', { skip, timeout: 60_000 }, async (t) => {
  for (const [cpuBudget, pps] of [
    [null, 100_000],
    [0.005, 5_000],
    [1, 100_000],
  ] as const) {
    t.testdir({})
    const pair = makePair(t)
    const host = await start(t, pair, { cpuBudget })
    const sent = new Sent(t, pair, [{ pps, cpu: 0 }])
    const { stats } = await steady(host, 6)
    await sent.logs()
    await close(host)
    t.ok(
      stats.every(({ sampling }) => sampling === 1),
      `${cpuBudget}, ${pps} a second`,
    )
  }
})

test('what is recorded in a flood is whole, from the freeze to the cap and after the resolve', {
  skip,
  timeout: 60_000,
}, async (t) => {
  t.testdir({})
  const pair = makePair(t)
  // No onset: a flood that was there before the ring.
  const sent = new Sent(t, pair, [{ pps: 200_000, cpu: 0, for: 19_000 }])
  const host = await start(t, pair, { cap: { packets: 10_000 }, resolution: { packets: 200, reserve: true } })
  const { stats } = await steady(host)
  const { report, after } = await host.call<State, { report: IncidentReport; after: Stats[] }>(
    async ({ state, untilStats }) => {
      state.incident = state.ring.freeze()
      await untilStats(state.ring, () => state.incident.state === 'capped')
      const capped = Date.now()
      await untilStats(state.ring, () => Date.now() - capped >= 500)
      state.stats.length = 0
      await untilStats(state.ring, () => state.stats.length >= 9)
      // Not in the turn of an event, behind which the thread has just looked.
      await new Promise((resolve) => setTimeout(resolve, 60))
      const report = await state.incident.resolve()
      return { report, after: state.stats.slice(0, 9) }
    },
  )
  const logs = await sent.logs()
  await close(host)

  t.same(sizes(report), { 'pre-buffer': 500, attack: 9_300, resolution: 200 })
  const { frames, wrong } = readEvidence(report)
  t.same(wrong, [])
  const numbers = frames.map(({ data }) => frameOf(data).number)
  const whole = (first: number, end: number): boolean =>
    numbers.slice(first, end).every((number, i) => number === (numbers[first] as number) + i)
  t.ok(whole(500, 9_800), 'every frame from the freeze to the cap')
  t.ok(whole(9_800, 10_000), 'every frame of the resolution')
  t.equal(report.loss.writer, 0)
  const [log] = logs as [SentLog]
  for (const [what, at, frame] of [
    ['T', report.frozenAt, 500],
    ['R', report.resolvedAt, 9_800],
  ] as const) {
    const [least, most] = log.passedBefore(nsOf(at))
    const number = numbers[frame] as number
    t.ok(number >= least - 1 && number <= most, `the first after ${what} is ${number}, ${least} to ${most} had passed`)
  }

  const before = stats.at(-1)?.sampling as number
  const sampling = report.sections[0]?.sampling as { min: number; max: number }
  t.ok(
    sampling.min <= before && before <= sampling.max && sampling.max > 1,
    `${before} is of ${JSON.stringify(sampling)}`,
  )
  t.same(report.sections[1]?.sampling, null)
  t.same(report.sections[2]?.sampling, null)
  const missing = (numbers[500] as number) - (numbers[0] as number) - 500
  const told = report.coverage.gaps.filter(({ reason }) => reason === 'sampling')
  t.equal(report.coverage.complete, false)
  t.ok(told.every(({ exact }) => !exact))
  const estimates = told.map(({ packets }) => packets ?? 0)
  const [second, first] = [estimates.pop() as number, sum(estimates)]
  t.ok(Math.abs(first / missing - 1) < 0.25, `${first} of ${missing} before the freeze`)
  const kept = report.coverage.gaps.find(({ reason }) => reason === 'ring')?.packets ?? 0
  const beyond = (numbers[9_800] as number) - (numbers[9_799] as number) - 1
  t.ok(Math.abs((second + kept) / beyond - 1) < 0.1, `${second} and ${kept} of ${beyond} after the cap`)

  t.ok(
    after.every(({ sampling }) => sampling >= 64),
    'after the cap packets are only counted',
  )
  const { pps } = off(after, logs, [64])
  t.ok(Math.abs(pps) < 0.1, `${pps}`)
  t.equal(report.statistics.sampling?.min, 1)
  t.ok((report.statistics.sampling?.max ?? 0) >= 64)
  const all = passedBetween(log, nsOf(report.frozenAt), nsOf(report.resolvedAt))
  t.ok(Math.abs(report.statistics.packets / all - 1) < 0.1, `${report.statistics.packets} of ${all}`)
  t.equal(
    JSON.parse(readFileSync(join(report.file as string, `../incident_${report.id}.json`), 'utf8')).statistics.packets,
    report.statistics.packets,
  )
})
