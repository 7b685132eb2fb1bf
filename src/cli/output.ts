import { formatTime } from '../time.js'
import { Panel } from './panel.js'

/** Where a command writes; injected, so that tests need no process. */
export interface Output {
  /** Standard output. The text ends with a newline. */
  out: (text: string) => void
  /** A line on standard error, without its newline. */
  err: (line: string) => void
  /** Replaces the live line below everything else; null takes it away. Does nothing where there is no terminal. */
  status: (line: string | null) => void
  /** Lines below everything else, where standard output is a terminal that can have them. */
  panel?: Panel
  color: boolean
  /** Columns of the terminal. */
  width: number
}

/** A failure with a line for the user and no stack. Exit status 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** One event as a JSON line. */
export function jsonLine(event: string, data: unknown, time = now()): string {
  return `${JSON.stringify({ v: 1, event, time, data })}\n`
}

export function now(): string {
  return formatTime(BigInt(Date.now()) * 1_000_000n)
}

/** The output of a process. `onClosed` is called once when standard output takes no more: with
 * null if nobody reads it any more, with the error if it failed. */
export function processOutput(
  { stdout, stderr, env }: Pick<NodeJS.Process, 'stdout' | 'stderr' | 'env'>,
  onClosed: (error: Error | null) => void,
): Output {
  let shown: string | null = null
  let open = true
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (!open) return
    open = false
    onClosed(error.code === 'EPIPE' ? null : error)
  })
  // There is nowhere left to tell of it.
  stderr.on('error', () => {})
  // A terminal that does not know its size says 0.
  const width = stdout.columns || 80

  const capable = stdout.isTTY === true && env.TERM !== 'dumb'
  const panel = new Panel({
    write: (text) => open && stdout.write(text),
    get columns() {
      return stdout.columns
    },
    get rows() {
      return stdout.rows
    },
  })
  const hidingStatus = (write: () => void): void => {
    const line = shown
    if (line !== null) stderr.write('\r\x1b[K')
    panel.above(write)
    if (line !== null) stderr.write(line)
  }
  return {
    ...(capable && { panel }),
    out: (text) => {
      if (open) hidingStatus(() => stdout.write(text))
    },
    err: (line) => hidingStatus(() => stderr.write(`${line}\n`)),
    status: (line) => {
      if (!stderr.isTTY) return
      // Cut: a line that wraps could not be taken away again.
      const next = line === null ? null : line.slice(0, (stderr.columns || 80) - 1)
      if (next === shown) return
      stderr.write(`\r\x1b[K${next ?? ''}`)
      shown = next
    },
    color: capable && !env.NO_COLOR,
    width,
  }
}
