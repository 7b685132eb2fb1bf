// Whether something grows, by samples over time.

export interface Sample {
  /** Since the soak began. */
  minutes: number
  value: number
}

export interface Slope {
  /** Of `value`, a minute. */
  slope: number
  /** 95 % interval, taking the samples for independent of each other: what is left in memory is not quite, so it is a little narrow. */
  low: number
  high: number
}

/** Least squares, on one slope at levels of their own before and behind a step; and what that leaves of the values, squared. */
function fitted(samples: readonly Sample[], step: number): Slope & { rest: number } {
  const centred = [samples.slice(0, step), samples.slice(step)].flatMap((part) => {
    const mean = (of: (sample: Sample) => number): number => part.reduce((sum, one) => sum + of(one), 0) / part.length
    const [x, y] = [mean(({ minutes }) => minutes), mean(({ value }) => value)]
    return part.map(({ minutes, value }) => ({ x: minutes - x, y: value - y }))
  })
  const levels = step < samples.length ? 2 : 1
  const spread = centred.reduce((sum, { x }) => sum + x ** 2, 0)
  if (samples.length < 2 + levels || spread === 0) return { slope: 0, low: -Infinity, high: Infinity, rest: Infinity }
  const slope = centred.reduce((sum, { x, y }) => sum + x * y, 0) / spread
  const rest = centred.reduce((sum, { x, y }) => sum + (y - slope * x) ** 2, 0)
  const half = 1.96 * Math.sqrt(rest / (samples.length - 1 - levels) / spread)
  return { slope, low: slope - half, high: slope + half, rest }
}

/** Of fewer than three samples, or of all at once, nothing can be said. */
export function slopeOf(samples: readonly Sample[]): Slope {
  const { slope, low, high } = fitted(samples, samples.length)
  return { slope, low, high }
}

/** Beside one step, where that fits best: an allocator that takes another megabyte once does not grow. */
export function slopeBesideStep(samples: readonly Sample[]): Slope {
  let best = fitted(samples, samples.length)
  for (let step = 3; step <= samples.length - 3; ++step) {
    const other = fitted(samples, step)
    if (other.rest < best.rest) best = other
  }
  const { slope, low, high } = best
  return { slope, low, high }
}

/** Whether it grows, beside one step, by more than is told from nothing, which is `resolved` a minute, whatever its noise. */
export const grows = (samples: readonly Sample[], resolved: number): boolean => slopeBesideStep(samples).low > resolved
