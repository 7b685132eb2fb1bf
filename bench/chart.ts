// The chart: what a packet costs the receiving side, of each contestant in each case. Drawn by Vega, which needs no browser.

import { contestants } from './contestants.js'
import type { Figures } from './derive.js'
import type { Case } from './plan.js'
import { median, range } from './statistics.js'
import { caseName } from './summary.js'
import { svg } from './vega.js'

interface Point {
  case: string
  contestant: string
  group: 'pcap-ring' | 'floor and libpcap' | 'others'
  median: number
  low: number
  high: number
}

/** The least that the logarithmic axis shows: what is below was not to be told from nothing. */
const least = 0.1

const groupOf = (name: string): Point['group'] =>
  name.startsWith('pcap-ring') ? 'pcap-ring' : name === 'floor' || name === 'libpcap' ? 'floor and libpcap' : 'others'

/** Whose figure is what it takes to capture; the baseline has none. */
const shown = contestants.map(({ name }) => name).filter((name) => name !== 'nothing' && name !== 'reject')

function points(figures: readonly Figures[], cases: readonly Case[]): Point[] {
  return cases.flatMap((one) =>
    shown.flatMap((contestant): Point[] => {
      const values = figures
        .filter(({ rate, bytes, contestant: name }) => rate === one.rate && bytes === one.bytes && name === contestant)
        .map(({ receiving }) => Math.max(least, receiving))
      if (values.length === 0) return []
      return [{ case: caseName(one), contestant, group: groupOf(contestant), median: median(values), ...range(values) }]
    }),
  )
}

/** Calm and flood, small packets and large: of what was measured, four cases at most, the busiest last. */
export function casesShown(cases: readonly Case[]): Case[] {
  const wanted = cases.filter(({ rate, bytes }) => (rate === 10_000 || rate === 'flat') && bytes !== 512)
  return (wanted.length > 0 ? wanted : cases).slice(-4)
}

function spec(figures: readonly Figures[], cases: readonly Case[]): object {
  const chosen = casesShown(cases)
  const axis = { field: 'contestant', type: 'nominal', sort: shown, title: null }
  const scale = { type: 'log', nice: true }
  const title = 'ns of CPU for each packet offered (logarithmic)'
  const x = { type: 'quantitative', scale, title, axis: { values: [0.1, 1, 10, 100, 1_000, 10_000], format: '~r' } }
  const color = {
    field: 'group',
    type: 'nominal',
    scale: { domain: ['pcap-ring', 'floor and libpcap', 'others'], range: ['#d1495b', '#66707a', '#2e7da6'] },
    legend: null,
  }
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: {
      text: 'What a packet costs the receiving side',
      subtitle: 'median and range; of pcap-ring its capture thread, of the others the process',
      anchor: 'start',
    },
    background: 'white',
    config: { axis: { titleFontWeight: 'normal' }, header: { labelFontWeight: 'bold' } },
    data: { values: points(figures, chosen) },
    facet: { field: 'case', type: 'nominal', sort: chosen.map(caseName), title: null },
    columns: 2,
    spec: {
      width: 300,
      layer: [
        {
          mark: { type: 'rule', strokeWidth: 2 },
          encoding: { y: axis, x: { ...x, field: 'low' }, x2: { field: 'high' }, color },
        },
        {
          mark: { type: 'point', filled: true, size: 60, opacity: 1 },
          encoding: { y: axis, x: { ...x, field: 'median' }, color },
        },
        {
          mark: { type: 'text', align: 'left', dx: 8, dy: -7, fontSize: 9 },
          encoding: {
            y: axis,
            x: { ...x, field: 'median' },
            text: { field: 'median', type: 'quantitative', format: '.2~r' },
          },
        },
      ],
    },
  }
}

export function chart(figures: readonly Figures[], cases: readonly Case[]): Promise<string> {
  return svg(spec(figures, cases))
}
