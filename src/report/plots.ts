// Plots as SVG. Widths are in percent, and only what holds no text is stretched: so text has its size on every screen.

import { duration, rate } from '../figures.js'
import { area, curveStepAfter, scaleLinear, stack } from './d3.js'
import { type Html, html } from './html.js'
import type { Part } from './parts.js'
import type { Bin, Course } from './rate.js'
import type { Composed } from './view.js'

/** Patterns, which tell the parts without colour; once a page. */
export const patterns: Html = html`<svg class="patterns" width="0" height="0" aria-hidden="true" focusable="false"><defs>
<pattern id="strokes" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="8" height="8" class="pre"/><rect width="1.3" height="8" class="over"/></pattern>
<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="6" height="6" class="onset"/><rect width="2" height="6" class="over"/></pattern>
<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" class="end"/><circle cx="3" cy="3" r="1.2" class="over"/></pattern>
<pattern id="lines" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" class="back"/><rect width="4" height="1.4" class="counted"/></pattern>
<pattern id="missing" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)"><rect width="1.2" height="5" class="faint"/></pattern>
</defs></svg>`

const leastShare = 0.015
const labelledShare = 0.2

/** PRE | ONSET | ATTACK | END, as wide as they have packets. */
export function compositionBar(composed: readonly Composed[]): Html {
  // Every part is to be seen, so the smallest are drawn wider.
  const widths = composed.map(({ share }) => Math.max(share, leastShare))
  const all = widths.reduce((sum, width) => sum + width, 0)
  const scale = scaleLinear().domain([0, all]).range([0, 100])
  let begin = 0
  const segments = composed.map(({ part }, i) => {
    const width = widths[i] as number
    const x = scale(begin)
    const middle = scale(begin + width / 2)
    begin += width
    const label =
      width / all < labelledShare
        ? null
        : html`<g><text class="inside on-${part.toLowerCase()}" x="${percent(middle)}" y="26" text-anchor="middle">${part}</text></g>`
    return html`<rect class="${fill(part)}" x="${percent(x)}" width="${percent(scale(width))}" height="40"/>${label}`
  })
  return html`<svg class="bar" width="100%" height="40" aria-hidden="true" focusable="false">${segments}</svg>`
}

/** The same mark as in the plots, for a legend. */
export const swatch = (part: Part): Html =>
  html`<svg class="swatch" width="14" height="14" aria-hidden="true" focusable="false"><rect class="${fill(part)}" width="14" height="14"/></svg>`

export const missingSwatch: Html = html`<svg class="swatch" width="14" height="14" aria-hidden="true" focusable="false"><rect class="hole" width="14" height="14"/></svg>`

const fill = (part: Part): string => `part-${part.toLowerCase()}`

/** A row's share as a bar in a table, which has the figure, too. */
export function shareBar(value: number, of: number): Html {
  const width = scaleLinear()
    .domain([0, Math.max(1, of)])
    .range([0, 100])
    .clamp(true)(value)
  return html`<svg class="share" width="100%" height="10" aria-hidden="true" focusable="false"><rect class="track" width="100%" height="10"/><rect class="value" width="${percent(width)}" height="10"/></svg>`
}

const plotHeight = 160
const rowHeight = 16
/** Stretched coordinates of what is drawn: 1,000 wide. */
const inside = { width: 1_000, height: 100 }

/** Packets a second over time, its parts on top of one another; `id` of its title. */
export function ratePlot({ title, since, from, to, parts, bins, marks, holes }: Course, id: string): Html {
  const x = scaleLinear().domain([from, to]).range([0, 100])
  const most = Math.max(1, ...bins.map(({ total }) => total))
  const y = scaleLinear().domain([0, most]).nice(3).range([plotHeight, 0])
  const top = marks.length * rowHeight + 16
  const bottom = top + plotHeight

  const ticks = y.ticks(3).filter((tick) => tick > 0)
  const grid = ticks.map(
    (tick) => html`<line class="grid" x1="0" x2="100%" y1="${top + y(tick)}" y2="${top + y(tick)}"/>`,
  )
  const rates = ticks.map((tick) => {
    const text = rate(tick, 'pps').replace('.0 ', ' ')
    return html`<text class="tick" x="2" y="${top + y(tick) - 3}">${text}</text>`
  })
  const axis = placed(timeTicks(from, to).map((tick) => ({ ...tick, place: x(tick.at) }))).map(
    ({ place, anchor, text }) => {
      return html`<line class="axis" x1="${percent(place)}" x2="${percent(place)}" y1="${bottom}" y2="${bottom + 5}"/><text class="tick" x="${percent(place)}" y="${bottom + 17}" text-anchor="${anchor}">${text}</text>`
    },
  )
  const labels = labelled(marks.map(({ name, at }) => ({ name, at, place: Math.min(100, Math.max(0, x(at))) })))
  const lines = labels.map(({ name, place, row }) => {
    const there = percent(place)
    return html`<line class="mark mark-${name}" x1="${there}" x2="${there}" y1="${row * rowHeight + 4}" y2="${bottom}"/>`
  })
  const names = labels.map(({ name, at, place, row, leftwards }) => {
    const [anchor, away] = leftwards ? ['end', -5] : ['start', 5]
    return html`<svg x="${percent(place)}" overflow="visible" width="1" height="1"><text class="label" x="${away}" y="${row * rowHeight + 13}" text-anchor="${anchor}">${name} ${signed(at)}</text></svg>`
  })
  const gaps = holes
    .filter((hole) => x(hole.to) - x(hole.from) > 0.3)
    .map(
      (hole) =>
        html`<rect class="hole" x="${percent(x(hole.from))}" width="${percent(x(hole.to) - x(hole.from))}" y="${top}" height="${plotHeight}"/>`,
    )
  const peak = bins.reduce((best, bin) => (bin.total > best.total ? bin : best), { from: 0, to: 0, pps: {}, total: 0 })
  const told = [
    `Packets a second from ${signed(from)} to ${signed(to)}, counted from ${since}.`,
    `The highest rate drawn is ${rate(peak.total, 'pps')}, at ${signed(peak.from)}.`,
    ...marks.map(({ name, at }) => `${name} at ${signed(at)}.`),
  ].join(' ')
  return html`<svg class="plot" width="100%" height="${bottom + 22}" role="img" aria-labelledby="${id}-title ${id}-text" focusable="false"><title id="${id}-title">${title}</title><desc id="${id}-text">${told}</desc>${gaps}<svg x="0" y="${top}" width="100%" height="${plotHeight}" viewBox="0 0 ${inside.width} ${inside.height}" preserveAspectRatio="none">${shapes(bins, parts, [from, to], y.domain()[1] as number)}</svg>${grid}<line class="axis" x1="0" x2="100%" y1="${bottom}" y2="${bottom}"/>${lines}${axis}${rates}${names}</svg>`
}

interface Label {
  name: string
  at: number
  place: number
  row: number
  leftwards: boolean
}

/**
 * Each label in a row of its own, where its line begins. In the right part they stand to the left of their lines, the rightmost on
 * top; the others below, the leftmost first: so no label lies across a line that begins above it.
 */
function labelled(marks: readonly Pick<Label, 'name' | 'at' | 'place'>[]): Label[] {
  const right = marks.filter(({ place }) => place > 60).sort((a, b) => b.place - a.place)
  const left = marks.filter(({ place }) => place <= 60).sort((a, b) => a.place - b.place)
  return [...right, ...left].map((mark, row) => ({ ...mark, row, leftwards: row < right.length }))
}

function shapes(bins: readonly Bin[], parts: readonly Part[], [from, to]: [number, number], most: number): Html[] {
  const x = scaleLinear().domain([from, to]).range([0, inside.width])
  const y = scaleLinear().domain([0, most]).range([inside.height, 0])
  // A step needs to know where the last one ends.
  const points: Bin[] = [...bins, { ...(bins.at(-1) as Bin), from: to }]
  const layers = stack<Bin, Part>()
    .keys(parts)
    .value((bin, part) => bin.pps[part] ?? 0)(points)
  return layers.map((layer) => {
    const path = area<(typeof layer)[number]>()
      .x(({ data }) => rounded(x(data.from)))
      .y0(([low]) => rounded(y(low)))
      .y1(([, high]) => rounded(y(high)))
      .curve(curveStepAfter)(layer)
    return html`<path class="${fill(layer.key)}" d="${path ?? ''}"/>`
  })
}

const units = [
  { name: 'ms', ms: 1, from: 0 },
  { name: 's', ms: 1_000, from: 1_000 },
  { name: 'min', ms: 60_000, from: 300_000 },
  { name: 'h', ms: 3_600_000, from: 18_000_000 },
  { name: 'd', ms: 86_400_000, from: 432_000_000 },
] as const

/** Few enough for a phone. */
const mostTicks = 4
/** Percent between a tick whose text stands inwards and the next one. */
const leastApart = 23

function timeTicks(from: number, to: number): { at: number; text: string }[] {
  const unit = units.findLast(({ from: least }) => to - from >= least) ?? units[0]
  return scaleLinear()
    .domain([from / unit.ms, to / unit.ms])
    .ticks(mostTicks)
    .map((tick) => ({
      at: tick * unit.ms,
      text: `${tick < 0 ? '−' : ''}${Number(Math.abs(tick).toFixed(6))} ${unit.name}`,
    }))
}

/** At the edges their texts stand inwards: without those for which that leaves no room beside the next one, on a phone. */
function placed(ticks: readonly { text: string; place: number }[]): { text: string; place: number; anchor: string }[] {
  const anchored = ticks.map((tick) => ({
    ...tick,
    anchor: tick.place < 8 ? 'start' : tick.place > 92 ? 'end' : 'middle',
  }))
  return anchored.filter(({ place, anchor }, i) => {
    const next = anchor === 'start' ? ticks[i + 1] : anchor === 'end' ? ticks[i - 1] : undefined
    return next === undefined || Math.abs(next.place - place) > leastApart
  })
}

/** `+1.5 s`, `−20 ms`, `0`. */
export function signed(ms: number): string {
  if (ms === 0) return '0'
  const length = Math.abs(ms)
  const shown = length >= 60_000 ? length : Number(length.toPrecision(4))
  return `${ms < 0 ? '−' : '+'}${duration(shown)}`
}

const percent = (value: number): string => `${rounded(value)}%`
const rounded = (value: number): number => Number(value.toFixed(2))
