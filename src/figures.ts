// How figures and foreign text are written, on a terminal and on a page.

/** What came from a file or from the network must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** `10,000`. Not toLocaleString: the same everywhere. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

export function size(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = ''
  while (value >= 1_024 && units.length > 0) {
    value /= 1_024
    unit = units.shift() as string
  }
  return unit === '' ? `${bytes} bytes` : `${value.toFixed(1)} ${unit} (${count(bytes)} bytes)`
}

export function duration(ms: number): string {
  if (ms < 1_000) return `${Number(ms.toFixed(3))} ms`
  const seconds = ms / 1_000
  if (seconds < 60) return `${Number(seconds.toFixed(3))} s`
  const whole = Math.round(seconds)
  const parts = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'm'],
    [1, 's'],
  ] as const
  let rest = whole
  const text = []
  for (const [length, unit] of parts) {
    const value = Math.floor(rest / length)
    rest -= value * length
    if (value > 0) text.push(`${value}${unit}`)
  }
  return text.join(' ')
}

/** `1.2 Mpps`. */
export function rate(value: number, unit: 'pps' | 'bps'): string {
  const prefixes = ['', 'k', 'M', 'G', 'T']
  let scaled = value
  while (scaled >= 999.95 && prefixes.length > 1) {
    scaled /= 1_000
    prefixes.shift()
  }
  const [prefix] = prefixes
  const text = prefix === '' ? String(Math.round(scaled)) : scaled.toFixed(1)
  return `${text} ${prefix}${unit === 'bps' ? 'bit/s' : unit}`
}

/** `52.1 kpps, 26.7 Mbit/s`. */
export function rates({ pps, bps }: { pps: number; bps: number }): string {
  return `${rate(pps, 'pps')}, ${rate(bps, 'bps')}`
}
