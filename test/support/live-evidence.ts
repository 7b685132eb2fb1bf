// Judges a report and its file by the senders' own logs: every frame of a stream has a number, so what is missing of it is
// known to the packet. When one passed is known only as closely as the sender could tell, which leaves a range where the
// file ends with a frame of one stream and the last ones of another are missing.

import type { Gap, IncidentReport, SectionName } from '../../src/types.js'
import { type Frame, nsOf, readEvidence } from './evidence.js'
import type { Run, Sent } from './floods.js'
import { frameOf } from './sender.js'
import type { Range } from './sent.js'
import { wrongTraffic } from './traffic.js'

/** A frame of the file, and which of all that were sent it is. */
export interface Known extends Frame {
  stream: number
  number: number
}

export interface Judged {
  frames: Known[]
  wrong: string[]
  /** How many frames are missing between the file's first and its last. */
  missing: Range
}

// Frames of two cores may be delivered in another order than they were stamped, by about so much; more where a core is held up.
const reorderNs = 300_000n
// The default `latency`, and what it takes the capture thread to look.
const heldBackNs = 150_000_000n
// A core may be interrupted between refusing a frame for want of room and counting it: then that one is told with another block,
// which may lie behind the file's end. It takes a flood of drops to see one in a file. Each sender may have a core of its own.
const toldLate = ({ sent }: { sent: readonly Sent[] }): number => sent.length

const sum = (all: readonly number[]): number => all.reduce((total, one) => total + one, 0)
const text = (gap: Gap): string => `${gap.packets} between ${gap.from} and ${gap.to} (${gap.reason})`

/** A stretch of the file in which frames of a stream are missing: from one position to another. */
interface Hole {
  after: number
  before: number
  frames: Range
}

interface Case {
  report: IncidentReport
  /** There is a budget: packets from before the freeze may be one of N, and what passed after the cap is an estimate. */
  sampled: boolean
  oneOf: number
  frames: readonly Known[]
  sent: readonly Sent[]
}

function knownFrames(report: IncidentReport, sent: readonly Sent[]): { frames: Known[]; wrong: string[] } {
  const { frames, wrong } = readEvidence(report)
  const last = sent.map(() => -1)
  const known = frames.map((frame, i): Known => {
    const { stream, number } = frameOf(frame.data)
    const { log, size } = sent[stream] as Sent
    const name = `frame ${i + 1} (stream ${stream}, number ${number})`
    if (number <= (last[stream] as number)) wrong.push(`${name}: stands behind ${last[stream]}`)
    last[stream] = number
    if (frame.len !== size) wrong.push(`${name}: ${frame.len} bytes, not ${size}`)
    if (frame.caplen !== Math.min(size, report.snaplen)) wrong.push(`${name}: ${frame.caplen} bytes are there`)
    const [earliest, latest] = log.passed(number)
    if (frame.time < earliest - 1_000n || frame.time > latest) {
      wrong.push(`${name}: stamped ${frame.time}, passed between ${earliest} and ${latest}`)
    }
    return { ...frame, stream, number }
  })
  return { frames: known, wrong }
}

/** Where frames of one stream are missing between the first and the last frame of the file. */
function holesOf({ frames, sent }: Case, stream: number): Hole[] {
  const { log } = sent[stream] as Sent
  const [first, last] = [frames[0] as Known, frames.at(-1) as Known]
  // Of another stream's frame only its time tells how many of this one had passed before it.
  const numberAt = ({ stream: of, number, time }: Known): Range =>
    of === stream ? [number, number] : [log.passedBefore(time - reorderNs)[0], log.passedBefore(time + reorderNs)[1]]
  const range = (from: Range, to: Range): Range => [Math.max(0, to[0] - from[1]), Math.max(0, to[1] - from[0])]
  const own = frames.flatMap((frame, at) => (frame.stream === stream ? [{ number: frame.number, at }] : []))
  const end = frames.length - 1
  if (own.length === 0) return [{ after: 0, before: end, frames: range(numberAt(first), numberAt(last)) }]
  const holes: Hole[] = []
  const { number: opens, at: opensAt } = own[0] as { number: number; at: number }
  if (opensAt > 0) holes.push({ after: 0, before: opensAt, frames: range(numberAt(first), [opens, opens]) })
  for (const [i, { number, at }] of own.entries()) {
    const before = own[i - 1]
    if (before === undefined) continue
    const missing = number - before.number - 1
    holes.push({ after: before.at, before: at, frames: [missing, missing] })
  }
  const closes = own.at(-1) as { number: number; at: number }
  const next = closes.number + 1
  if (closes.at < end) holes.push({ after: closes.at, before: end, frames: range([next, next], numberAt(last)) })
  return holes.filter(({ frames: [, most] }) => most > 0)
}

/** What `coverage.gaps` and `loss` say wrongly, with the holes in the numbering as the truth. */
function wrongGaps(one: Case): { wrong: string[]; missing: Range } {
  const { report, frames, sent } = one
  const { coverage, loss } = report
  const wrong: string[] = []
  const holes = sent.map((_, stream) => holesOf(one, stream))
  const all = holes.flat()
  const missing: Range = [sum(all.map(({ frames }) => frames[0])), sum(all.map(({ frames }) => frames[1]))]
  const within = (what: string, value: number, [least, most]: Range): void => {
    if (!(value >= least && value <= most)) wrong.push(`${what}: ${value}, missing are ${least} to ${most}`)
  }
  const count = (gaps: readonly Gap[]): number => sum(gaps.map(({ packets }) => packets ?? Number.NaN))
  const estimates = coverage.gaps.filter(({ exact }) => !exact)
  for (const gap of estimates) {
    if (!one.sampled || gap.reason !== 'sampling') wrong.push(`not exact: ${text(gap)}`)
  }
  // One of N at random: six standard deviations of how many that are. None of what is in the file need have been sampled.
  const n = Math.max(one.oneOf, ...report.sections.map(({ sampling }) => sampling?.max ?? 1))
  const chance = 6 * Math.sqrt(count(estimates) * n) + n
  const spread = estimates.length > 0 ? Math.ceil(chance) : 0
  const late = loss.kernel > 0 ? toldLate(one) : 0
  within('gaps', count(coverage.gaps), [missing[0] - spread - late, missing[1] + spread + late])
  if (coverage.complete !== (coverage.gaps.length === 0)) wrong.push(`complete: ${coverage.complete}`)
  const ofKernel = count(coverage.gaps.filter(({ reason }) => reason === 'kernel'))
  if (ofKernel !== loss.kernel + loss.interface) wrong.push(`loss: ${JSON.stringify(loss)}, by the gaps ${ofKernel}`)

  // Where they are said to be: usually between neighbours; merged ones reach further.
  const times = frames.map(({ time }) => time)
  const places = coverage.gaps.map((gap) => {
    const [from, to] = [nsOf(gap.from), nsOf(gap.to)]
    const neighbours = times.findIndex((time, i) => time === from && times[i + 1] === to)
    if (neighbours >= 0) return { gap, after: neighbours, before: neighbours + 1 }
    return { gap, after: times.indexOf(from), before: times.lastIndexOf(to) }
  })
  const overlap = (a: { after: number; before: number }, b: { after: number; before: number }): boolean =>
    a.after < b.before && a.before > b.after
  const tooMany: string[] = []
  const tooFew: string[] = []
  for (const { gap, after, before } of places) {
    if (after < 0 || before <= after) wrong.push(`a gap between no two frames: ${text(gap)}`)
    const most = sum(all.filter((hole) => overlap(hole, { after, before })).map(({ frames }) => frames[1]))
    if (gap.exact && (gap.packets ?? 0) > most) {
      const late = gap.reason === 'kernel' && (gap.packets ?? 0) - most <= toldLate(one)
      ;(late ? tooMany : wrong).push(`a gap where ${most} are missing: ${text(gap)}`)
    }
    const sections = [frames[after]?.section, frames[before]?.section].join(' to ')
    const wanted: Partial<Record<Gap['reason'], string[]>> = {
      ring: ['onset to onset', 'attack to resolution'],
      sampling: gap.exact
        ? ['history to history', 'history to pre-buffer', 'history to attack']
        : [
            'history to pre-buffer',
            'pre-buffer to pre-buffer',
            'pre-buffer to attack',
            'onset to onset',
            'onset to attack',
            'attack to resolution',
          ],
    }
    if (wanted[gap.reason]?.includes(sections) === false) wrong.push(`from ${sections}: ${text(gap)}`)
  }
  for (const [stream, some] of holes.entries()) {
    for (const hole of some) {
      const told = count(places.filter((place) => overlap(hole, place)).map(({ gap }) => gap))
      if (told >= hole.frames[0] || places.some((place) => !place.gap.exact && overlap(hole, place))) continue
      const [from, to] = [frames[hole.after] as Known, frames[hole.before] as Known]
      const late = loss.kernel > 0 && hole.frames[0] - told <= toldLate(one)
      ;(late ? tooFew : wrong).push(
        `${hole.frames[0]} of stream ${stream} are missing between frames ${hole.after + 1} (${from.section}) and ` +
          `${hole.before + 1} (${to.section}), ${told} are told`,
      )
    }
  }
  const few = tooMany.length <= 1 && tooFew.length <= 1
  return { wrong: few ? wrong : [...wrong, ...tooMany, ...tooFew], missing }
}

function wrongCoverage({ report, frames }: Case): string[] {
  const { coverage } = report
  const wrong: string[] = []
  const same = (what: string, said: unknown, is: unknown): void => {
    if (said !== is) wrong.push(`${what}: the report says ${said}, the file ${is}`)
  }
  const opens = frames.find(({ section }) => section === 'onset')
  const onsetAt = coverage.onsetAt === null ? null : nsOf(coverage.onsetAt)
  if (opens !== undefined || coverage.onsetSource === 'watch') {
    same('onsetAt', onsetAt, opens?.time)
    same('onsetSource', coverage.onsetSource, 'watch')
  }
  same('an onset', onsetAt === null, coverage.onsetSource === null)
  const before = frames.filter(({ time }) => onsetAt !== null && time < onsetAt).length
  same('preOnsetPackets', coverage.preOnsetPackets, before)
  const span = onsetAt === null || before === 0 ? 0n : onsetAt - (frames[0] as Known).time
  same('preOnsetSpan', coverage.preOnsetSpan, Number(span) / 1e6)
  const steps = frames.slice(1).flatMap(({ time }, i) => {
    const back = (frames[i] as Known).time - time
    return back > 0n ? [Number(back) / 1e6] : []
  })
  same('backSteps', coverage.clock.backSteps, steps.length)
  same('largestBackStep', coverage.clock.largestBackStep, Math.max(0, ...steps))
  return wrong
}

/** Sections are in order, divided at T and R, and none of them holds more than it may. */
function wrongSections({ report, frames, sampled }: Case, ringPackets: number): string[] {
  const wrong: string[] = []
  const order: SectionName[] = ['history', 'pre-buffer', 'onset', 'attack', 'resolution']
  const names = report.sections.map(({ name }) => name)
  if (names.join() !== order.filter((name) => names.includes(name)).join()) wrong.push(`sections: ${names.join()}`)
  const of = (name: SectionName): readonly Known[] => frames.filter(({ section }) => section === name)
  const [history, before, onset] = [of('history'), of('pre-buffer'), of('onset')]
  if (history.length > 128) wrong.push(`history: ${history.length}`)
  if (history.length + before.length > ringPackets) wrong.push(`pre-buffer: ${before.length} and ${history.length}`)
  if (onset.length > ringPackets) wrong.push(`onset: ${onset.length}`)
  if (history.length > 0 && onset.length > 0) wrong.push('a history before an onset')
  for (const [what, at, names] of [
    ['T', report.frozenAt, ['attack', 'resolution']],
    ['R', report.resolvedAt, ['resolution']],
  ] as const) {
    const moment = nsOf(at)
    const split = frames.findIndex(({ section }) => (names as readonly string[]).includes(section))
    const earlier = split < 0 ? frames : frames.slice(0, split)
    const late = earlier.find(({ time, section }) => time >= moment && !(what === 'R' && section === 'resolution'))
    if (late !== undefined) wrong.push(`${late.section} holds one of ${late.time}, ${what} is ${moment}`)
    const first = frames[split]
    if (first !== undefined && first.time < moment)
      wrong.push(`${first.section} opens at ${first.time}, before ${what}`)
  }
  for (const { name, sampling } of report.sections) {
    const said = name === 'history' || (sampled && name !== 'attack' && name !== 'resolution')
    if (!said && sampling !== null) wrong.push(`${name}: is said to be sampled`)
    if (name === 'history' && sampling === null) wrong.push('history: is not said to be sampled')
  }
  return wrong
}

/** Figures from freeze to resolve, as closely as the senders' clocks tell; what the kernel lost was not counted. */
function wrongStatistics({ report, sent, sampled }: Case, lost: number): string[] {
  const { statistics } = report
  const wrong: string[] = []
  // After the cap one of N is counted.
  const { max } = statistics.sampling ?? { max: 1 }
  if (max > 1 && !sampled) wrong.push('statistics: are said to be sampled')
  const chance = max > 1 ? Math.ceil(6 * Math.sqrt(statistics.packets * max) + max) : 0
  const within = (what: string, value: number, [least, most]: Range): void => {
    if (!(value >= least && value <= most)) wrong.push(`statistics.${what}: ${value}, ${least} to ${most} passed`)
  }
  const between = (from: bigint, to: bigint): Range[] =>
    sent.map(({ log }): Range => {
      const [begin, end] = [from, to].map((time) => [
        log.passedBefore(time - reorderNs)[0],
        log.passedBefore(time + reorderNs)[1],
      ]) as [Range, Range]
      return [Math.max(0, end[0] - begin[1]), end[1] - begin[0]]
    })
  const [from, to] = [nsOf(report.frozenAt), nsOf(report.resolvedAt)]
  const passed = between(from, to)
  const packets: Range = [
    sum(passed.map(([least]) => least)) - lost - chance,
    sum(passed.map(([, most]) => most)) + chance,
  ]
  within('packets', statistics.packets, packets)
  const sizes = sent.map(({ size }) => size)
  if (new Set(sizes).size === 1) {
    within('bytes', statistics.bytes, [
      statistics.packets * (sizes[0] as number),
      statistics.packets * (sizes[0] as number),
    ])
  } else {
    const least = sum(passed.map(([least], i) => least * (sizes[i] as number))) - (lost + chance) * Math.max(...sizes)
    const most = sum(passed.map(([, most], i) => most * (sizes[i] as number))) + chance * Math.max(...sizes)
    within('bytes', statistics.bytes, [least, most])
  }
  const only = { tcp: 0, udp: statistics.packets, icmp: 0, other: 0 }
  if (JSON.stringify(statistics.protocols) !== JSON.stringify(only)) {
    wrong.push(`statistics.protocols: ${JSON.stringify(statistics.protocols)} of ${statistics.packets}`)
  }
  const { timeline } = statistics
  for (const what of ['packets', 'bytes'] as const) {
    const slots = sum(timeline.map((slot) => slot[what]))
    if (slots !== statistics[what]) wrong.push(`statistics.timeline: ${slots} ${what} of ${statistics[what]}`)
  }
  // An interval ends when its time has come: what the kernel still holds back then is the next one's.
  let counted = 0
  for (const [i, { packets }] of timeline.slice(0, -1).entries()) {
    counted += packets
    const edge = nsOf((timeline[i + 1] as { at: string }).at)
    const held = between(from, edge - heldBackNs > from ? edge - heldBackNs : from)
    within(`timeline up to [${i}]`, counted, [
      sum(held.map(([least]) => least)) - lost - chance,
      sum(between(from, edge).map(([, most]) => most)) + chance,
    ])
  }
  return wrong
}

/** What a report, and its file, say wrongly of what was sent. */
export function judgeLive(
  report: IncidentReport,
  { sent, total, oneOf = 1 }: Pick<Run, 'sent' | 'total'> & Partial<Run>,
  { ringPackets = 500, sampled = false }: { ringPackets?: number; sampled?: boolean } = {},
): Judged {
  const { frames, wrong } = knownFrames(report, sent)
  const one: Case = { report, frames, sent, sampled, oneOf }
  const gaps = frames.length === 0 ? { wrong: ['no frames'], missing: [0, 0] as Range } : wrongGaps(one)
  if (report.loss.writer > 0) wrong.push(`loss.writer: ${report.loss.writer}`)
  if (report.error !== null) wrong.push(report.error)
  return {
    frames,
    missing: gaps.missing,
    wrong: [
      ...wrong,
      ...gaps.wrong,
      ...wrongCoverage(one),
      ...wrongSections(one, ringPackets),
      ...wrongStatistics(one, (total.kernelLoss ?? 0) + total.interfaceLoss),
      ...wrongTraffic(report),
    ],
  }
}

export interface Step {
  calm: number
  flood: number
  /** @default 500 */
  ringPackets?: number
}

/** What a file lacks of the evidence that a flood that began on calm traffic has to leave. */
export function judgeStep(
  report: IncidentReport,
  { sent }: Pick<Run, 'sent'>,
  frames: readonly Known[],
  { calm, flood, ringPackets = 500 }: Step,
): { wrong: string[]; told: string } {
  const wrong: string[] = []
  const check = (good: boolean, what: string): void => {
    if (!good) wrong.push(what)
  }
  const [earliest, latest] = (sent[flood] as Sent).log.passed(0)
  const inFile = frames.find(({ stream, number }) => stream === flood && number === 0)
  const [from, to] = inFile === undefined ? [earliest, latest] : [inFile.time, inFile.time]
  const calmLog = (sent[calm] as Sent).log
  const [calmLeast, calmMost] = [calmLog.passedBefore(from)[0], calmLog.passedBefore(to)[1]]

  const of = (...names: SectionName[]): Known[] =>
    frames.filter(({ section }) => names.includes(section as SectionName))
  const before = of('pre-buffer')
  const onset = of('onset')
  const calmBefore = before.filter(({ stream, number }) => stream === calm && number < calmMost)
  const wanted = Math.min(0.9 * ringPackets, calmLeast)
  // Those that came with the flood's first may open the onset.
  const begins = onset.findIndex(({ stream }) => stream === flood)
  const there = calmBefore.length + onset.slice(0, begins).filter(({ stream }) => stream === calm).length
  check(there >= wanted, `${there} calm packets of ${wanted} are there`)
  check(calmBefore.length >= 0.9 * wanted, `pre-buffer: ${calmBefore.length} calm packets of ${wanted}`)
  // The last ones may stand behind the flood's first, where that is not known for what it is at once.
  const numbers = of('pre-buffer', 'onset')
    .filter(({ stream, number }) => stream === calm && number < calmMost)
    .map(({ number }) => number)
  check(
    numbers.every((number, i) => number === (numbers[0] as number) + i),
    'a hole among the calm packets before the flood',
  )
  check((numbers.at(-1) ?? -1) >= calmLeast - 1, `the calm packets end with ${numbers.at(-1)}, not ${calmLeast - 1}`)

  const floods = onset.filter(({ stream }) => stream === flood).map(({ number }) => number)
  const first = floods[0] ?? Infinity
  const steps = floods.findIndex((number, i) => number !== first + i)
  const unbroken = steps < 0 ? floods.length : steps
  check(first < 100, `the onset opens with number ${first} of the flood`)
  check(unbroken >= 50, `the onset opens with ${unbroken} packets of the flood without a hole`)
  const head = of('pre-buffer', 'onset').filter(({ stream }) => stream === flood)
  check(
    head.slice(0, first + 50).every(({ number }, i) => number === i),
    'the flood has a hole before its first fifty in the onset',
  )
  const newest = onset.at(-1)
  const next = frames[frames.indexOf(newest as Known) + 1]
  check(newest !== undefined && next?.section === 'attack', 'the onset does not lead up to the freeze')

  const { onsetAt } = report.coverage
  const off = onsetAt === null ? Number.NaN : Number(nsOf(onsetAt) - from) / 1e6
  check(Math.abs(off) <= 20, `onsetAt is ${off} ms after the first flood packet`)
  const delay = Number(nsOf(report.frozenAt) - from) / 1e6
  const told =
    `frozen ${delay.toFixed(1)} ms after the first flood packet, ${calmBefore.length} calm of ${before.length} before ` +
    `the onset, which opens with number ${first} and ${unbroken} without a hole, ${off.toFixed(3)} ms off`
  return { wrong, told }
}
