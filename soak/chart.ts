// The soak's chart: memory, descriptors and threads of the host over time, by its census.csv. Drawn by Vega, as the bench's.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { needPlotting } from '../bench/install.js'
import { svg } from '../bench/vega.js'

const panels = [
  ['anonymous_kib', 'memory, KiB'],
  ['heap_kib', "of it Node's heap, KiB"],
  ['descriptors', 'descriptors'],
  ['threads', 'threads'],
] as const

function spec(values: object[]): object {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    title: { text: 'What the host holds at rest, under traffic and faults', anchor: 'start' },
    background: 'white',
    data: { values },
    vconcat: panels.map(([field, title]) => ({
      width: 700,
      height: 110,
      mark: { type: 'line', point: { size: 12 }, color: '#d1495b' },
      encoding: {
        x: { field: 'minutes', type: 'quantitative', title: 'minutes' },
        y: { field, type: 'quantitative', title, scale: { zero: false } },
      },
    })),
  }
}

function valuesOf(csv: string): object[] {
  const [head, ...lines] = csv.trim().split('\n')
  const names = (head as string).split(',')
  return lines.map((line) => Object.fromEntries(line.split(',').map((value, i) => [names[i] as string, Number(value)])))
}

/** Writes DIRECTORY/chart.svg; resolves to why it could not, or null. */
export async function draw(directory: string): Promise<string | null> {
  const why = needPlotting()
  if (why !== null) return why
  writeFileSync(
    join(directory, 'chart.svg'),
    await svg(spec(valuesOf(readFileSync(join(directory, 'census.csv'), 'utf8')))),
  )
  return null
}
