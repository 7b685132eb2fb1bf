// An incident's report and file, judged by what really passed: every figure is computed again, by nothing of src/ or
// native/. The rules are the contract's: which packets stand in which section, what is missing, what is said of it.

import type { Gap, IncidentReport, SectionName } from '../../src/types.js'
import { type Frame, nsOf, readEvidence } from './evidence.js'
import { headersOf } from './headers.js'
import { parseCapture } from './pcapng-file.js'
import { headersIn, type Passed, type Stream, whichOf } from './streams.js'
import { countsOf, wrongTraffic } from './traffic.js'

/** What the ring and the freeze were asked for, where it is not the default. Durations in ms. */
export interface Asked {
  /** `ring.packets`. */
  packets?: number
  lookback?: number
  cap?: { packets?: number; bytes?: number; duration?: number }
  resolution?: { packets?: number; duration?: number; reserve?: boolean }
  statsInterval?: number
  /** Packets are so large that `ring.bytes` is the bound: sections may have fewer. */
  bounded?: boolean
  /** Which packet a frame is, where the frames are not those of streams.ts. */
  which?: (frame: Frame) => { stream: Stream; number: number } | null
}

/** A frame of the file, and which of all that passed it is. */
export interface Placed extends Frame {
  stream: Stream
  number: number
  place: number
}

interface Index {
  places: Record<Stream, number[]>
  /** Packet time: the running maximum, ns. */
  clock: BigInt64Array
}

interface Case {
  report: IncidentReport
  frames: Placed[]
  truth: readonly Passed[]
  clock: BigInt64Array
  asked: Asked
  /** How many had passed when the ring was frozen, and when the incident was resolved. */
  frozen: number
  resolved: number
}

const indices = new WeakMap<readonly Passed[], Index>()

function indexOf(truth: readonly Passed[]): Index {
  const known = indices.get(truth)
  if (known !== undefined) return known
  const index: Index = { places: { calm: [], flood: [] }, clock: new BigInt64Array(truth.length) }
  let latest = -(2n ** 62n)
  truth.forEach(({ stream, number, time }, place) => {
    index.places[stream][number] = place
    if (time > latest) latest = time
    index.clock[place] = latest
  })
  indices.set(truth, index)
  return index
}

/** How many packets had been read when packet time came to `time`. */
function passedBefore(clock: BigInt64Array, time: bigint): number {
  let [low, high] = [0, clock.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((clock[middle] as bigint) < time) low = middle + 1
    else high = middle
  }
  return low
}

/** The frames of a file by what passed, and what cannot be so. */
export function placed(
  report: IncidentReport,
  truth: readonly Passed[],
  which: NonNullable<Asked['which']> = whichOf,
): { frames: Placed[]; wrong: string[] } {
  const { frames, wrong } = readEvidence(report)
  const { places } = indexOf(truth)
  const digits = report.frozenAt.length === 27 ? 1_000n : 1n
  const found: Placed[] = []
  let last = -1
  for (const [i, frame] of frames.entries()) {
    const told = which(frame)
    const place = told ? places[told.stream][told.number] : undefined
    const passed = place === undefined ? undefined : truth[place]
    if (told === null || place === undefined || passed === undefined) {
      wrong.push(`frame ${i + 1} never passed`)
      continue
    }
    const name = `frame ${i + 1} (${told.stream} ${told.number})`
    if (frame.time !== passed.time - (passed.time % digits)) wrong.push(`${name}: passed at ${passed.time}`)
    if (frame.len !== passed.length) wrong.push(`${name}: is ${frame.len} bytes long, not ${passed.length}`)
    if (place <= last) wrong.push(`${name}: stands behind one that passed later, or twice`)
    last = place
    found.push({ ...frame, ...told, place })
  }
  return { frames: found, wrong }
}

const placesOf = ({ frames }: Case, name: SectionName): number[] =>
  frames.flatMap(({ section, place }) => (section === name ? [place] : []))

/** `12…40, 50…60`: runs of places, for comparing and for telling. */
function runs(places: readonly number[]): string {
  const all: [number, number][] = []
  for (const place of places) {
    const last = all.at(-1)
    if (last !== undefined && last[1] === place - 1) last[1] = place
    else all.push([place, place])
  }
  return all.length > 12 ? `${all.length} runs` : all.map(([from, to]) => `${from}…${to}`).join(', ')
}

const run = (from: number, to: number): string => (to > from ? `${from}…${to - 1}` : '')
const both = (...parts: string[]): string => parts.filter((part) => part !== '').join(', ')

/** Nothing after the freeze is in the file, so that the newest of what came before it may be all there is. */
function cutFromTheFront({ report, frames }: Case): boolean {
  const opening = frames.filter(({ section }) => ['history', 'pre-buffer', 'onset'].includes(section))
  return (report.capped === 'packets' || report.capped === 'bytes') && opening.length === frames.length
}

function wrongOpening(one: Case): string[] {
  const { frozen, asked, report } = one
  const { packets: n = 500, bounded = false } = asked
  const [history, before, onset] = (['history', 'pre-buffer', 'onset'] as const).map((name) => placesOf(one, name)) as [
    number[],
    number[],
    number[],
  ]
  const wrong: string[] = []
  const check = (good: boolean, what: string): void => {
    if (!good) wrong.push(what)
  }
  const cut = cutFromTheFront(one)
  // A ring of one packet keeps nothing of the flood's first half.
  const { onsetAt, onsetSource } = report.coverage
  const watched = onsetSource === 'watch' && onsetAt !== null
  const edge = watched && n === 1 ? passedBefore(one.clock, nsOf(onsetAt)) : (onset[0] ?? frozen)

  const room = n - history.length
  const there = Math.min(room, edge)
  check(before.length <= room, `pre-buffer: ${before.length} and a history of ${history.length} in a ring of ${n}`)
  check(
    runs(before) === run(edge - before.length, edge),
    `pre-buffer: ${runs(before)} does not lead without a hole up to ${edge}`,
  )
  if (!cut && !bounded && room > 0) {
    // What the onset's first packets took of the ring until they were known for what they are.
    const least = onset.length > 0 ? Math.ceil(0.9 * there) : there
    check(before.length >= least, `pre-buffer: ${before.length} of ${there}`)
  }

  if (onset.length > 0) {
    const passed = frozen - edge
    const whole = passed <= n
    // The first half is held before it is known where it begins: some packets may fall to the newest instead.
    const opening = onset.findIndex((place, i) => place !== edge + i)
    const half = Math.floor(n / 2)
    const least = Math.max(Math.min(50, half), half - 128)
    const first = Math.min(half, Math.max(least, opening === -1 ? half : opening))
    const wanted = whole
      ? run(edge, frozen)
      : both(run(edge, edge + first), run(Math.max(edge + first, frozen - (n - first)), frozen))
    check(onset.length <= n, `onset: ${onset.length} in a ring of ${n}`)
    if (!cut && !bounded) {
      check(runs(onset) === wanted, `onset: ${runs(onset)}, not ${wanted}`)
    } else {
      const holes = onset.filter((place, i) => i > 0 && place !== (onset[i - 1] as number) + 1).length
      check(holes <= 1, `onset: has ${holes} holes`)
      check(onset.at(-1) === frozen - 1, `onset: ends at ${onset.at(-1)}, not with the newest, ${frozen - 1}`)
    }
    check(report.coverage.onsetSource === 'watch', `onset: without a kept onset, but ${report.coverage.onsetSource}`)
    check(history.length === 0, 'onset: with a history before it')
  } else if (!cut) {
    check(report.coverage.onsetSource !== 'watch', 'a kept onset without a section')
  }
  return wrong
}

/** At most 128, evenly in time, over no more than the lookback. */
function wrongHistory(one: Case): string[] {
  const { truth, frames, asked, report } = one
  const history = frames.filter(({ section }) => section === 'history')
  const wrong: string[] = []
  for (const { name, sampling } of report.sections) {
    if (name !== 'history' && sampling !== null) wrong.push(`${name}: is said to be sampled`)
  }
  if (history.length === 0) return wrong
  if (history.length > 128) wrong.push(`history: ${history.length} packets`)
  // The last one stands for all up to the packet behind it.
  const steps = frames.slice(1, history.length + 1).map(({ place }, i) => place - (history[i] as Placed).place)
  const said = report.sections[0]?.sampling
  if (!said || said.min < 1 || said.min > said.max) wrong.push(`history: sampling is ${JSON.stringify(said)}`)
  if (said && steps.length > 0) {
    const [min, max] = [Math.min(...steps), Math.max(...steps)]
    if (said.min !== min || said.max !== max) {
      wrong.push(`history: sampling is ${said.min}…${said.max}, the samples lie ${min}…${max} apart`)
    }
  }
  const lookback = BigInt(asked.lookback ?? 10_000) * 1_000_000n
  const [first, last] = [history[0] as Placed, history.at(-1) as Placed]
  const span = last.time - first.time
  if (span > lookback) wrong.push(`history: spans ${span} ns`)
  if (history.length < 16) return wrong
  const mean = span / BigInt(history.length - 1)
  for (const [i, sample] of history.slice(1).entries()) {
    const before = history[i] as Placed
    if (sample.time - before.time <= 4n * mean) continue
    // So long a silence was one, or somebody should have been taken from its middle.
    const middle = truth.slice(before.place + 1, sample.place)
    const missed = middle.filter(({ time }) => time - before.time > 2n * mean && sample.time - time > mean)
    if (missed.length > 0) {
      wrong.push(`history: nothing of ${missed.length} packets in ${sample.time - before.time} ns, ${mean} is the mean`)
    }
  }
  return wrong
}

function wrongAfterwards(one: Case): string[] {
  const { report, frames, truth, clock, asked, frozen, resolved } = one
  const { packets: capPackets = 10_000, duration: capDuration } = asked.cap ?? {}
  const wrong: string[] = []
  const same = (what: string, is: unknown, wanted: unknown): void => {
    if (is !== wanted) wrong.push(`${what}: ${is}, not ${wanted}`)
  }
  const [attack, resolution] = [placesOf(one, 'attack'), placesOf(one, 'resolution')]
  same('attack', runs(attack), run(frozen, frozen + attack.length))
  const { packets: most = 100, duration = 1_000, reserve = false } = asked.resolution ?? {}
  if (report.capped === 'packets') {
    // With a reserve, the attack ends before the whole file does.
    const kept = reserve ? Math.min(most, capPackets) : 0
    if (kept > 0) same('capped at', frames.length - resolution.length, capPackets - kept)
    else same('capped at', frames.length, capPackets)
  }
  if (report.capped === 'duration') {
    const end = nsOf(report.frozenAt) + BigInt(capDuration ?? 0) * 1_000_000n
    same('attack until the cap', frozen + attack.length, Math.min(resolved, passedBefore(clock, end)))
  }
  if (report.capped === null || (resolution.length > 0 && !reserve))
    same('attack until', frozen + attack.length, resolved)

  const end = passedBefore(clock, nsOf(report.resolvedAt) + BigInt(duration) * 1_000_000n)
  const room = report.capped === 'bytes' ? resolution.length : capPackets - (frames.length - resolution.length)
  // After a recording's end no more packet time passes.
  const left = most === 0 || duration === 0 || report.capped === 'duration' ? 0 : end - resolved
  const wanted = resolved === truth.length ? 0 : Math.max(0, Math.min(most, left, room))
  same('resolution', runs(resolution), run(resolved, resolved + wanted))
  return wrong
}

const told = ({ from, to, packets, exact, reason }: Gap): string =>
  `${packets} ${exact ? '' : 'or so '}between ${from} and ${to}: ${reason}`

function wrongCoverage(one: Case): string[] {
  const { report, frames, asked } = one
  const { coverage } = report
  const wrong: string[] = []
  const same = (what: string, said: unknown, is: unknown): void => {
    if (said !== is) wrong.push(`${what}: the report says ${said}, the file ${is}`)
  }

  const holes = frames.slice(1).flatMap((frame, i) => {
    const before = frames[i] as Placed
    const packets = frame.place - before.place - 1
    if (packets <= 0) return []
    const reason = before.section === 'history' ? 'sampling' : 'ring'
    return [{ from: before.time, to: frame.time, packets, exact: true, reason }]
  })
  const gaps = coverage.gaps.map((gap) => ({ ...gap, from: nsOf(gap.from), to: nsOf(gap.to) }))
  const sum = (all: { packets: number | null }[]): number =>
    all.reduce((total, { packets }) => total + (packets ?? 0), 0)
  same('gaps', sum(gaps), sum(holes))
  const text = (all: object[]): string[] => all.map((gap) => told(gap as Gap))
  const [said, is] = [text(gaps), text(holes)]
  for (const gap of said) if (!is.includes(gap)) wrong.push(`a gap that is none: ${gap}`)
  for (const gap of is) if (!said.includes(gap)) wrong.push(`a gap not told: ${gap}`)
  same('complete', coverage.complete, holes.length === 0)

  const opens = frames.find(({ section }) => section === 'onset')
  if (opens !== undefined && asked.packets !== 1) {
    const onsetAt = coverage.onsetAt === null ? null : nsOf(coverage.onsetAt)
    if (!cutFromTheFront(one)) same('onsetAt', onsetAt, opens.time)
    else if (onsetAt === null || onsetAt > opens.time) wrong.push(`onsetAt: ${onsetAt}, after the onset`)
  }
  same('an onset', coverage.onsetAt === null, coverage.onsetSource === null)
  const onsetAt = coverage.onsetAt === null ? null : nsOf(coverage.onsetAt)
  const before = frames.filter(({ time }) => onsetAt !== null && time < onsetAt).length
  same('preOnsetPackets', coverage.preOnsetPackets, before)
  const span = before > 0 ? (onsetAt as bigint) - (frames[0] as Placed).time : 0n
  same('preOnsetSpan', coverage.preOnsetSpan, Number(span) / 1e6)

  const steps = frames.slice(1).flatMap(({ time }, i) => {
    const back = (frames[i] as Placed).time - time
    return back > 0n ? [Number(back) / 1e6] : []
  })
  same('backSteps', coverage.clock.backSteps, steps.length)
  same('largestBackStep', coverage.clock.largestBackStep, Math.max(0, ...steps))
  same('loss', JSON.stringify(report.loss), JSON.stringify({ kernel: 0, interface: 0, writer: 0 }))
  return wrong
}

/** From freeze to resolve, on the grid of intervals that begins with the first packet. */
function slotsOf({
  report,
  truth,
  clock,
  asked,
  frozen,
  resolved,
}: Case): { at: bigint; packets: number; bytes: number; length: bigint }[] {
  const interval = BigInt(asked.statsInterval ?? 250) * 1_000_000n
  const origin = clock[0] as bigint
  const end = nsOf(report.resolvedAt)
  const slots: { at: bigint; packets: number; bytes: number; length: bigint }[] = []
  let slot = { at: nsOf(report.frozenAt), packets: 0, bytes: 0, length: 0n }
  const close = (at: bigint): void => {
    slots.push({ ...slot, length: at - slot.at })
    slot = { at, packets: 0, bytes: 0, length: 0n }
  }
  for (let place = frozen; place < resolved; place++) {
    const time = clock[place] as bigint
    // Where nothing passed for several intervals, these are one.
    const edge = origin + ((time - origin) / interval) * interval
    if (edge > slot.at) close(edge)
    slot.packets++
    slot.bytes += (truth[place] as Passed).length
  }
  if (end > slot.at || slot.packets > 0) close(end)
  return slots
}

function wrongStatistics(one: Case): string[] {
  const { report, truth, clock, asked, frozen, resolved } = one
  const { statistics } = report
  const wrong: string[] = []
  const same = (what: string, said: unknown, is: unknown): void => {
    const [left, right] = [JSON.stringify(said), JSON.stringify(is)]
    if (left !== right) wrong.push(`statistics.${what}: the report says ${left}, passed have ${right}`)
  }
  const during = truth.slice(frozen, resolved)
  const bytesOf = (all: readonly Passed[]): number => all.reduce((sum, { length }) => sum + length, 0)
  const { linkType } = parseCapture(report.file as string).header
  const counts = countsOf(
    during.map((passed) => ({
      ...(passed.data ? headersOf(passed.data, linkType) : headersIn(passed)),
      len: passed.length,
    })),
  )
  same('packets', statistics.packets, during.length)
  same('bytes', statistics.bytes, bytesOf(during))
  same('protocols', statistics.protocols, counts.protocols)
  same('tcpFlags', statistics.tcpFlags, counts.tcpFlags)
  same('fragments', statistics.fragments, counts.fragments)

  const { timeline } = statistics
  if (timeline.length > 600) wrong.push(`statistics.timeline: ${timeline.length} slots`)
  if (timeline[0] !== undefined) same('timeline[0].at', timeline[0].at, report.frozenAt)
  let from = frozen
  for (const [i, slot] of timeline.entries()) {
    const next = timeline[i + 1]
    if (next !== undefined && nsOf(next.at) <= nsOf(slot.at))
      wrong.push(`statistics.timeline: ${next.at} comes too late`)
    const to = next === undefined ? resolved : passedBefore(clock, nsOf(next.at))
    same(`timeline[${i}]`, [slot.packets, slot.bytes], [to - from, bytesOf(truth.slice(from, to))])
    from = to
  }
  if (timeline.length === 0 && during.length > 0) wrong.push('statistics.timeline: is empty')

  const interval = BigInt(asked.statsInterval ?? 250) * 1_000_000n
  const slots = slotsOf(one).filter(({ length }) => length > 0n && 2n * length >= interval)
  const length = nsOf(report.resolvedAt) - nsOf(report.frozenAt)
  const rated =
    slots.length > 0 || length === 0n
      ? slots
      : [{ at: nsOf(report.frozenAt), packets: during.length, bytes: bytesOf(during), length }]
  const peak = (count: (slot: (typeof rated)[number]) => number): { value: number; at: string | bigint } =>
    rated
      .map((slot) => ({ value: count(slot) / (Number(slot.length) / 1e9), at: slot.at }))
      .reduce((best, next) => (next.value > best.value ? next : best), { value: -1, at: 0n })
  for (const [name, count] of [
    ['peakPps', (slot: { packets: number }) => slot.packets],
    ['peakBps', (slot: { bytes: number }) => slot.bytes * 8],
  ] as const) {
    const { value, at } = rated.length > 0 ? peak(count) : { value: 0, at: nsOf(report.frozenAt) }
    const said = statistics[name]
    if (Math.abs(said.value - value) > value * 1e-9) wrong.push(`statistics.${name}: ${said.value}, not ${value}`)
    if (nsOf(said.at) !== at) wrong.push(`statistics.${name}: at ${said.at}, not ${at}`)
  }
  return wrong
}

const order: SectionName[] = ['history', 'pre-buffer', 'onset', 'attack', 'resolution']

/** What a report of a replay, and its file, say wrongly of what passed. */
export function judgeOnset(report: IncidentReport, truth: readonly Passed[], asked: Asked = {}): string[] {
  const { frames, wrong } = placed(report, truth, asked.which)
  const { clock } = indexOf(truth)
  const names = report.sections.map(({ name }) => name)
  const sorted = order.filter((name) => names.includes(name))
  if (names.join() !== sorted.join()) wrong.push(`sections: ${names.join()}`)
  const resolvedAt = nsOf(report.resolvedAt)
  // The last interval of a recording ends with its last packet, and has it.
  const resolved = resolvedAt === clock.at(-1) ? truth.length : passedBefore(clock, resolvedAt)
  const frozenAt = nsOf(report.frozenAt)
  const frozen = frozenAt === clock.at(-1) ? truth.length : passedBefore(clock, frozenAt)
  const one: Case = { report, frames, truth, clock, asked, frozen, resolved }
  return [
    ...wrong,
    ...wrongOpening(one),
    ...wrongHistory(one),
    ...wrongAfterwards(one),
    ...wrongCoverage(one),
    ...wrongStatistics(one),
    ...wrongTraffic(report),
  ]
}
