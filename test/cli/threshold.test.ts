import { test } from 'tap'

import { ThresholdDetector } from '../../src/cli/threshold.js'
import { stats } from '../../src/testing.js'

const at = (pps: number, bps = 0, interval = 250): ReturnType<typeof stats> =>
  stats({ interval, inbound: { pps, bps } })
const changes = (detector: ThresholdDetector, count: number, pps: number): unknown[] =>
  Array.from({ length: count }, () => detector.update(at(pps))).filter(Boolean)

test('an attack is at or above either threshold', (t) => {
  t.equal(new ThresholdDetector({ pps: 100, bps: undefined }).update(at(99, 1e12)), null)
  t.equal(new ThresholdDetector({ pps: 100, bps: undefined }).update(at(100)), 'attack')
  t.equal(new ThresholdDetector({ pps: undefined, bps: 100 }).update(at(1e9, 99)), null)
  t.equal(new ThresholdDetector({ pps: undefined, bps: 100 }).update(at(0, 100)), 'attack')
  t.equal(new ThresholdDetector({ pps: 5, bps: 100 }).update(at(0, 100)), 'attack')
  t.end()
})

test('only inbound traffic is judged', (t) => {
  t.equal(new ThresholdDetector({ pps: 100, bps: undefined }).update(stats({ pps: 1e6 })), null)
  t.end()
})

test('it clears after ten seconds below three quarters, once, and may begin again', (t) => {
  const detector = new ThresholdDetector({ pps: 100, bps: undefined })
  detector.update(at(500))
  t.strictSame(changes(detector, 1_000, 75), [], 'neither calm nor an attack anew')
  t.strictSame(changes(detector, 39, 74), [])
  t.strictSame(changes(detector, 1, 80), [], 'a burst starts the ten seconds anew')
  t.strictSame(changes(detector, 39, 74), [])
  t.strictSame(changes(detector, 100, 74), ['clear'])
  t.equal(detector.update(at(100)), 'attack')
  t.end()
})

test('a jump over a gap clears with one interval', (t) => {
  const detector = new ThresholdDetector({ pps: 100, bps: undefined })
  detector.update(at(500))
  t.equal(detector.update(at(1, 0, 3_600_000)), 'clear')
  t.end()
})
