// What watch shows on a terminal, at the sizes of terminals; and that a panel leaves nothing behind.

import { test } from 'tap'

import { chart } from '../../src/cli/chart.js'
import { frame, type LiveState, RateHistory } from '../../src/cli/live-view.js'
import { Panel } from '../../src/cli/panel.js'
import type { Attack } from '../../src/index.js'
import { stats } from '../../src/testing.js'
import { Screen } from '../support/terminal.js'

const inbound = { packets: 13_025, bytes: 6_675_000, pps: 52_100, bps: 26_700_000 }
const state: LiveState = {
  source: 'eth0',
  stats: stats({ inbound, ring: { packets: 500, bytes: 32_000, span: 9.6, oldest: '2026-01-01T00:00:00.000000Z' } }),
  peaks: [...Array(50).fill(1_000), 20_000, 52_100],
  measure: 'pps',
  baseline: { pps: 1_000, bps: 500_000 },
  thresholds: { pps: 8_000, bps: 10_000_000 },
  attack: { vector: 'udp-flood', severity: 'medium', pps: 52_100, bps: 26_700_000 } as Attack,
  incidents: [{ id: '3f9a1c22', state: 'capturing', packets: 3_400, file: '/x.pcap' }],
  capPackets: 10_000,
}

test('80 columns', (t) => {
  t.strictSame(frame(state, { columns: 80, rows: 24 }, false), [
    'eth0  52.1 kpps, 26.7 Mbit/s inbound',
    `  52.1 kpps ┤${' '.repeat(65)}█`,
    `            ┤${' '.repeat(65)}█`,
    `            ┤${' '.repeat(65)}█`,
    `            ┤${' '.repeat(65)}█`,
    `            ┤${' '.repeat(64)}▁█`,
    `            ┤${' '.repeat(64)}██`,
    `            ┤${'┄'.repeat(64)}██`,
    `          0 ┤${' '.repeat(14)}${'▁'.repeat(50)}██`,
    'ring       500 packets, 9.6 ms',
    'baseline   1.0 kpps, 500.0 kbit/s',
    'attack at  8.0 kpps or 10.0 Mbit/s',
    'attack     udp-flood, medium, 52.1 kpps, 26.7 Mbit/s when it was found',
    'incident   3f9a1c22  ━━━━━━━─────────────  3,400 of 10,000',
  ])
  t.end()
})

test('40 columns', (t) => {
  t.strictSame(frame(state, { columns: 40, rows: 24 }, false), [
    'eth0  52.1 kpps, 26.7 Mbit/s',
    `  52.1 kpps ┤${' '.repeat(25)}█`,
    `            ┤${' '.repeat(25)}█`,
    `            ┤${' '.repeat(24)}▄█`,
    `          0 ┤${'▁'.repeat(24)}██`,
    'ring       500 packets, 9.6 ms',
    'baseline   1.0 kpps, 500.0 kbit/s',
    'attack at  8.0 kpps, 10.0 Mbit/s',
    'attack     udp-flood, medium',
    'incident   3f9a1c22  3,400 of 10,000',
  ])
  t.end()
})

test('whatever the size, it fits; colours do not count', (t) => {
  const many = Array.from({ length: 3 }, (_, i) => ({ id: `incident-${i}`, state: 'capped', packets: 1, file: 'x' }))
  for (const columns of [20, 39, 40, 59, 60, 80, 200]) {
    for (const rows of [5, 10, 24, 60]) {
      for (const changed of [{}, { incidents: many }, { attack: null, baseline: null, peaks: [] }]) {
        const screen = new Screen(columns, rows)
        const panel = new Panel({ write: (text) => screen.write(text), columns, rows })
        panel.draw(frame({ ...state, ...changed }, panel.size, true))
        t.ok(screen.lines.length <= rows, `${columns} × ${rows}`)
        t.ok(screen.text.every((line) => [...line].length < columns))
        panel.draw(frame({ ...state, ...changed }, panel.size, true))
        panel.draw(null)
        t.strictSame(screen.text.join(''), '')
        t.strictSame(screen.cursor, { row: 0, column: 0 })
      }
    }
  }
  t.end()
})

test('no colours unless they are wanted', (t) => {
  t.notMatch(frame(state, { columns: 80, rows: 24 }, false).join(''), '\x1b')
  t.match(frame(state, { columns: 80, rows: 24 }, true).join(''), '\x1b[31m')
  t.end()
})

test('what is not known, and what has no file', (t) => {
  const unknown = { ...state, baseline: null, thresholds: { pps: null, bps: null }, attack: null, peaks: [] }
  const text = frame(
    {
      ...unknown,
      stats: { ...stats(), mode: 'statistics', ring: null } as never,
      incidents: [{ id: 'a', state: 'capturing', packets: 0, file: null }],
    },
    { columns: 80, rows: 24 },
    false,
  ).join('\n')
  t.match(text, /baseline {3}not known yet\nattack at {2}not known yet\nincident {3}a {2}counting$/)
  t.notMatch(text, /^ring/m)
  const without = frame({ ...unknown, baseline: undefined }, { columns: 80, rows: 24 }, false).join('\n')
  t.notMatch(without, 'baseline', 'nor what nothing is judged by')
  t.notMatch(text, '┄')
  t.end()
})

test('what a terminal is sent steers it nowhere', (t) => {
  const lines = frame({ ...state, source: 'a\x1b[2Jb' }, { columns: 80, rows: 24 }, false)
  t.match(lines[0], 'a\\u001b[2Jb')
  t.end()
})

test('a panel is taken away before anything else, and put back below it', (t) => {
  const screen = new Screen(20, 6)
  const terminal = { write: (text: string) => screen.write(text), columns: 20, rows: 6 }
  const panel = new Panel(terminal)
  screen.write('before\n')
  panel.above(() => screen.write('and\n'))
  panel.draw(['one', 'two', '', 'a line that is longer than the terminal'])
  t.strictSame(screen.text, ['before', 'and', 'one', 'two', '', 'a line that is long'])
  panel.above(() => screen.write('news\n'))
  t.strictSame(screen.text, ['before', 'and', 'news', 'one', 'two', '', 'a line that is long'])
  panel.draw(['three'])
  t.strictSame(screen.text.slice(0, 4), ['before', 'and', 'news', 'three'])
  panel.draw(null)
  panel.draw(null)
  t.strictSame(screen.cursor, { row: 3, column: 0 })
  t.equal(screen.text.slice(3).join(''), '')
  t.end()
})

test('a terminal that was made narrower has wrapped what it showed', (t) => {
  const terminal = { text: '', write: (text: string) => (terminal.text = text), columns: 80, rows: 24 }
  const panel = new Panel(terminal)
  panel.draw(['x'.repeat(60), 'y'])
  terminal.columns = 40
  panel.draw(null)
  t.equal(terminal.text, '\r\x1b[2A\x1b[J', 'two rows of the first, one of the second')
  t.end()
})

test('a chart: what is there is seen, what is above is cut', (t) => {
  const options = { width: 4, height: 2, top: 100, mark: null }
  t.strictSame(chart([0, 0.1, 50, 100], options), ['   █', ' ▁██'])
  t.strictSame(chart([500], options), ['   █', '   █'])
  t.strictSame(chart([9, 1, 1, 1, 75], options), ['   ▄', '▁▁▁█'])
  t.strictSame(chart([10], { ...options, mark: 60 }), ['┄┄┄┄', '   ▂'])
  t.end()
})

test('a column is the highest of a second', (t) => {
  const history = new RateHistory('pps')
  const add = (pps: number, interval: number) =>
    history.add(stats({ interval, inbound: { packets: 0, bytes: 0, pps, bps: 0 } }))
  for (const pps of [1, 5, 2, 3, 4]) add(pps, 250)
  t.strictSame(history.peaks, [5, 4])
  add(9, 5_000)
  t.strictSame(history.peaks, [5, 9])
  add(1, 250)
  t.strictSame(history.peaks, [5, 9, 1])
  for (let i = 0; i < 1_500; i++) add(i, 1_000)
  t.equal(history.peaks.length, 1_000)
  t.end()
})
