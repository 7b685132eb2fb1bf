import { once } from 'node:events'
import { test } from 'tap'

import type { Incident, Stats } from '../../src/index.js'
import { defaultStart } from '../support/generate.js'
import { pcapBytes, timeString, udpAt, usOfTime } from '../support/recording.js'
import { fileOf, range, replay, ringOf, sectionCounts, sequencesIn, validIncident, watch } from '../support/replay.js'

// Not on a whole second: intervals begin with the first packet.
const start = defaultStart + 123.456
const day = 86_400_000
const ms = (...offsets: number[]) => pcapBytes(udpAt(...offsets.map((offset) => start + offset)))
const timeAt = (offset: number): string => timeString(Math.round((start + offset) * 1_000))
const brief = (stats: Stats[]) =>
  stats.map(({ time, interval, packets }) => [(usOfTime(time) - Math.round(start * 1_000)) / 1_000, interval, packets])

test('intervals are half-open and begin at the first packet', async (t) => {
  const ring = ringOf(t, { file: ms(0, 249.999, 250, 499.999, 500, 600) })
  const { stats } = await replay(ring)
  t.strictSame(brief(stats), [
    [250, 250, 2],
    [500, 250, 2],
    [600, 100, 2],
  ])
  t.equal(stats[0]?.time, timeAt(250))
  t.equal(stats[0]?.pps, 8)
  t.equal(stats[2]?.pps, 20)
})

test('statsInterval sets their length', async (t) => {
  const ring = ringOf(t, { file: ms(0, 60, 120, 130), statsInterval: '50ms' })
  t.strictSame(brief((await replay(ring)).stats), [
    [50, 50, 1],
    [100, 50, 1],
    [130, 30, 2],
  ])
})

test('a jump is one interval up to the last multiple passed', async (t) => {
  const ring = ringOf(t, { file: ms(0, 10, 10_130, 10_140) })
  const { stats } = await replay(ring)
  t.strictSame(brief(stats), [
    [10_000, 10_000, 2],
    [10_140, 140, 2],
  ])
  t.equal(stats[0]?.pps, 0.2)
})

test('a jump onto a boundary ends there', async (t) => {
  const ring = ringOf(t, { file: ms(0, 1_000, 1_010) })
  t.strictSame(brief((await replay(ring)).stats), [
    [1_000, 1_000, 1],
    [1_010, 10, 2],
  ])
})

test('timers that fell into a jump fire once, before the packet that ends it', async (t) => {
  const ring = ringOf(t, { file: ms(0, 260, 270, 20_000, 20_001) })
  let incident: Incident | undefined
  let resolving: Incident | undefined
  ring.once('stats', () => {
    incident = ring.freeze({ cap: { duration: '1s' } })
    resolving = ring.freeze({ resolution: { duration: '2s' } })
    resolving.resolve()
  })
  const { events } = await replay(ring)
  t.equal(events.filter((event) => event === 'cap').length, 1)
  await ring.close()
  t.strictSame(sequencesIn(incident?.file as string), [0, 1, 2])
  t.strictSame(sequencesIn(resolving?.file as string), [0, 1, 2])
  t.match(await incident?.finished, { capped: 'duration' })
  t.equal((await resolving?.finished)?.resolvedAt, timeAt(250))
})

test('a timestamp more than a day ahead of both neighbours does not move time, and is kept', async (t) => {
  const far = 3 * day
  const recordings: [string, number[], [number, number, number][]][] = [
    [
      'in the middle',
      [0, 100, far, 200, 300],
      [
        [250, 250, 4],
        [300, 50, 1],
      ],
    ],
    [
      'at the start',
      [far, 0, 100, 300],
      [
        [250, 250, 3],
        [300, 50, 1],
      ],
    ],
    ['at the end', [0, 100, far], [[100, 100, 3]]],
    ['a row of two moves it', [0, 100, far, far + 10], [[far, far, 2] as [number, number, number], [far + 10, 10, 2]]],
    ['a day is not more than a day', [0, day, 100], [[day, day, 1] as [number, number, number], [day, 0, 2]]],
    [
      'a real jump of days is one',
      [0, far, far + 100],
      [[far, far, 1] as [number, number, number], [far + 100, 100, 2]],
    ],
  ]
  for (const [name, offsets, intervals] of recordings) {
    const ring = ringOf(t, { file: ms(...offsets) })
    const { stats } = await replay(ring)
    t.strictSame(brief(stats), intervals, name)
    const incident = ring.freeze()
    incident.resolve()
    await incident.finished
    t.strictSame(sequencesIn(incident.file as string), range(0, offsets.length))
    t.equal(fileOf(incident.file as string).records.length, offsets.length)
  }
})

test('time never goes back: older packets count where they are read', async (t) => {
  const ring = ringOf(t, { file: ms(0, 300, 100, 200, 310, -5_000, 520) })
  let incident: Incident | undefined
  ring.once('stats', () => {
    incident = ring.freeze()
  })
  const { stats } = await replay(ring)
  t.strictSame(brief(stats), [
    [250, 250, 1],
    [500, 250, 5],
    [520, 20, 1],
  ])
  void incident?.resolve()
  const [report, sequences] = await validIncident(t, incident as Incident)
  t.strictSame(sequences, range(0, 7), 'in the order of the recording')
  t.strictSame(report.coverage.clock, { backSteps: 2, largestBackStep: 5_310 })
  t.equal(report.from, timeAt(-5_000))
  t.equal(report.to, timeAt(520))
  t.strictSame(sectionCounts(report), { 'pre-buffer': 1, attack: 6 })
})

test('the last figures, of a partial interval, come before end', async (t) => {
  const ring = ringOf(t, { file: ms(0, 10, 260, 270) })
  const { events, stats } = await replay(ring)
  t.strictSame(events, ['start', 'stats', 'stats', 'end'])
  t.strictSame(brief(stats)[1], [270, 20, 2])
  t.equal(ring.stats(), stats[1])
})

test('end waits for the last listener', async (t) => {
  const ring = ringOf(t, { file: ms(0, 10) })
  const order: string[] = []
  ring.on('stats', async () => {
    await new Promise((resolve) => setTimeout(resolve, 30))
    order.push('settled')
  })
  ring.on('end', () => void order.push('end'))
  await replay(ring)
  t.strictSame(order, ['settled', 'end'])
})

test('an empty recording: start, end, no figures', async (t) => {
  const ring = ringOf(t, { file: ms() })
  const { events } = await replay(ring)
  t.strictSame(events, ['start', 'end'])
  t.match(ring.stats(), { interval: 0, packets: 0, total: { packets: 0 } })
})

test('the packet that ends an interval is the first behind a freeze in its listener', async (t) => {
  const ring = ringOf(t, { file: ms(0, 249.999, 250, 251) })
  let incident: Incident | undefined
  ring.once('stats', () => {
    incident = ring.freeze()
  })
  await replay(ring)
  void incident?.resolve()
  const [report] = await validIncident(t, incident as Incident)
  t.equal(report.frozenAt, timeAt(250))
  t.strictSame(sectionCounts(report), { 'pre-buffer': 2, attack: 2 })
})

test('no packet is read before the turn after start() resolved', async (t) => {
  const ring = ringOf(t, { file: ms(0, 100, 200, 300) })
  await ring.start()
  for (let i = 0; i < 1_000; i++) await Promise.resolve()
  const seen = watch(ring)
  const end = once(ring, 'end')
  const incident = ring.freeze()
  await end
  t.strictSame(brief(seen.stats), [
    [250, 250, 3],
    [300, 50, 1],
  ])
  incident.resolve()
  const [report] = await validIncident(t, incident)
  t.strictSame(sectionCounts(report), { attack: 4 })
  t.equal(report.frozenAt, timeAt(0), 'the first packet gives the time')
  t.match(report.statistics, { packets: 4 })
})

test('after the end: incidents of what is there, resolve() ends at once, a manual capture too', async (t) => {
  const ring = ringOf(t, { file: ms(0, 10, 20) })
  let manual: Incident | undefined
  let open: Incident | undefined
  ring.once('stats', () => {
    manual = ring.capture()
    open = ring.freeze()
  })
  await replay(ring)
  t.match(await manual?.finished, { kind: 'manual', packets: 0, capped: null })
  t.equal(open?.state, 'capturing', 'stays open')
  void open?.resolve()
  t.match(await open?.finished, { packets: 3, capped: null })
  const late = ring.freeze()
  t.equal((await late.flushed)[0]?.packets, 3)
  t.match(await late.resolve(), { packets: 3, frozenAt: timeAt(20), resolvedAt: timeAt(20), duration: 0 })
  t.match(await ring.capture().finished, { packets: 0, frozenAt: timeAt(20) })
})
