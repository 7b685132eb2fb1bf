import type { FloodDetector } from '../detect/index.js'
import { count, duration, printable, rate, rates } from '../figures.js'
import type { Attack, PcapRing, Stats } from '../index.js'
import { type Paint, painter } from './card.js'
import { chart } from './chart.js'
import type { Size } from './panel.js'

/** Of the time that a column stands for, ms. */
const columnMs = 1_000
/** More than any terminal shows. */
const mostColumns = 1_000
const labelWidth = 11
const narrow = 60

export interface LiveState {
  /** Where from. */
  source: string
  stats: Stats
  /** The highest of each column, the newest last. */
  peaks: readonly number[]
  measure: 'pps' | 'bps'
  /** undefined: nothing is judged by it. */
  baseline: FloodDetector['baseline'] | undefined
  thresholds: FloodDetector['thresholds']
  attack: Attack | null
  incidents: readonly { id: string; state: string; packets: number; file: string | null }[]
  capPackets: number
}

/** What `watch` shows on a terminal: rate, chart, ring, baseline and threshold, incidents. */
export function frame(state: LiveState, { columns, rows }: Size, color: boolean): string[] {
  const paint = painter(color)
  const { source, stats, attack, baseline, thresholds, incidents, capPackets } = state
  const label = (text: string): string => paint('cyan', text.padEnd(labelWidth))
  const isNarrow = columns < narrow
  const now = `${printable(source)}  ${rates(stats.inbound)}`
  const lines = [isNarrow ? paint('bold', now) : `${paint('bold', now)} inbound`]

  const below: string[] = []
  if (stats.ring !== null) {
    below.push(`${label('ring')}${count(stats.ring.packets)} packets, ${duration(stats.ring.span)}`)
  }
  if (baseline !== undefined) {
    below.push(`${label('baseline')}${baseline === null ? 'not known yet' : rates(baseline)}`)
  }
  const limits = (['pps', 'bps'] as const).flatMap((measure) => {
    const at = thresholds[measure]
    return at === null ? [] : [rate(at, measure)]
  })
  below.push(`${label('attack at')}${limits.length === 0 ? 'not known yet' : limits.join(isNarrow ? ', ' : ' or ')}`)
  if (attack !== null) {
    const what = `${attack.vector}, ${attack.severity}`
    below.push(label('attack') + paint('red', isNarrow ? what : `${what}, ${rates(attack)} when it was found`))
  }
  for (const { id, state: how, packets, file } of incidents) {
    const name = label('incident') + printable(id)
    if (file === null || how !== 'capturing') {
      below.push(`${name}  ${file === null ? 'counting' : how}`)
      continue
    }
    const figures = `${count(packets)} of ${count(capPackets)}`
    below.push(`${name}  ${isNarrow ? '' : `${bar(packets / capPackets, 20, paint)}  `}${figures}`)
  }
  const height = Math.max(1, Math.min(isNarrow ? 4 : 8, rows - 2 - lines.length - below.length))
  return [...lines, ...chartLines(state, { columns, height }, paint), ...below]
}

function chartLines(
  { peaks, measure, thresholds, attack }: LiveState,
  { columns, height }: { columns: number; height: number },
  paint: Paint,
): string[] {
  const width = columns - 1 - labelWidth - 2
  const mark = thresholds[measure]
  const highest = Math.max(1, ...peaks.slice(-width))
  const top = Math.max(highest, (mark ?? 0) * 1.1)
  return chart(peaks, { width, height, top, mark }).map((row, i) => {
    const scale = i === 0 ? rate(top, measure) : i === height - 1 ? '0' : ''
    return `${paint('dim', `${scale.padStart(labelWidth)} ┤`)}${paint(attack === null ? 'green' : 'red', row)}`
  })
}

function bar(share: number, width: number, paint: Paint): string {
  const full = Math.min(width, Math.round(share * width))
  return '━'.repeat(full) + paint('dim', '─'.repeat(width - full))
}

/** Remembers what the chart needs. */
export class RateHistory {
  readonly #measure: 'pps' | 'bps'
  readonly peaks: number[] = []
  #sinceMs = columnMs

  constructor(measure: 'pps' | 'bps') {
    this.#measure = measure
  }

  add({ inbound, interval }: Stats): void {
    const value = inbound[this.#measure]
    if (this.#sinceMs >= columnMs) {
      this.peaks.push(value)
      if (this.peaks.length > mostColumns) this.peaks.shift()
      this.#sinceMs = 0
    } else {
      this.peaks[this.peaks.length - 1] = Math.max(value, this.peaks.at(-1) ?? 0)
    }
    this.#sinceMs += interval
  }
}

/** Draws a ring that a detector watches, a few times a second, from now on. */
export function showLive(
  ring: PcapRing,
  detector: FloodDetector,
  draw: (lines: (size: Size) => string[]) => void,
  options: Pick<LiveState, 'source' | 'measure' | 'capPackets'> & { byBaseline: boolean; color: boolean },
): void {
  const history = new RateHistory(options.measure)
  let attack: Attack | null = null
  let drawn = -Infinity
  detector.on('attack', (found) => {
    attack = found
  })
  detector.on('clear', () => {
    attack = null
  })
  ring.on('stats', (stats) => {
    history.add(stats)
    // A replay has thousands of intervals a second.
    const at = performance.now()
    if (at - drawn < 100) return
    drawn = at
    const { thresholds } = detector
    const baseline = options.byBaseline ? detector.baseline : undefined
    const source = ring.device ?? options.source
    const state = { ...options, source, stats, peaks: history.peaks, baseline, thresholds, attack }
    draw((size) => frame({ ...state, incidents: ring.incidents }, size, options.color))
  })
}
