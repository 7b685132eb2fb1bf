// What is said of a handful of samples.

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b)

const at = (values: readonly number[], index: number): number => {
  const value = values[index]
  if (value === undefined) throw new RangeError('statistics of no samples')
  return value
}

export function median(values: readonly number[]): number {
  const all = sorted(values)
  const middle = (all.length - 1) / 2
  return (at(all, Math.floor(middle)) + at(all, Math.ceil(middle))) / 2
}

export interface Range {
  low: number
  high: number
}

export function range(values: readonly number[]): Range {
  const all = sorted(values)
  return { low: at(all, 0), high: at(all, all.length - 1) }
}

/** The smallest sample that so large a share of all are not above (nearest rank): always one that was measured. */
export function percentile(values: readonly number[], share: number): number {
  const all = sorted(values)
  return at(all, Math.max(0, Math.ceil(share * all.length) - 1))
}

export interface Interval extends Range {
  /** Probability that the true median is inside: at least 0.95, or what the widest interval of so few samples gives. */
  confidence: number
}

/**
 * Of the median, from order statistics, so nothing is assumed of the distribution: the i-th smallest and the i-th largest
 * sample enclose it unless fewer than i samples of n are on one side of it, which n tosses of a coin decide.
 */
export function medianInterval(values: readonly number[]): Interval {
  const all = sorted(values)
  const n = all.length
  let outside = 0
  let tosses = 0.5 ** n
  let chosen = 0
  let confidence = Math.max(0, 1 - 2 * tosses)
  for (let i = 0; i < Math.floor(n / 2); i++) {
    outside += tosses
    const inside = 1 - 2 * outside
    if (i > 0 && inside < 0.95) break
    chosen = i
    confidence = inside
    tosses *= (n - i) / (i + 1)
  }
  return { low: at(all, chosen), high: at(all, n - 1 - chosen), confidence }
}

/** Of pairs that were measured one after the other: a slow minute slows both. */
export const ratios = (pairs: readonly (readonly [number, number])[]): number[] => pairs.map(([a, b]) => a / b)
