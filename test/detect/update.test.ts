// The detector alone: figures in, judgements out.

import { test } from 'tap'

import { FloodDetector } from '../../src/detect/index.js'
import { stats } from '../../src/testing.js'
import { Feed } from './support.js'

const changes = (judged: { change: string | null }[]): (string | null)[] => judged.map(({ change }) => change)

test('fixed thresholds: at or above either, for 300 ms; inbound only', (t) => {
  const feed = new Feed(new FloodDetector({ pps: 50_000, bps: 1e9, baseline: null }))
  t.strictSame(feed.for(60, { pps: 49_999, bps: 1e6, outbound: 1e6 }), [])
  t.match(feed.next({ pps: 50_000, bps: 1 }), { state: 'calm', change: null, attack: null }, 'not in one interval')
  t.match(feed.next({ pps: 10, bps: 1 }), { state: 'calm' })
  t.match(feed.next({ pps: 50_000, bps: 1 }), { change: null }, 'it begins anew')
  const { state, change, attack } = feed.next({ pps: 60_000, bps: 1 })
  t.match({ state, change }, { state: 'attack', change: 'attack' })
  t.match(attack, { cause: 'pps', pps: 60_000, severity: 'low', vector: 'udp-flood', baseline: { pps: 0, bps: 0 } })
  t.equal(attack?.at, '2026-01-05T00:01:01.000000Z')
  t.equal(attack?.onsetAt, '2026-01-05T00:01:00.500000Z', 'the beginning of its first interval')
  const bits = new Feed(new FloodDetector({ bps: 1e9, baseline: null }))
  t.match(bits.for(1, { pps: 5, bps: 1e9 })[0]?.attack, { cause: 'bps' })
  t.end()
})

test('it clears after ten seconds below three quarters, and tells its highest rates', (t) => {
  const feed = new Feed(new FloodDetector({ pps: 1_000, baseline: null }))
  feed.for(1, { pps: 3_000 })
  t.strictSame(feed.for(600, { pps: 750 }), [], 'neither calm nor an attack anew')
  t.strictSame(feed.for(9.75, { pps: 749 }), [])
  t.strictSame(feed.for(0.25, { pps: 90_000 }), [], 'a burst starts the ten seconds anew')
  t.strictSame(feed.for(9.75, { pps: 749 }), [])
  const [cleared, ...more] = feed.for(60, { pps: 749 })
  t.strictSame(more, [])
  t.match(cleared, { state: 'calm', change: 'clear', attack: { pps: 90_000, cause: 'pps', severity: 'critical' } })
  t.strictSame(changes(feed.for(1, { pps: 1_000 })), ['attack'], 'and it may begin again')
  const long = new FloodDetector({ pps: 1_000, baseline: null, clear: '1m' })
  const other = new Feed(long, 1_000)
  other.for(2, { pps: 3_000 })
  t.strictSame(other.for(59, { pps: 1 }), [])
  t.strictSame(changes(other.for(1, { pps: 1 })), ['clear'])
  t.end()
})

test('severity is the peak over what fired', (t) => {
  for (const [times, severity] of [
    [1, 'low'],
    [3.99, 'low'],
    [4, 'medium'],
    [15.9, 'medium'],
    [16, 'high'],
    [63, 'high'],
    [64, 'critical'],
  ] as const) {
    const fixed = new Feed(new FloodDetector({ pps: 1_000, baseline: null }))
    t.equal(fixed.for(1, { pps: times * 1_000 })[0]?.attack?.severity, severity, `${times} times the threshold`)
    const learned = new Feed(new FloodDetector())
    learned.for(60, { pps: 1_000, bps: 1e6 })
    const attack = learned.for(1, { pps: times * 8_000, bps: 1e6 })[0]?.attack
    t.match(attack, { severity, cause: 'baseline' }, `${times} times eight times the baseline`)
  }
  t.end()
})

test('by a baseline: from one second of traffic on, above the floor, in packets or in bits', (t) => {
  const early = new Feed(new FloodDetector())
  t.strictSame(early.for(0.75, { pps: 1_000 }), [])
  t.strictSame(early.for(0.25, { pps: 90_000 }), [], 'there is no baseline yet')
  const feed = new Feed(new FloodDetector())
  feed.for(30, { pps: 0 })
  t.strictSame(feed.for(1, { pps: 1_000, bps: 1e6 }), [], 'silence is no traffic')
  t.strictSame(feed.for(5, { pps: 7_900, bps: 1e6 }), [])
  const second = new Feed(new FloodDetector())
  second.for(2, { pps: 1_000, bps: 1e6 })
  t.match(second.for(0.5, { pps: 8_100, bps: 1e6 })[0]?.attack, {
    cause: 'baseline',
    baseline: { pps: 1_000, bps: 1e6 },
  })
  const bits = new Feed(new FloodDetector())
  bits.for(600, { pps: 100, bps: 2e6 })
  t.strictSame(bits.for(2, { pps: 190, bps: 15.9e6 }), [])
  t.match(bits.for(0.5, { pps: 199, bps: 2e7 })[0]?.attack, { cause: 'baseline' })
  const low = new Feed(new FloodDetector())
  low.for(60, { pps: 5, bps: 1_000 })
  t.strictSame(low.for(60, { pps: 999, bps: 9.9e6 }), [], 'below the floor')
  const lower = new Feed(new FloodDetector({ floor: { pps: 50, bps: 1e9 } }))
  lower.for(60, { pps: 5, bps: 1_000 })
  t.strictSame(changes(lower.for(1, { pps: 60, bps: 1_000 })), ['attack'])
  const both = new Feed(new FloodDetector({ pps: 5_000, bps: 1e12 }))
  both.for(60, { pps: 500 })
  t.match(both.for(1, { pps: 4_500 })[0]?.attack, { cause: 'baseline' })
  t.end()
})

test('an attack of an hour is never learned; what follows is judged by what was before', (t) => {
  const feed = new Feed(new FloodDetector())
  feed.for(600, { pps: 2_000 })
  const before = feed.detector.state().baseline?.pps as number
  t.strictSame(changes(feed.for(3_600, { pps: 40_000 })), ['attack'])
  t.equal(feed.detector.state().baseline?.pps, before)
  t.strictSame(changes(feed.for(20, { pps: 2_000 })), ['clear'])
  t.strictSame(changes(feed.for(2, { pps: 20_000 })), ['attack'])
  t.end()
})

test('a ramp over a minute is found, a rise over half an hour is learned', (t) => {
  for (const times of [10, 20, 100]) {
    const feed = new Feed(new FloodDetector())
    feed.for(900, { pps: 1_000 })
    const found: unknown[] = []
    for (let ms = 0; ms < 60_000; ms += 250) {
      const judged = feed.next({ pps: 1_000 * (1 + ((times - 1) * ms) / 60_000) })
      if (judged.change !== null) found.push(judged)
    }
    found.push(...feed.for(5, { pps: 1_000 * times }))
    t.match(found, [{ change: 'attack' }], `up to ${times} times`)
  }
  const slow = new Feed(new FloodDetector(), 1_000)
  slow.for(900, { pps: 1_000 })
  const found: unknown[] = []
  for (let s = 0; s < 1_800; s++) found.push(...slow.for(1, { pps: 1_000 * 1.2 ** (s / 100) }))
  t.strictSame(found, [], '27 times as much, a fifth more every 100 s')
  t.end()
})

test('what has fallen to less than half for 30 to 40 s is normal: a raised hour does not hide a flood behind it', (t) => {
  const feed = new Feed(new FloodDetector())
  feed.for(3_604, { pps: 20_000 })
  feed.for(45, { pps: 2_000 })
  t.strictSame(changes(feed.for(1, { pps: 20_000 })), ['attack'])
  t.end()
})

test('an outage, and a gap in a recording, are not what is normal', (t) => {
  for (const away of [
    (feed: Feed) => feed.for(120, { pps: 0 }),
    (feed: Feed) => feed.for(120, { pps: 300, bps: 1e5 }),
    (feed: Feed) => [new Feed(feed.detector, 600_000).next({ pps: 20 })],
  ]) {
    const feed = new Feed(new FloodDetector())
    feed.for(600, { pps: 20_000 })
    t.same(
      away(feed).filter(({ change }) => change !== null),
      [],
    )
    feed.time += 600_000
    t.strictSame(feed.for(120, { pps: 20_000 }), [], 'it comes back as it was')
    t.strictSame(changes(feed.for(1, { pps: 170_000 })), ['attack'])
  }
  const gone = new Feed(new FloodDetector())
  gone.for(600, { pps: 20_000 })
  gone.for(700, { pps: 200, bps: 1e5 })
  t.strictSame(changes(gone.for(1, { pps: 4_000, bps: 2e6 })), ['attack'], 'after ten minutes it is normal')
  t.end()
})

test('intervals of other lengths: short ones together, long ones at once, uneven ones by their mean', (t) => {
  for (const interval of [50, 100, 150, 1_000, 60_000]) {
    const feed = new Feed(new FloodDetector(), interval)
    feed.for(Math.max(30, interval / 100), { pps: 1_000, bps: 4e6 })
    const began = feed.time
    const found: number[] = []
    // As blocks come out of the kernel: nothing in one interval, twice as much in the next.
    for (let i = 0; i < 40; i++) {
      const uneven = interval < 100 ? (i % 2) * 2 : 1
      if (feed.next({ pps: 20_000 * uneven, bps: 8e7 * uneven }).change === 'attack') found.push(feed.time - began)
    }
    t.equal(found.length, 1, `${interval} ms`)
    if (interval <= 250) t.ok((found[0] as number) <= 800, `${interval} ms: found after ${found[0]} ms`)
  }
  const blocks = new Feed(new FloodDetector())
  blocks.for(30, { pps: 1_000, bps: 4e6 })
  const found: unknown[] = []
  for (let i = 0; i < 8; i++) found.push(...blocks.for(0.25, { pps: 9_000 * (i % 2 === 0 ? 1.2 : 0.8), bps: 4e6 }))
  t.match(found, [{ change: 'attack' }], 'nine times as much, in two blocks and in three')
  const pulse = new Feed(new FloodDetector())
  pulse.for(30, { pps: 1_000, bps: 4e6 })
  pulse.for(0.25, { pps: 60_000, bps: 4e6 })
  t.strictSame(pulse.for(10, { pps: 1_000, bps: 4e6 }), [], 'one interval is none, however high')
  const sliver = new Feed(new FloodDetector(), 10)
  new Feed(sliver.detector).for(30, { pps: 1_000, bps: 4e6 })
  t.match(sliver.next({ pps: 500_000 }), { state: 'calm' }, 'ten milliseconds make no rate')
  t.end()
})

test('its state goes on after a restart; an old one is a beginning', (t) => {
  const first = new Feed(new FloodDetector(), 1_000)
  first.for(600, { pps: 5_000, bps: 2e7 })
  const state = JSON.parse(JSON.stringify(first.detector.state()))
  t.match(state, { version: 1, at: '2026-01-05T00:10:00.000000Z', baseline: { pps: 5_000, bps: 2e7 } })
  const next = new Feed(new FloodDetector({ state }), 1_000)
  next.time = first.time + 30_000
  t.match(
    next.for(1, { pps: 41_000, bps: 2e7 }),
    [{ change: 'attack', attack: { baseline: { pps: 5_000 } } }],
    'from the first interval on',
  )
  for (const pps of [1_000, 50_000]) {
    const late = new Feed(new FloodDetector({ state }), 1_000)
    late.time = first.time + 86_400_000
    t.strictSame(late.for(90, { pps, bps: 4e6 }), [], 'an old one is judged by no more')
    const { baseline } = late.detector.state()
    t.ok(Math.abs((baseline?.pps as number) / pps - 1) < 0.01, `${baseline?.pps}`)
  }
  const young = new Feed(new FloodDetector(), 1_000)
  young.for(30, { pps: 5_000 })
  t.match(young.detector.state(), { baseline: null, learned: 0 }, 'half a minute is not worth keeping')
  t.match(new FloodDetector().state(), { version: 1, at: null, baseline: null, learned: 0 })
  t.end()
})

test('to be shown: what is normal, and what would be an attack, as docs/detection.md says', (t) => {
  const feed = new Feed(new FloodDetector({ bps: 5e7 }))
  const { detector } = feed
  t.strictSame([detector.baseline, detector.thresholds], [null, { pps: null, bps: 5e7 }], 'not known yet')
  feed.for(60, { pps: 1_000, bps: 4e6 })
  t.strictSame(
    [detector.baseline, detector.thresholds],
    [
      { pps: 1_000, bps: 4e6 },
      { pps: 8_000, bps: 3.2e7 },
    ],
  )
  feed.for(600, { pps: 3_000, bps: 1.2e7 })
  const { baseline, thresholds } = detector
  t.ok((baseline?.pps as number) > 2_500, `it follows: ${baseline?.pps}`)
  t.strictSame(thresholds, { pps: 8 * (baseline?.pps as number), bps: 5e7 }, 'the lower of both')
  feed.for(10, { pps: 100_000, bps: 1e9 })
  t.strictSame(detector.baseline, baseline, 'not the attack')
  const low = new Feed(new FloodDetector())
  low.for(60, { pps: 5, bps: 1_000 })
  t.strictSame(low.detector.thresholds, { pps: 1_000, bps: 1e7 }, 'not below the floor')
  const fixed = new Feed(new FloodDetector({ pps: 50_000, baseline: null }))
  fixed.for(60, { pps: 1_000, bps: 4e6 })
  t.strictSame([fixed.detector.baseline, fixed.detector.thresholds], [null, { pps: 50_000, bps: null }])
  t.end()
})

test('in statistics-only mode: without a vector', (t) => {
  const detector = new FloodDetector({ pps: 1_000, baseline: null })
  const figures = { interval: 1_000, inbound: { packets: 5_000, bytes: 500_000, pps: 5_000, bps: 4e6 } }
  t.match(detector.update(stats({ mode: 'statistics', ...figures })), {
    change: 'attack',
    attack: { vector: 'unknown' },
  })
  t.match(detector.update(stats({ mode: 'statistics', interval: 0 })), { state: 'attack', change: null })
  t.end()
})

test('wrong options', (t) => {
  const wrong: [object, string, string][] = [
    [{ pps: 0 }, 'ERR_OUT_OF_RANGE', 'options.pps'],
    [{ bps: '1G' }, 'ERR_INVALID_ARG_TYPE', 'options.bps'],
    [{ factor: 1 }, 'ERR_OUT_OF_RANGE', 'options.factor'],
    [{ baseline: '1s' }, 'ERR_OUT_OF_RANGE', 'options.baseline'],
    [{ baseline: null }, 'ERR_INVALID_ARG_VALUE', 'options.baseline'],
    [{ floor: { pps: 0 } }, 'ERR_OUT_OF_RANGE', 'options.floor.pps'],
    [{ sustain: 'long' }, 'ERR_INVALID_ARG_VALUE', 'options.sustain'],
    [{ clear: -1 }, 'ERR_OUT_OF_RANGE', 'options.clear'],
    [{ state: { version: 2 } }, 'ERR_INVALID_ARG_VALUE', 'options.state.version'],
    [{ state: { version: 1, at: null, learned: 0, baseline: { pps: 1 } } }, 'ERR_', 'options.state.baseline'],
  ]
  for (const [options, code, name] of wrong) {
    t.throws(() => new FloodDetector(options), { code: new RegExp(`^${code}`), message: new RegExp(name) })
  }
  t.throws(() => new FloodDetector().update(null as never), { code: 'ERR_INVALID_ARG_TYPE' })
  t.end()
})
