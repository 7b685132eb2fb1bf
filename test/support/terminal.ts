// A terminal of a size: what is on its screen after a program wrote to it. It knows what the command line tool uses, and refuses the rest.

export class Screen {
  readonly columns: number
  readonly rows: number
  /** The whole of it, what has scrolled out included. */
  readonly lines: string[][] = [[]]
  #row = 0
  #column = 0

  constructor(columns: number, rows: number) {
    this.columns = columns
    this.rows = rows
  }

  write(text: string): this {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a terminal is sent
    for (const [token, digits = '', final] of text.matchAll(/\x1b\[([0-9;]*)([A-Za-z])|[\s\S]/gu)) {
      if (final !== undefined) this.#control(final, digits)
      else if (token === '\r') this.#column = 0
      else if (token === '\n') this.#lineFeed()
      else if (/[\p{Cc}]/u.test(token)) throw new Error(`unknown to this terminal: ${JSON.stringify(token)}`)
      else this.#put(token)
    }
    return this
  }

  get text(): string[] {
    return this.lines.map((line) =>
      Array.from(line, (cell) => cell ?? ' ')
        .join('')
        .trimEnd(),
    )
  }

  /** Row in `lines`, and column. */
  get cursor(): { row: number; column: number } {
    return { row: this.#row, column: this.#column }
  }

  #control(final: string, digits: string): void {
    const top = Math.max(0, this.lines.length - this.rows)
    if (final === 'A') this.#row = Math.max(top, this.#row - Number(digits || 1))
    else if (final === 'J' || final === 'K') {
      if (digits !== '') throw new Error(`unknown to this terminal: ${digits}${final}`)
      ;(this.lines[this.#row] as string[]).length = Math.min(this.#column, this.lines[this.#row]?.length ?? 0)
      if (final === 'J') for (const line of this.lines.slice(this.#row + 1)) line.length = 0
    } else if (final !== 'm') throw new Error(`unknown to this terminal: ${final}`)
  }

  /** With the carriage return that the system puts in front of it. */
  #lineFeed(): void {
    this.#column = 0
    this.#row += 1
    if (this.#row === this.lines.length) this.lines.push([])
  }

  #put(character: string): void {
    if (this.#column === this.columns) this.#lineFeed()
    ;(this.lines[this.#row] as string[])[this.#column] = character
    this.#column += 1
  }
}
