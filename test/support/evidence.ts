// Judges an incident's file against its report: what agrees with itself is looked at further by the test.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'

import type { IncidentReport } from '../../src/types.js'
import { type PcapRecord, timeOf } from './pcap-file.js'
import { parseCapture } from './pcapng-file.js'
import { frameOf } from './sender.js'

export interface Frame extends PcapRecord {
  /** ns since the epoch. */
  time: bigint
  section: string
}

/** `2024-01-01T00:00:00.000000Z` in ns since the epoch. */
export function nsOf(time: string): bigint {
  const [, seconds, fraction] = /^(.{19})\.(\d{6}|\d{9})Z$/.exec(time) ?? []
  if (seconds === undefined || fraction === undefined) throw new Error(`not a time of ours: ${time}`)
  return BigInt(Date.parse(`${seconds}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}

/** The frames of a file. What its report says of it wrongly is told in `wrong`. */
export function readEvidence(report: IncidentReport): { frames: Frame[]; wrong: string[] } {
  const wrong: string[] = []
  const same = (what: string, said: unknown, is: unknown): void => {
    if (said !== is) wrong.push(`${what}: the report says ${said}, the file ${is}`)
  }
  const path = report.file as string
  const bytes = readFileSync(path)
  const file = parseCapture(path)
  same('mode', 0o600, statSync(path).mode & 0o777)
  same('bytes', report.bytes, bytes.length)
  if (report.sha256 !== null || !report.recovered) {
    same('sha256', report.sha256, createHash('sha256').update(bytes).digest('hex'))
  }
  same('packets', report.packets, file.records.length)
  same('snaplen', report.snaplen, file.header.snaplen)
  const written = path.replace(/\.pcap(ng)?$/, '.json')
  // What befell the file may have befallen its report.
  if (report.error === null || existsSync(written)) {
    const json = JSON.parse(readFileSync(written, 'utf8'))
    same('the JSON file', JSON.stringify(report), JSON.stringify(json))
  }

  const frames: Frame[] = []
  const times = file.records.map((record) => timeOf(file, record))
  const span = (first: number, last: number): [bigint | null, bigint | null] => {
    const inside = times.slice(first, last + 1).sort((a, b) => Number(a - b))
    return [inside[0] ?? null, inside.at(-1) ?? null]
  }
  let next = 1
  for (const { name, packets, bytes, from, to, firstFrame, lastFrame } of report.sections) {
    same(`${name}.firstFrame`, firstFrame, next)
    same(`${name}.lastFrame`, lastFrame, next + packets - 1)
    const records = file.records.slice(firstFrame - 1, lastFrame)
    same(
      `${name}.bytes`,
      bytes,
      records.reduce((sum, { len }) => sum + len, 0),
    )
    const [first, last] = span(firstFrame - 1, lastFrame - 1)
    same(`${name}.from`, nsOf(from), first)
    same(`${name}.to`, nsOf(to), last)
    records.forEach((record, i) => {
      frames.push({ ...record, time: times[firstFrame - 1 + i] as bigint, section: name })
    })
    next += packets
  }
  same('packets in sections', report.packets, next - 1)
  const [first, last] = span(0, times.length)
  same('from', report.from === null ? null : nsOf(report.from), first)
  same('to', report.to === null ? null : nsOf(report.to), last)
  return { frames, wrong }
}

/** Where the sender's numbers do not follow one on another: `12 after 10`. */
export function jumps(frames: readonly { data: Buffer }[]): string[] {
  const numbers = frames.map(({ data }) => frameOf(data).number)
  return numbers.flatMap((number, i) => {
    const before = numbers[i - 1]
    return before === undefined || number === before + 1 ? [] : [`${number} after ${before}`]
  })
}

/** How many packets each section has. */
export function sizes({ sections }: Pick<IncidentReport, 'sections'>): Record<string, number> {
  return Object.fromEntries(sections.map(({ name, packets }) => [name, packets]))
}
