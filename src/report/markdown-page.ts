import { count, printable, rate } from '../figures.js'
import { signed } from './plots.js'
import type { Course } from './rate.js'
import type { Command, Fact, Ranking, View } from './view.js'

/** As a page for tickets and repositories (CommonMark with tables). */
export function markdownPage(view: View): string {
  const blocks: (string | null)[] = [
    `# ${text(view.title)}`,
    view.reason === null ? null : text(view.reason),
    table(
      ['Figure', 'Value'],
      view.figures.map(({ label, text: value }) => [text(label), text(value)]),
    ),
    ...(view.composition.length === 0
      ? []
      : [
          '## Composition of the file',
          view.composition.map(({ part, packets }) => `**${part}** ${count(packets)}`).join(' \\| '),
          table(
            ['Section', 'Packets', 'Frames', 'From', 'To'],
            view.sections.map(({ name, packets, firstFrame, lastFrame, from, to }) => [
              text(name),
              count(packets),
              `${count(firstFrame)}–${count(lastFrame)}`,
              text(from),
              text(to),
            ]),
          ),
        ]),
    ...view.courses.flatMap(course),
    ...(view.attack === null
      ? []
      : [
          '## Attack',
          facts([
            { label: 'Vector', text: view.attack.vector },
            { label: 'Severity', text: view.attack.severity },
            ...view.attack.facts,
          ]),
        ]),
    '## Coverage',
    view.coverage.map((sentence) => `- ${text(sentence)}`).join('\n'),
    view.loss === null ? null : text(view.loss),
    ...(view.rankings.length === 0 ? [] : ['## Packets in the file', ...view.rankings.flatMap(ranking)]),
    '## Custody',
    facts(view.custody),
    ...(view.labels.length === 0 ? [] : ['### Labels', facts(view.labels)]),
    ...(view.commands.length === 0 ? [] : ['## Open the file', ...view.commands.map(command)]),
    `Written by ${text(view.made)}. Times are UTC.`,
  ]
  return `${blocks.filter((block) => block !== null).join('\n\n')}\n`
}

function course({ title, since, rows, marks }: Course): string[] {
  return [
    `## Rate over time: ${text(title)}`,
    `Time from ${since} on: ${marks.map(({ name, at }) => `${name} ${signed(at)}`).join(', ') || 'no marks'}.`,
    table(
      ['Time', 'Mean rate', 'Part'],
      rows.map(({ from, to, total, pps }) => [
        `${signed(from)} to ${signed(to)}`,
        rate(total, 'pps'),
        Object.entries(pps)
          .filter(([, value]) => value > 0)
          .map(([part]) => part)
          .join(', ') || '–',
      ]),
    ),
  ]
}

function ranking({ title, columns, rows, note }: Ranking): string[] {
  return [
    `### ${text(title)}`,
    rows.length === 0
      ? 'none'
      : table(
          columns,
          rows.map(({ label, value }) => [text(label), count(value)]),
        ),
    ...(note === null ? [] : [text(note)]),
  ]
}

const facts = (all: readonly Fact[]): string =>
  table(
    ['', ''],
    all.map(({ label, text: value }) => [text(label), text(value)]),
  )

/** Indented: no text in it can end the block. */
const command = ({ tool, lines }: Command): string =>
  `${text(tool)}:\n\n${lines.map((line) => `    ${printable(line)}`).join('\n')}`

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** No markup, no HTML and no link comes of it. */
function text(value: string): string {
  return printable(value)
    .replace(/[\\`*_{}[\]()<>#+!|~&$@"']/g, (char) => (char === '<' ? '&lt;' : char === '&' ? '&amp;' : `\\${char}`))
    .replace(/:\/\//g, ':\\/\\/')
    .replace(/www\./gi, (match) => match.replace('.', '\\.'))
    .replace(/^(\s*)([-=]|\d+\.)/, '$1\\$2')
}
