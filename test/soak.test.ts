// How the soak judges: growth is found and noise is not taken for it; gaps tell what is missing, no less and no more.

import { test } from 'tap'

import { grows, type Sample, slopeBesideStep, slopeOf } from '../soak/growth.js'
import { judgeGaps } from '../soak/incident.js'
import { random, seed } from './support/random.js'

/** Six a minute for 25 minutes, as of a soak of half an hour. */
const series = (value: (minutes: number, i: number) => number): Sample[] =>
  Array.from({ length: 150 }, (_, i) => ({ minutes: 5 + i / 6, value: value(5 + i / 6, i) }))

/** KiB a minute, as in the soak. */
const resolved = 8
const start = 80_000
/** A collection that is due now and then. */
const saw = (i: number, height: number): number => (i % 2 === 0 ? height : -height)

test('a line is its own slope, without any doubt', async (t) => {
  const { slope, low, high } = slopeOf(series((minutes) => start + 100 * minutes))
  for (const value of [slope, low, high]) t.ok(Math.abs(value - 100) < 1e-6, `${value}`)
  const beside = slopeBesideStep(series((minutes) => start - 3 * minutes + (minutes < 12 ? 0 : 500)))
  for (const value of [beside.slope, beside.low, beside.high]) t.ok(Math.abs(value + 3) < 1e-6, `${value}`)
})

test('growth', async (t) => {
  const next = random(61)
  t.comment(`PCAP_RING_SEED=${seed}`)
  for (const [what, value] of [
    ['a steady one', (minutes: number) => start + 200 * minutes],
    ['a steady one of a few pages a minute', (minutes: number) => start + 12 * minutes],
    ['within noise of a few hundred KiB', (minutes: number) => start + 40 * minutes + 600 * (next() - 0.5)],
    ['in steps, one in twenty samples', (_: number, i: number) => start + 700 * Math.floor(i / 20)],
    ['under a saw of 2 MiB', (minutes: number, i: number) => start + 200 * minutes + saw(i, 1_024)],
  ] as const) {
    t.ok(grows(series(value), resolved), what)
  }
})

test('no growth', async (t) => {
  const next = random(62)
  t.comment(`PCAP_RING_SEED=${seed}`)
  for (const [what, value] of [
    ['nothing changes', () => start],
    ['noise', () => start + 600 * (next() - 0.5)],
    ['a saw of 20 MiB', (_: number, i: number) => start + saw(i, 10_240)],
    ['a slope that is lost in a saw of 20 MiB', (minutes: number, i: number) => start + 160 * minutes + saw(i, 10_240)],
    ['a slope below what is resolved', (minutes: number) => start + 7 * minutes],
    ['a step of 2 MiB that comes once', (minutes: number) => start + (minutes < 15 ? 0 : 2_048)],
    ['within noise', (minutes: number) => start + (minutes < 22 ? 0 : 800) + 300 * (next() - 0.5)],
    ['it shrinks', (minutes: number) => start - 200 * minutes],
  ] as const) {
    t.notOk(grows(series(value), resolved), what)
  }
})

test('of too few samples nothing is said', async (t) => {
  const steep = series((minutes) => 10_000 * minutes)
  for (const samples of [[], steep.slice(0, 1), steep.slice(0, 2)]) {
    t.match(slopeOf(samples), { slope: 0, low: -Infinity, high: Infinity })
    t.notOk(grows(samples, resolved))
  }
  t.ok(grows(steep.slice(0, 3), resolved), 'of three it is')
})

test('the interval holds the true slope 95 times of a hundred', async (t) => {
  const next = random(63)
  t.comment(`PCAP_RING_SEED=${seed}`)
  let held = 0
  const tries = 1_000
  for (let i = 0; i < tries; ++i) {
    const { low, high } = slopeOf(series((minutes) => start + 20 * minutes + 2_000 * (next() - 0.5)))
    if (low <= 20 && 20 <= high) ++held
  }
  // Seven standard deviations of what chance makes of a thousand tries.
  t.ok(Math.abs(held - 0.95 * tries) < 50, `${held} of ${tries}`)
})

const at = (ms: number): string => new Date(1_700_000_000_000 + ms).toISOString().replace('Z', '000Z')

/** Frames of two streams, one a millisecond in turn, without those of these ms. */
const framesWithout = (...lost: number[]) =>
  Array.from({ length: 100 }, (_, ms) => ms)
    .filter((ms) => !lost.includes(ms))
    .map((ms) => ({ stream: ms % 2, number: Math.floor(ms / 2), time: BigInt(1_700_000_000_000 + ms) * 1_000_000n }))

test('gaps', async (t) => {
  const gap = (from: number, to: number, packets: number | null) => ({ from: at(from), to: at(to), packets })
  const lost = [40, 41, 42, 43, 44]
  t.strictSame(judgeGaps(framesWithout(...lost), [gap(39, 45, 5)]), { missing: 5, wrong: [] })
  t.strictSame(judgeGaps(framesWithout(), []), { missing: 0, wrong: [] })
  t.match(judgeGaps(framesWithout(...lost), []), { missing: 5, wrong: ['5 frames are missing, 0 are told'] })
  t.match(judgeGaps(framesWithout(...lost), [gap(39, 45, 9)]), {
    wrong: ['5 frames are missing, 9 are told between them'],
  })
  t.match(judgeGaps(framesWithout(), [gap(50, 51, 3)]), { wrong: ['0 frames are missing, 3 are told between them'] })
  // At an end no neighbour of its own shows what a stream lacks.
  const even = [0, 2, 4, 6, 8, 10]
  const begins = [1, 3, 5, 7, 9].map((ms) => gap(ms, ms + 2, 1))
  t.strictSame(judgeGaps(framesWithout(...even), begins), { missing: 0, wrong: [] })
  t.strictSame(
    judgeGaps(framesWithout(...lost), [gap(39, 45, null)]).wrong,
    [],
    'nobody counts while the device is away',
  )
  t.match(judgeGaps([...framesWithout(), ...framesWithout(1).slice(0, 1)], []), {
    wrong: ['stream 0: 0 stands behind 49'],
  })
})
