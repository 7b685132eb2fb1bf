// Every place in a report that holds a string, to put another one there.

export type Place = readonly (string | number)[]

/** Where `value` holds strings. */
export function strings(value: unknown, place: Place = []): Place[] {
  if (typeof value === 'string') return [place]
  if (typeof value !== 'object' || value === null) return []
  // Of a long list the first are enough.
  return Object.entries(value)
    .slice(0, Array.isArray(value) ? 2 : undefined)
    .flatMap(([key, inner]) => strings(inner, [...place, Array.isArray(value) ? Number(key) : key]))
}

/** A copy with `text` at the place. */
export function withString<T>(value: T, place: Place, text: string): T {
  const [key, ...rest] = place
  if (key === undefined) return text as T
  const copy = (Array.isArray(value) ? [...value] : { ...value }) as Record<string | number, unknown>
  copy[key] = withString(copy[key], rest, text)
  return copy as T
}
