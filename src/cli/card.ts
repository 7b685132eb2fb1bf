import { count, duration, printable, rates, size } from '../figures.js'
import type { RecordingReport } from '../report/index.js'
import type { IncidentReport, Section } from '../types.js'

export interface CardOptions {
  color: boolean
  /** Columns of the terminal. */
  width: number
}

type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan'
export type Paint = (style: Style, text: string) => string

const codes: Record<Style, number> = { bold: 1, dim: 2, red: 31, yellow: 33, green: 32, cyan: 36 }
export const painter =
  (color: boolean): Paint =>
  (style, text) =>
    color ? `\x1b[${codes[style]}m${text}\x1b[0m` : text

const labelWidth = 10

/**
 * The card of a finished incident; ends with a newline.
 * @param upload where it goes, for how long; null: nowhere; undefined: nobody knows any more
 */
export function card(report: IncidentReport, { color, width }: CardOptions, upload?: string | null): string {
  const paint = painter(color)
  const rows: string[] = []
  const row = (label: string, text: string): void => {
    rows.push(paint('cyan', label.padEnd(labelWidth)) + text)
  }

  const { file, capped, attack, error, statistics, coverage } = report
  row('FILE', file === null ? 'none: statistics only, without the permission to capture' : printable(file))
  if (file !== null) {
    row('SIZE', size(report.bytes))
    const reached = capped === 'packets' ? 'cap reached' : `cap reached: ${capped}`
    row('PKTS', count(report.packets) + (capped === null ? '' : paint('yellow', `  (${reached})`)))
  } else {
    row('PKTS', `none recorded, ${count(statistics.packets)} counted`)
  }
  row('DURATION', duration(report.duration) + paint('dim', ' from freeze to resolve'))
  if (report.from !== null && report.to !== null) row('', span(report.from, report.to))
  report.sections.forEach((section, index) => {
    const share = color ? `  ${paint('dim', bar(section.packets / report.packets, width))}` : ''
    const counted = section.name.padEnd(11) + count(section.packets).padStart(9)
    row(index === 0 ? 'Sections' : '', counted + share + kept(section))
  })
  if (report.reason !== null) row('Reason', printable(report.reason))
  if (attack !== null) {
    row('Attack', [printable(attack.vector), severity(paint, attack.severity), rates(attack)].join(', '))
  }
  if (statistics.packets > 0) {
    row('Peak', rates({ pps: statistics.peakPps.value, bps: statistics.peakBps.value }))
  }
  const { kernel, interface: device, writer } = report.loss
  if (kernel + device + writer > 0) {
    row('Loss', paint('yellow', `${count(kernel)} kernel, ${count(device)} interface, ${count(writer)} writer`))
  }
  if (!coverage.complete && coverage.gaps.length > 0) {
    const reasons = [...new Set(coverage.gaps.map(({ reason }) => printable(reason)))].join(', ')
    row('Gaps', paint('yellow', `${count(coverage.gaps.length)} (${reasons})`))
  }
  if (file !== null && upload !== undefined) row('Upload', upload === null ? 'none' : printable(upload))
  if (error !== null) row('Failed', paint('red', printable(error)))
  if (report.recovered) row('Recovered', paint('yellow', 'its writer died; cut back to the last whole packet'))

  return frame(`${report.kind === 'manual' ? 'Capture' : 'Incident'} ${printable(report.id)}`, rows, paint, width)
}

/** The card of a recording that has no report of ours; ends with a newline. */
export function recordingCard(summary: RecordingReport, { color, width }: CardOptions): string {
  const paint = painter(color)
  const rows: string[] = []
  const row = (label: string, text: string): void => {
    rows.push(paint('cyan', label.padEnd(labelWidth)) + text)
  }
  row('FILE', printable(summary.file))
  row('SIZE', size(summary.bytes))
  row('PKTS', count(summary.packets))
  row('DURATION', summary.duration === null ? 'unknown: no packet with a time' : duration(summary.duration))
  if (summary.from !== null && summary.to !== null) row('', span(summary.from, summary.to))
  summary.linkTypes.forEach(({ name, packets }, index) => {
    row(index === 0 ? 'Links' : '', `${name.padEnd(17)} ${count(packets).padStart(9)}`)
  })
  if (summary.error !== null) row('Damaged', paint('yellow', printable(summary.error)))
  return frame(`Recording${summary.format === null ? '' : ` (${summary.format})`}`, rows, paint, width)
}

function frame(title: string, rows: string[], paint: Paint, width: number): string {
  const rule = '─'.repeat(Math.max(2, Math.min(width, 80) - title.length - 4))
  return [
    `${paint('dim', '──')} ${paint('bold', title)} ${paint('dim', rule)}`,
    ...rows.map((text) => `   ${text}`.trimEnd()),
    '',
  ].join('\n')
}

function kept({ sampling }: Section): string {
  if (sampling === null) return ''
  const { min, max } = sampling
  return `  1 of ${min === max ? max : `${min} to ${max}`} kept`
}

function severity(paint: Paint, level: string): string {
  const style = level === 'critical' || level === 'high' ? 'red' : level === 'medium' ? 'yellow' : 'green'
  return paint(style, printable(level))
}

function span(from: string, to: string): string {
  return `${printable(from)} → ${printable(to)}`
}

function bar(share: number, width: number): string {
  const cells = Math.max(0, Math.min(30, width - 40))
  return '━'.repeat(Math.min(cells, Math.max(1, Math.round(share * cells))))
}
