// Judges one incident of the soak: the file against its report, and what is missing in the senders' numbering against the gaps.

import type { IncidentReport } from '../src/types.js'
import { readEvidence } from '../test/support/evidence.js'
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
  const last = new Map<number, number>()
  let missing = 0
  for (const { data } of frames) {
    const { stream, number } = frameOf(data)
    const before = last.get(stream)
    if (before !== undefined && number <= before) wrong.push(`stream ${stream}: ${number} stands behind ${before}`)
    if (before !== undefined) missing += Math.max(0, number - before - 1)
    last.set(stream, number)
  }
  const { gaps } = report.coverage
  const told = gaps.reduce((sum, { packets }) => sum + (packets ?? 0), 0)
  // Nobody counts what passes while the device is away. At the file's ends a stream may lack frames that no neighbour of its own shows.
  if (!gaps.some(({ packets }) => packets === null) && missing > told + toldLate) {
    wrong.push(`${missing} frames are missing, ${told} are told`)
  }
  const tools = Object.entries(packetsByTools(report.file as string))
  for (const [tool, packets] of tools) {
    if (packets !== report.packets) wrong.push(`${tool} finds ${packets} packets, the report says ${report.packets}`)
  }
  return { packets: report.packets, missing, wrong }
}
