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

/** Least squares. Of fewer than three samples, or of all at once, nothing can be said. */
export function slopeOf(samples: readonly Sample[]): Slope {
  const count = samples.length
  const mean = (of: (sample: Sample) => number): number => samples.reduce((sum, one) => sum + of(one), 0) / count
  const [x, y] = [mean(({ minutes }) => minutes), mean(({ value }) => value)]
  const spread = samples.reduce((sum, { minutes }) => sum + (minutes - x) ** 2, 0)
  if (count < 3 || spread === 0) return { slope: 0, low: -Infinity, high: Infinity }
  const slope = samples.reduce((sum, { minutes, value }) => sum + (minutes - x) * (value - y), 0) / spread
  const rest = samples.reduce((sum, { minutes, value }) => sum + (value - y - slope * (minutes - x)) ** 2, 0)
  const half = 1.96 * Math.sqrt(rest / (count - 2) / spread)
  return { slope, low: slope - half, high: slope + half }
}

/** What the slope comes to from the first sample to the last. */
export const riseOf = (samples: readonly Sample[]): number =>
  slopeOf(samples).slope * ((samples.at(-1)?.minutes ?? 0) - (samples[0]?.minutes ?? 0))

/** Whether it grows: by a slope that is not within its noise, and that comes to more than `most`. */
export const grows = (samples: readonly Sample[], most: number): boolean =>
  slopeOf(samples).low > 0 && riseOf(samples) > most
