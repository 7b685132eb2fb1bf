const blocks = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█']

/**
 * Columns of values, the newest at the right, as rows from top to bottom. Where nothing stands, `mark` is a dashed line.
 * @param top what the highest row's upper end stands for
 */
export function chart(
  values: readonly number[],
  { width, height, top, mark }: { width: number; height: number; top: number; mark: number | null },
): string[] {
  const shown = values.slice(-width)
  const eighths = shown.map((value) => {
    const exact = Math.min(1, value / top) * height * 8
    // What is there is to be seen.
    return value > 0 ? Math.max(1, Math.round(exact)) : 0
  })
  const markRow = mark === null ? -1 : Math.min(height - 1, Math.floor((mark / top) * height))
  return Array.from({ length: height }, (_, i) => {
    const row = height - 1 - i
    const empty = row === markRow ? '┄' : ' '
    const cells = eighths.map((all) => {
      const here = Math.max(0, Math.min(8, all - row * 8))
      return here === 0 ? empty : blocks[here]
    })
    return empty.repeat(width - cells.length) + cells.join('')
  })
}
