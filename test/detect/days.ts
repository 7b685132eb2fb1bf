// Days of generated traffic: rates by the second.

/** Seconds. */
export const day = 86_400

/** What is normal at a moment of the day, in packets a second: 2,000 at night, 20,000 in the afternoon. */
export const wave = (second: number): number =>
  2_000 + 9_000 * (1 - Math.cos((2 * Math.PI * (second - 4 * 3_600)) / day))

/** Five times as much, from noon of the second day on: rises over half an hour, lasts for one, falls over half an hour. */
export function viral(second: number): number {
  const since = second - day - 12 * 3_600
  if (since < 0 || since > 7_200) return 1
  return 1 + 4 * Math.min(1, since / 1_800, (7_200 - since) / 1_800)
}

/** From two to three at night something is fetched: a fifth more packets, and nearly twice the bytes, beside whatever bursts. */
export const backup = (second: number): boolean => second % day >= 7_200 && second % day < 10_800

/**
 * Mostly 1: bursts of Pareto lengths and heights (tail index 1.5), up to 5.4 times what is normal. With the noise, on a baseline that
 * is a quarter behind the viral rise, that is just below the eight times that are an attack.
 */
export function bursts(next: () => number, intervalMs: number): () => number {
  let left = 0
  let height = 1
  const pareto = (least: number, most: number): number => Math.min(most, least / (1 - next()) ** (1 / 1.5))
  return () => {
    if (left <= 0 && next() < 0.05 * (intervalMs / 1_000)) {
      left = pareto(1, 60)
      height = pareto(1, 5.4)
    }
    left -= intervalMs / 1_000
    // Poisson noise of some thousands is small beside it.
    return (left > 0 ? height : 1) * (0.95 + 0.1 * next())
  }
}
