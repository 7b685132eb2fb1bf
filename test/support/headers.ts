// A second opinion on packet headers: shares no code with native/, follows the RFCs and what docs/files.md promises.

export interface Headers {
  protocol: 'tcp' | 'udp' | 'icmp' | 'other'
  /** Addresses as hexadecimal, the family in front: `4:0a000001`. */
  source?: string
  destination?: string
  ports?: { source: number; destination: number }
  /** The TCP flags byte. */
  flags?: number
  fragment: boolean
}

const vlanTypes = [0x8100, 0x88a8, 0x9100]
/** Hop-by-hop, routing, fragment, authentication, destination, mobility, HIP, shim6. */
const extensions = [0, 43, 44, 51, 60, 135, 139, 140]

/** Ethernet, cooked, raw IP, and 147: for whom it may concern, so that nobody looks into it. */
export const linkTypes = [1, 113, 12, 101, 228, 229, 147]

/** Of the link types above; anything else is `other`. */
export function headersOf(data: Buffer, linkType = 1): Headers {
  switch (linkType) {
    case 1:
      return data.length < 14 ? none() : byType(data.readUInt16BE(12), data.subarray(14))
    case 113:
      return data.length < 16 ? none() : byType(data.readUInt16BE(14), data.subarray(16))
    case 228:
      return ipv4(data)
    case 229:
      return ipv6(data)
    case 12:
    case 101:
      return (data[0] ?? 0) >> 4 === 6 ? ipv6(data) : ipv4(data)
  }
  return none()
}

const none = (): Headers => ({ protocol: 'other', fragment: false })

function byType(type: number, rest: Buffer, tags = 0): Headers {
  if (vlanTypes.includes(type) && rest.length >= 4 && tags < 8) {
    return byType(rest.readUInt16BE(2), rest.subarray(4), tags + 1)
  }
  if (type === 0x0800) return ipv4(rest)
  return type === 0x86dd ? ipv6(rest) : none()
}

function ipv4(data: Buffer): Headers {
  if (data.length < 10 || (data[0] as number) >> 4 !== 4) return none()
  const fragment = data.readUInt16BE(6)
  const total = data.readUInt16BE(2)
  const header = ((data[0] as number) & 15) * 4
  const inside = total === 0 ? data : data.subarray(0, total)
  const addresses = data.length >= 20 ? pair('4', data.subarray(12, 20)) : {}
  const payload = header >= 20 ? inside.subarray(header) : Buffer.alloc(0)
  const transport = transportOf(data[9] as number, payload, (fragment & 0x1fff) === 0)
  return { ...transport, ...addresses, fragment: (fragment & 0x3fff) !== 0 }
}

function ipv6(data: Buffer): Headers {
  if (data.length < 7 || (data[0] as number) >> 4 !== 6) return none()
  const addresses = data.length >= 40 ? pair('6', data.subarray(8, 40)) : {}
  const length = data.readUInt16BE(4)
  let rest = (length === 0 ? data : data.subarray(0, 40 + length)).subarray(40)
  let next = data[6] as number
  let fragment = false
  let first = true
  for (let seen = 0; extensions.includes(next) && first && rest.length >= 2 && seen < 16; seen++) {
    const [after, units] = rest as unknown as [number, number]
    let size = (units + 1) * 8
    if (next === 51) size = (units + 2) * 4
    if (next === 44) {
      size = 8
      if (rest.length >= 4) {
        const field = rest.readUInt16BE(2)
        fragment ||= (field & 0xfff9) !== 0
        first = field >> 3 === 0
      }
    }
    next = after
    rest = rest.subarray(size)
  }
  return { ...transportOf(next, rest, first), ...addresses, fragment }
}

function transportOf(protocol: number, payload: Buffer, first: boolean): Omit<Headers, 'fragment'> {
  if (protocol === 1 || protocol === 58) return { protocol: 'icmp' }
  if (protocol !== 6 && protocol !== 17) return { protocol: 'other' }
  const ports =
    first && payload.length >= 4
      ? { ports: { source: payload.readUInt16BE(0), destination: payload.readUInt16BE(2) } }
      : {}
  if (protocol === 17) return { protocol: 'udp', ...ports }
  return { protocol: 'tcp', ...ports, ...(first && payload.length >= 14 ? { flags: payload[13] as number } : {}) }
}

function pair(family: string, both: Buffer): { source: string; destination: string } {
  const half = both.length / 2
  const text = (from: number): string => `${family}:${both.toString('hex', from, from + half)}`
  return { source: text(0), destination: text(half) }
}

/** A textual address as above. */
export function addressKey(text: string): string {
  if (!text.includes(':')) return `4:${Buffer.from(text.split('.').map(Number)).toString('hex')}`
  // The URL parser knows every way to write one, and writes it in one.
  const [head = '', tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::')
  const groups = (part: string): string[] => part.split(':').filter(Boolean)
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array(8 - before.length - after.length).fill('0')
  return `6:${[...before, ...zeros, ...after].map((group) => group.padStart(4, '0')).join('')}`
}
