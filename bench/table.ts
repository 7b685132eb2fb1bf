// Figures as text, and tables of them in Markdown.

import { median, range } from './statistics.js'

export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(3, ...all.map((row) => (row[column] ?? '').length)))
  const right = (column: number): boolean => column > 0
  const line = (row: readonly string[]): string =>
    `| ${widths.map((width, i) => (right(i) ? (row[i] ?? '').padStart(width) : (row[i] ?? '').padEnd(width))).join(' | ')} |`
  const rule = `|${widths.map((width, i) => (right(i) ? `${'-'.repeat(width + 1)}:` : '-'.repeat(width + 2))).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

/** Three significant digits, never as a power of ten. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '–'
  const size = Math.abs(value)
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : size === 0 ? 0 : 4
  return value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits })
}

/** The median, and from where to where the samples go. */
export function spread(values: readonly number[], unit = ''): string {
  if (values.length === 0) return '–'
  const { low, high } = range(values)
  const middle = `${figure(median(values))}${unit}`
  return values.length === 1 ? middle : `${middle} (${figure(low)}–${figure(high)})`
}
