// Judges one incident of the soak: the file against its report, and what is missing in the senders' numbering against the gaps.

import type { IncidentReport } from '../src/types.js'
import { nsOf, readEvidence } from '../test/support/evidence.js'
import { frameOf } from '../test/support/sender.js'
import { packetsByTools } from '../test/support/tools.js'

/** What may be lost by a core between refusing a frame for want of room and counting it; each sender has a core of its own. */
const toldLate = 2

export interface Judged {
  packets: number
  missing: number
  wrong: string[]
}

export function judge(report: IncidentReport): Judged {
  const { frames, wrong } = readEvidence(report)
  const numbered = frames.map(({ data, time }) => ({ ...frameOf(data), time }))
  const { missing, wrong: more } = judgeGaps(numbered, report.coverage.gaps)
  wrong.push(...more)
  const tools = Object.entries(packetsByTools(report.file as string))
  for (const [tool, packets] of tools) {
    if (packets !== report.packets) wrong.push(`${tool} finds ${packets} packets, the report says ${report.packets}`)
  }
  return { packets: report.packets, missing, wrong }
}

interface Numbered {
  stream: number
  number: number
  /** ns since the epoch. */
  time: bigint
}

type Gap = Pick<IncidentReport['coverage']['gaps'][number], 'from' | 'to' | 'packets'>

/** What is missing in the senders' numbering, and whether the gaps tell it. */
export function judgeGaps(frames: readonly Numbered[], gaps: readonly Gap[]): { missing: number; wrong: string[] } {
  const wrong: string[] = []
  const seen = new Map<number, { first: bigint; last: Numbered }>()
  let missing = 0
  for (const frame of frames) {
    const { stream, number, time } = frame
    const before = seen.get(stream)
    if (before !== undefined && number <= before.last.number)
      wrong.push(`stream ${stream}: ${number} stands behind ${before.last.number}`)
    if (before !== undefined) missing += Math.max(0, number - before.last.number - 1)
    seen.set(stream, { first: before?.first ?? time, last: frame })
  }
  // Nobody counts what passes while the device is away.
  if (gaps.some(({ packets }) => packets === null)) return { missing, wrong }
  const count = (some: readonly Gap[]): number => some.reduce((sum, { packets }) => sum + (packets ?? 0), 0)
  const told = count(gaps)
  if (missing > told + toldLate) wrong.push(`${missing} frames are missing, ${told} are told`)
  // At the file's ends a stream may lack frames that no neighbour of its own shows.
  const streams = [...seen.values()]
  const between = gaps.filter(({ from, to }) =>
    streams.every(({ first, last }) => first <= nsOf(from) && nsOf(to) <= last.time),
  )
  const shown = count(between)
  if (shown > missing + toldLate) wrong.push(`${missing} frames are missing, ${shown} are told between them`)
  return { missing, wrong }
}
