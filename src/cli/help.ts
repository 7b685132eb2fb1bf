/** What fits a terminal that nobody made wider. */
const width = 80

/** Names, and beside them what they are; what does not fit beside them goes on below itself. */
export function columns(rows: readonly (readonly [name: string, text: string])[]): string[] {
  const left = Math.max(...rows.map(([name]) => name.length)) + 4
  return rows.flatMap(([name, text]) =>
    wrapped(text, width - left).map((line, i) => `${(i === 0 ? `  ${name}` : '').padEnd(left)}${line}`),
  )
}

/** A paragraph. */
export function wrapped(text: string, columns = width): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length >= columns) {
      lines.push(line)
      line = ''
    }
    line += line === '' ? word : ` ${word}`
  }
  return [...lines, line]
}
