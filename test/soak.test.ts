// How the soak judges memory: growth is found, noise is not taken for it.

import { test } from 'tap'

import { grows, riseOf, type Sample, slopeOf } from '../soak/growth.js'
import { random, seed } from './support/random.js'

/** Six a minute for 25 minutes, as of a soak of half an hour. */
const series = (value: (minutes: number, i: number) => number): Sample[] =>
  Array.from({ length: 150 }, (_, i) => ({ minutes: 5 + i / 6, value: value(5 + i / 6, i) }))

/** KiB, as in the soak. */
const most = 2_048
const start = 80_000
/** A collection that is due now and then. */
const saw = (i: number, height: number): number => (i % 2 === 0 ? height : -height)

test('a line is its own slope, without any doubt', async (t) => {
  const { slope, low, high } = slopeOf(series((minutes) => start + 100 * minutes))
  for (const value of [slope, low, high]) t.ok(Math.abs(value - 100) < 1e-6, `${value}`)
  t.ok(Math.abs(riseOf(series((minutes) => start - 3 * minutes)) + (3 * 149) / 6) < 1e-6)
})

test('growth', async (t) => {
  const next = random(61)
  t.comment(`PCAP_RING_SEED=${seed}`)
  for (const [what, value] of [
    ['a steady one', (minutes: number) => start + 200 * minutes],
    ['within noise of a few hundred KiB', (minutes: number) => start + 160 * minutes + 600 * (next() - 0.5)],
    ['in steps, one in twenty samples', (_: number, i: number) => start + 700 * Math.floor(i / 20)],
    ['under a saw of 2 MiB', (minutes: number, i: number) => start + 200 * minutes + saw(i, 1_024)],
  ] as const) {
    t.ok(grows(series(value), most), what)
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
    ['a slope that comes to less than the bound', (minutes: number) => start + 80 * minutes],
    ['it shrinks', (minutes: number) => start - 200 * minutes],
  ] as const) {
    t.notOk(grows(series(value), most), what)
  }
})

test('of too few samples nothing is said', async (t) => {
  const steep = series((minutes) => 10_000 * minutes)
  for (const samples of [[], steep.slice(0, 1), steep.slice(0, 2)]) {
    t.match(slopeOf(samples), { slope: 0, low: -Infinity, high: Infinity })
    t.notOk(grows(samples, most))
  }
  t.ok(grows(steep.slice(0, 3), most), 'of three it is')
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
