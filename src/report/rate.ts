// The rate over time, from a report's timelines. All times are ms, 0 at the freeze (of a recording: at its first packet).

import { type Part, partOf } from './parts.js'
import type { AnyReport } from './types.js'

/** Packets that came within a stretch of time. */
interface Slot {
  from: number
  to: number
  packets: number
  part: Part
}

interface Hole {
  from: number
  to: number
}

interface Mark {
  name: string
  at: number
}

export interface Bin {
  from: number
  to: number
  /** Packets a second, by part. */
  pps: Partial<Record<Part, number>>
  total: number
}

export interface Course {
  title: string
  /** What its time counts from. */
  since: string
  from: number
  to: number
  parts: Part[]
  bins: Bin[]
  /** The same in few, for a table. */
  rows: Bin[]
  marks: Mark[]
  /** Where packets are missing. */
  holes: Hole[]
}

const mostBins = 180
const fewBins = 12
const order: readonly Part[] = ['PRE', 'ONSET', 'ATTACK', 'CAPTURE', 'RECORDING', 'COUNTED', 'END']

/** What can be drawn of a report: the incident as a whole, and what of it is in the file where that is a small part only. */
export function coursesOf(report: AnyReport): Course[] {
  if (report.kind === 'recording') {
    const { from, to, traffic } = report
    if (from === null || to === null) return []
    const since = clockOf(traffic.timeline[0]?.at ?? from)
    const slots = fileSlots(traffic.timeline, since)
    return [course('Packets in the recording', 'the first packet', slots, since(from), since(to), [], [])]
  }
  const since = clockOf(report.frozenAt)
  const marks = marksOf(report, since)
  const holes = report.coverage.gaps.map(({ from, to }) => ({ from: since(from), to: since(to) }))
  const inFile = fileSlots(report.traffic?.timeline ?? [], since)
  const counted = countedSlots(report, since)
  const cap = marks.find(({ name }) => name === 'cap')?.at
  const whole = [
    ...inFile.filter(({ part }) => part === 'PRE' || part === 'ONSET' || part === 'END' || counted.length === 0),
    ...counted.flatMap((slot) => splitAt(slot, report.traffic === null ? -Infinity : cap)),
  ]
  if (whole.length === 0) return []
  const first = report.from === null ? 0 : Math.min(0, since(report.from))
  const last = Math.max(since(report.resolvedAt), report.to === null ? 0 : since(report.to))
  // What is missing in the file behind the cap was counted, and is in the rate.
  const unseen = holes.filter(({ from }) => cap === undefined || from < cap || counted.length === 0)
  const all = course('The whole incident', 'the freeze', whole, first, last, marks, holes, unseen)
  if (report.from === null || report.to === null) return [all]
  const [fileFrom, fileTo] = [since(report.from), since(report.to)]
  if (fileTo - fileFrom > (last - first) / 2 || fileTo <= fileFrom) return [all]
  const near = marks.filter(({ at }) => at >= fileFrom && at <= fileTo)
  return [all, course('Packets in the file', 'the freeze', inFile, fileFrom, fileTo, near, holes)]
}

type Clock = (time: string) => number

/** Times as ms since another one, exact to the nanosecond as long as they are near. */
function clockOf(origin: string): Clock {
  const zero = nsOf(origin)
  return (time) => Number(nsOf(time) - zero) / 1e6
}

const nsOf = (time: string): bigint => {
  const [whole = '', fraction = ''] = time.slice(0, -1).split('.')
  return BigInt(Date.parse(`${whole}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}

function marksOf(report: Exclude<AnyReport, { kind: 'recording' }>, since: Clock): Mark[] {
  const { coverage, capped, sections, kind, resolvedAt } = report
  const marks: Mark[] = []
  if (coverage.onsetAt !== null) marks.push({ name: 'onset', at: since(coverage.onsetAt) })
  marks.push({ name: kind === 'manual' ? 'begin' : 'freeze', at: 0 })
  const recorded = sections.filter(({ name }) => name !== 'resolution').at(-1)
  if (capped !== null && recorded !== undefined) marks.push({ name: 'cap', at: since(recorded.to) })
  marks.push({ name: 'resolved', at: since(resolvedAt) })
  return marks
}

/** Slots of a file have one length, 1 ms or a power of two of that, which is not told: what they all lie on. */
function fileSlots(timeline: readonly { at: string; packets: number; section: string }[], since: Clock): Slot[] {
  const starts = timeline.map(({ at }) => Math.round(since(at)))
  // With half as many as there may be, it has never been doubled.
  let length = 1
  while (timeline.length > 300 && starts.every((start) => start % (2 * length) === 0)) length *= 2
  return timeline.map(({ packets, section }, i) => {
    const from = starts[i] as number
    return { from, to: from + length, packets, part: partOf(section) }
  })
}

/** Slots of the statistics reach to the next one, the last to the end. */
function countedSlots(
  { statistics, resolvedAt, kind }: Exclude<AnyReport, { kind: 'recording' }>,
  since: Clock,
): Slot[] {
  const starts = statistics.timeline.map(({ at }) => since(at))
  const part = kind === 'manual' ? 'CAPTURE' : 'ATTACK'
  const slots: Slot[] = []
  for (const [i, { packets }] of statistics.timeline.entries()) {
    const from = starts[i] as number
    const to = starts[i + 1] ?? Math.max(from, since(resolvedAt))
    const before = slots.at(-1)
    // A sliver of an interval makes no rate.
    const longest = Math.max(...slots.map((slot) => slot.to - slot.from))
    if (before !== undefined && (to - from < longest / 4 || before.to - before.from < (to - from) / 4)) {
      slots[slots.length - 1] = { ...before, to, packets: before.packets + packets }
    } else {
      slots.push({ from, to, packets, part })
    }
  }
  return slots.filter(({ from, to }) => to > from)
}

/** Behind the cap packets are counted only. */
function splitAt(slot: Slot, cap: number | undefined): Slot[] {
  if (cap === undefined || slot.to <= cap) return [slot]
  if (slot.from >= cap) return [{ ...slot, part: 'COUNTED' }]
  const packets = (slot.packets * (cap - slot.from)) / (slot.to - slot.from)
  return [
    { ...slot, to: cap, packets },
    { ...slot, from: cap, packets: slot.packets - packets, part: 'COUNTED' },
  ]
}

function course(
  title: string,
  since: string,
  slots: readonly Slot[],
  first: number,
  last: number,
  marks: Mark[],
  gaps: readonly Hole[],
  unseen: readonly Hole[] = gaps,
): Course {
  const shortest = slots.reduce((least, { from, to }) => Math.min(least, to - from), Infinity)
  const [from, to] = last > first ? [first, last] : [first, first + 1]
  const within = (holes: readonly Hole[]): Hole[] =>
    holes
      .map((hole) => ({ from: Math.max(hole.from, from), to: Math.min(hole.to, to) }))
      .filter((hole) => hole.to > hole.from)
  const length = Math.max((to - from) / mostBins, Math.min(shortest, to - from))
  // On a grid from 0 on, so that no bin lies on both sides of the freeze.
  const edges = [from]
  for (let edge = Math.floor(from / length) + 1; edge * length < to; edge++) {
    if (edge * length > from) edges.push(edge * length)
  }
  edges.push(to)
  const few = Array.from({ length: fewBins + 1 }, (_, i) => from + ((to - from) * i) / fewBins)
  return {
    title,
    since,
    from,
    to,
    parts: order.filter((part) => slots.some((slot) => slot.part === part && slot.packets > 0)),
    bins: binned(slots, edges, within(unseen), length / 4),
    rows: binned(slots, few, within(unseen), 0),
    marks,
    holes: within(gaps),
  }
}

/** @param least ms: a bin that is shorter, but for what is missing, takes the rate of the one before it */
function binned(slots: readonly Slot[], edges: readonly number[], holes: readonly Hole[], least: number): Bin[] {
  const [first, last] = [edges[0] as number, edges.at(-1) as number]
  const bins: Bin[] = edges.slice(1).map((to, i) => ({ from: edges[i] as number, to, pps: {}, total: 0 }))
  let begin = 0
  // Slots may overlap where sections meet, but begin in order.
  for (const slot of [...slots].sort((a, b) => a.from - b.from)) {
    const from = Math.max(first, Math.min(slot.from, last))
    const to = Math.max(from, Math.min(slot.to, last))
    while (begin < bins.length - 1 && (bins[begin] as Bin).to <= from) begin++
    for (let i = begin; i < bins.length; i++) {
      const bin = bins[i] as Bin
      if (i > begin && bin.from >= to) break
      const share = to > from ? Math.max(0, Math.min(to, bin.to) - Math.max(from, bin.from)) / (to - from) : 1
      bin.pps[slot.part] = (bin.pps[slot.part] ?? 0) + slot.packets * share
    }
  }
  for (const [i, bin] of bins.entries()) {
    const missing = holes.reduce(
      (sum, hole) => sum + Math.max(0, Math.min(hole.to, bin.to) - Math.max(hole.from, bin.from)),
      0,
    )
    const length = bin.to - bin.from - missing
    const whole = length > 0 && length >= least ? length : Math.max(bin.to - bin.from, least)
    for (const part of Object.keys(bin.pps) as Part[]) bin.pps[part] = ((bin.pps[part] ?? 0) * 1_000) / whole
    bin.total = Object.values(bin.pps).reduce((sum, pps) => sum + pps, 0)
    bins[i] = bin
  }
  return bins
}
