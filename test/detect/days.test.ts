// Three days of traffic: a daily wave, heavy-tailed bursts, a backup at night, a viral hour. No false alarm, and a flood of ten
// times what is normal is found at any hour.

import { test } from 'tap'

import { FloodDetector } from '../../src/detect/index.js'
import { random, seed } from '../support/random.js'
import { Feed } from './support.js'

const day = 86_400

/** What is normal at a moment of the day, in packets a second: 2,000 at night, 20,000 in the afternoon. */
const wave = (second: number): number => 2_000 + 9_000 * (1 - Math.cos((2 * Math.PI * (second - 4 * 3_600)) / day))

/** Five times as much, from noon of the second day on: rises over half an hour, lasts for one, falls over half an hour. */
function viral(second: number): number {
  const since = second - day - 12 * 3_600
  if (since < 0 || since > 7_200) return 1
  return 1 + 4 * Math.min(1, since / 1_800, (7_200 - since) / 1_800)
}

/** From two to three at night something is fetched: a fifth more packets, and nearly twice the bytes. */
const backup = (second: number): boolean => second % day >= 7_200 && second % day < 10_800

/** Mean 1: bursts of Pareto lengths and heights (tail index 1.5), up to three times what is normal. */
function bursts(next: () => number, intervalMs: number): () => number {
  let left = 0
  let height = 1
  const pareto = (least: number, most: number): number => Math.min(most, least / (1 - next()) ** (1 / 1.5))
  return () => {
    if (left <= 0 && next() < 0.05 * (intervalMs / 1_000)) {
      left = pareto(1, 60)
      height = pareto(1, 3)
    }
    left -= intervalMs / 1_000
    // Poisson noise of some thousands is small beside it.
    return (left > 0 ? height : 1) * (0.95 + 0.1 * next())
  }
}

for (let stream = 1; stream <= 5; stream++) {
  // One of them at the ring's own interval.
  const intervalMs = stream === 1 ? 250 : 1_000
  test(`three days without a false alarm, ${stream}`, (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const feed = new Feed(new FloodDetector(), intervalMs)
    const burst = bursts(random(stream), intervalMs)
    let alarms = 0
    let highest = 0
    for (let second = 0; second < 3 * day; second += intervalMs / 1_000) {
      const normal = wave(second) * viral(second)
      const pps = normal * burst() * (backup(second) ? 1.2 : 1)
      const bps = pps * 5_000 * (backup(second) ? 1.5 : 1)
      const { change } = feed.next({ pps, bps })
      if (change === 'attack') ++alarms
      if (second > 600 && second % 60 === 0) {
        const { baseline } = feed.detector.state()
        highest = Math.max(highest, pps / (baseline?.pps as number), bps / (baseline?.bps as number))
      }
    }
    t.equal(alarms, 0)
    t.comment(`at most ${highest.toFixed(2)} times the baseline`)
    t.end()
  })
}

test('a flood of ten times what is normal, three in every hour', (t) => {
  const feed = new Feed(new FloodDetector(), 1_000)
  const burst = bursts(random(6), 1_000)
  const missed: string[] = []
  let flood = -Infinity
  let found = false
  let floods = 0
  for (let second = 0; second < 2.9 * day; second++) {
    const normal = wave(second) * viral(second)
    // For twenty seconds, in each third of an hour at another minute.
    if (second > 600 && second % 1_200 === 60 * ((Math.floor(second / 1_200) * 7) % 17)) {
      flood = second
      found = false
      ++floods
    }
    const flooding = second - flood < 20
    const { state } = feed.next({ pps: normal * burst() + (flooding ? normal * 10 : 0) })
    if (flooding && state === 'attack') found = true
    if (second - flood === 20 && !found)
      missed.push(`second ${flood}: ${feed.detector.state().baseline?.pps} for ${normal}`)
  }
  t.ok(floods > 180)
  t.strictSame(missed, [])
  t.end()
})
