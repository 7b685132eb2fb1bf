import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'

import type { IncidentReport } from '../types.js'
import type { ReportArgs } from './args.js'
import { card, recordingCard } from './card.js'
import type { Output } from './output.js'
import { CommandError, jsonLine } from './output.js'
import { summarise } from './summary.js'

/** `pcap-ring report FILE`. @throws {CommandError} */
export async function reportCommand({ file, json }: ReportArgs, output: Output): Promise<void> {
  const bytes = await sizeOf(file)
  const report = file.endsWith('.json') ? await readReport(file) : await reportBeside(file, bytes, output)
  if (report !== null) {
    output.out(json ? jsonLine('report', report) : card(report, output))
    return
  }
  const summary = await summarise(file, bytes)
  output.out(json ? jsonLine('report', summary) : recordingCard(summary, output))
}

async function sizeOf(file: string): Promise<number> {
  try {
    const found = await stat(file)
    if (found.isDirectory()) throw new CommandError(`'${file}' is a directory; name a capture or its report`)
    return found.size
  } catch (error) {
    if (error instanceof CommandError) throw error
    const { code, message } = error as NodeJS.ErrnoException
    throw new CommandError(code === 'ENOENT' ? `there is no file '${file}'` : message)
  }
}

async function readReport(file: string): Promise<IncidentReport> {
  let parsed: unknown
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    throw new CommandError(`cannot read the report '${file}': ${(error as Error).message}`)
  }
  if (!isReport(parsed)) throw new CommandError(`'${file}' is not a report of version 1`)
  return parsed
}

/** The report that tells of the capture as it is now; otherwise the capture speaks for itself. */
async function reportBeside(file: string, bytes: number, output: Output): Promise<IncidentReport | null> {
  if (!/^incident_.+\.(pcap|pcapng)$/.test(basename(file))) return null
  const beside = file.replace(/\.(pcap|pcapng)$/, '.json')
  try {
    await stat(beside)
  } catch {
    return null
  }
  try {
    const report = await readReport(beside)
    if (report.bytes === bytes) return report
    output.err(`the report beside it tells of ${report.bytes} bytes, the file has ${bytes}: read anew`)
  } catch (error) {
    output.err((error as Error).message)
  }
  return null
}

type Shape = { [key: string]: string | readonly string[] | Shape }

const nullable = (type: string): readonly string[] => [type, 'null']

// What the card looks at: a report may come from anywhere.
const reportShape: Shape = {
  id: 'string',
  kind: 'string',
  reason: nullable('string'),
  file: nullable('string'),
  bytes: 'number',
  packets: 'number',
  capped: nullable('string'),
  recovered: 'boolean',
  error: nullable('string'),
  duration: 'number',
  from: nullable('string'),
  to: nullable('string'),
  coverage: { complete: 'boolean' },
  loss: { kernel: 'number', interface: 'number', writer: 'number' },
  statistics: { packets: 'number', peakPps: { value: 'number' }, peakBps: { value: 'number' } },
}
const sectionShape: Shape = { name: 'string', packets: 'number' }
const attackShape: Shape = { vector: 'string', severity: 'string', pps: 'number', bps: 'number' }

const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)

function fits(value: unknown, shape: Shape): boolean {
  if (typeOf(value) !== 'object') return false
  return Object.entries(shape).every(([key, wanted]) => {
    const actual = (value as Record<string, unknown>)[key]
    if (typeof wanted === 'string') return typeOf(actual) === wanted
    return Array.isArray(wanted) ? wanted.includes(typeOf(actual)) : fits(actual, wanted as Shape)
  })
}

function isReport(value: unknown): value is IncidentReport {
  if (!fits(value, reportShape)) return false
  const { version, sections, attack, coverage } = value as IncidentReport
  return (
    version === 1 &&
    Array.isArray(sections) &&
    sections.every(
      (section) =>
        fits(section, sectionShape) &&
        (section.sampling === null || fits(section.sampling, { min: 'number', max: 'number' })),
    ) &&
    Array.isArray(coverage.gaps) &&
    coverage.gaps.every((gap) => fits(gap, { reason: 'string' })) &&
    (attack === null || fits(attack, attackShape))
  )
}
