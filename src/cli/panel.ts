import { stripVTControlCharacters } from 'node:util'

interface Terminal {
  write(text: string): unknown
  columns?: number
  rows?: number
}

export interface Size {
  columns: number
  rows: number
}

/**
 * Lines below everything else, replaced in place. No other screen, no hidden cursor, no mode: however the process ends, the
 * terminal is as it was but for them, if it is killed amid one.
 */
export class Panel {
  readonly #terminal: Terminal
  #shown: readonly string[] = []

  constructor(terminal: Terminal) {
    this.#terminal = terminal
  }

  /** A terminal that does not know its size says 0. */
  get size(): Size {
    return { columns: this.#terminal.columns || 80, rows: this.#terminal.rows || 24 }
  }

  /** null takes them away. */
  draw(lines: readonly string[] | null): void {
    const { columns, rows } = this.size
    // What wraps, or scrolls out, could not be taken away again.
    const next = (lines ?? []).slice(0, rows - 1).map((line) => cut(line, columns - 1))
    const text = this.#away() + next.join('\n')
    if (text !== '') this.#terminal.write(text)
    this.#shown = next
  }

  /** Writes something else above them. */
  above(write: () => void): void {
    const shown = this.#shown
    if (shown.length > 0) this.draw(null)
    write()
    if (shown.length > 0) this.draw(shown)
  }

  #away(): string {
    if (this.#shown.length === 0) return ''
    const { columns } = this.size
    // A terminal that was made narrower since has wrapped them.
    const rows = this.#shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)), 0)
    return `\r${rows > 1 ? `\x1b[${rows - 1}A` : ''}\x1b[J`
  }
}

const widthOf = (line: string): number => [...stripVTControlCharacters(line)].length

/** To so many columns; then without its colours. */
function cut(line: string, columns: number): string {
  return widthOf(line) <= columns ? line : [...stripVTControlCharacters(line)].slice(0, columns).join('')
}
