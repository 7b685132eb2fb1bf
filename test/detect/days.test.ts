// Three days of traffic: a daily wave, heavy-tailed bursts, a backup at night, a viral hour. No false alarm, and a flood of ten
// times what is normal is found at any hour.

import { test } from 'tap'

import { FloodDetector } from '../../src/detect/index.js'
import { random, seed } from '../support/random.js'
import { backup, bursts, day, viral, wave } from './days.js'
import { Feed } from './support.js'

for (let stream = 1; stream <= 5; stream++) {
  // At the ring's own interval, which takes four times as long: a full run all of them.
  const intervalMs = stream === 1 || process.env.PCAP_RING_FULL === '1' ? 250 : 1_000
  test(`three days without a false alarm, ${stream}`, (t) => {
    t.comment(`PCAP_RING_SEED=${seed}`)
    const feed = new Feed(new FloodDetector(), intervalMs)
    const burst = bursts(random(stream), intervalMs)
    let alarms = 0
    let highest = 0
    for (let second = 0; second < 3 * day; second += intervalMs / 1_000) {
      const normal = wave(second) * viral(second)
      const times = burst()
      const pps = normal * (times + (backup(second) ? 0.2 : 0))
      const bps = normal * (times + (backup(second) ? 0.8 : 0)) * 5_000
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
