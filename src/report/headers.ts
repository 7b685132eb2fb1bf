// What the headers of one packet say, as the capture thread's parser (native/traffic) sees it. Safe on any bytes.

export interface PacketHeaders {
  transport: 'tcp' | 'udp' | 'icmp' | 'other'
  fragment: boolean
  /** Where the two addresses stand, source first; null: there are none. */
  addresses: { at: number; size: 4 | 16 } | null
  /** null: none. Fragments but the first have none. */
  ports: { source: number; destination: number } | null
  /** The byte of TCP flags; 0 where it was not captured. */
  flags: number
}

const nothing = (): PacketHeaders => ({
  transport: 'other',
  fragment: false,
  addresses: null,
  ports: null,
  flags: 0,
})

const vlanTypes = new Set([0x8100, 0x88a8, 0x9100])
/** Hop-by-hop, routing, fragment, authentication, destination, mobility, HIP, shim6. */
const extensions = new Set([0, 43, 44, 51, 60, 135, 139, 140])
const fragmentHeader = 44
const authentication = 51

// Nobody stacks more in earnest.
const maxVlanTags = 8
const maxExtensions = 16

/** @param linkType LINKTYPE_ value; one that it cannot look into gives `'other'` */
export function headersOf(data: Uint8Array, linkType: number): PacketHeaders {
  switch (linkType) {
    case 1: // Ethernet
      return data.length < 14 ? nothing() : byEthertype(data, u16(data, 12), 14)
    case 113: // Linux cooked
      return data.length < 16 ? nothing() : byEthertype(data, u16(data, 14), 16)
    case 276: // Linux cooked, version 2
      return data.length < 20 ? nothing() : byEthertype(data, u16(data, 0), 20)
    case 12: // raw IP, of some old writers
    case 14:
    case 101: // raw IP
      return data.length > 0 && u8(data, 0) >> 4 === 6 ? ipv6(data, 0) : ipv4(data, 0)
    case 228:
      return ipv4(data, 0)
    case 229:
      return ipv6(data, 0)
    case 0: // BSD loopback
    case 108:
      return data.length < 4 ? nothing() : byEthertype(data, ofFamily(data), 4)
    case 9: {
      // PPP, whose address and control may have been negotiated away
      const start = data.length >= 2 && u16(data, 0) === 0xff03 ? 2 : 0
      if (data.length < start + 2) return nothing()
      const protocol = u16(data, start)
      return byEthertype(data, protocol === 0x0021 ? 0x0800 : protocol === 0x0057 ? 0x86dd : 0, start + 2)
    }
    case 104: // Cisco HDLC
      return data.length < 4 ? nothing() : byEthertype(data, u16(data, 2), 4)
  }
  return nothing()
}

const u8 = (data: Uint8Array, at: number): number => data[at] ?? 0
const u16 = (data: Uint8Array, at: number): number => (u8(data, at) << 8) | u8(data, at + 1)

/** The ethertype for the address family that stands first, in the byte order of whoever wrote it. */
function ofFamily(data: Uint8Array): number {
  const high = u16(data, 0)
  const family = high === 0 ? u16(data, 2) : (u8(data, 1) << 8) | u8(data, 0)
  if (high !== 0 && u16(data, 2) !== 0) return 0
  if (family === 2) return 0x0800
  // Linux, NetBSD and OpenBSD, FreeBSD, macOS
  return [10, 24, 28, 30].includes(family) ? 0x86dd : 0
}

function byEthertype(data: Uint8Array, type: number, at: number): PacketHeaders {
  for (let tags = 0; vlanTypes.has(type) && data.length - at >= 4 && tags < maxVlanTags; tags++) {
    type = u16(data, at + 2)
    at += 4
  }
  if (type === 0x0800) return ipv4(data, at)
  return type === 0x86dd ? ipv6(data, at) : nothing()
}

function ipv4(data: Uint8Array, at: number): PacketHeaders {
  const captured = data.length - at
  if (captured < 10 || u8(data, at) >> 4 !== 4) return nothing()
  const header = (u8(data, at) & 15) * 4
  const claimed = u16(data, at + 2)
  const fragment = u16(data, at + 6)
  // What follows in the frame is padding. 0 is an offloaded packet above 64 KiB.
  const size = claimed === 0 ? captured : Math.min(captured, claimed)
  const payload = header >= 20 && header < size ? at + header : at + size
  return {
    ...transportOf(data, u8(data, at + 9), payload, at + size, (fragment & 0x1fff) === 0),
    fragment: (fragment & 0x3fff) !== 0,
    addresses: captured >= 20 ? { at: at + 12, size: 4 } : null,
  }
}

function ipv6(data: Uint8Array, at: number): PacketHeaders {
  const captured = data.length - at
  if (captured < 7 || u8(data, at) >> 4 !== 6) return nothing()
  const claimed = u16(data, at + 4)
  // As in IPv4: padding, and 0 for a jumbogram.
  const end = at + (claimed === 0 ? captured : Math.min(captured, 40 + claimed))
  let next = u8(data, at + 6)
  let place = Math.min(at + 40, end)
  let fragment = false
  let first = true
  for (let i = 0; extensions.has(next) && first && end - place >= 2 && i < maxExtensions; i++) {
    const header = next
    next = u8(data, place)
    let length = (u8(data, place + 1) + 1) * 8
    if (header === authentication) length = (u8(data, place + 1) + 2) * 4
    if (header === fragmentHeader) {
      length = 8
      if (end - place >= 4) {
        const field = u16(data, place + 2)
        fragment ||= (field & 0xfff9) !== 0
        first = (field & 0xfff8) === 0
      }
    }
    place = Math.min(place + length, end)
  }
  return {
    ...transportOf(data, next, place, end, first),
    fragment,
    addresses: captured >= 40 ? { at: at + 8, size: 16 } : null,
  }
}

function transportOf(
  data: Uint8Array,
  protocol: number,
  at: number,
  end: number,
  first: boolean,
): Pick<PacketHeaders, 'transport' | 'ports' | 'flags'> {
  if (protocol === 1 || protocol === 58) return { transport: 'icmp', ports: null, flags: 0 }
  if (protocol !== 6 && protocol !== 17) return { transport: 'other', ports: null, flags: 0 }
  const ports = first && end - at >= 4 ? { source: u16(data, at), destination: u16(data, at + 2) } : null
  if (protocol === 17) return { transport: 'udp', ports, flags: 0 }
  return { transport: 'tcp', ports, flags: first && end - at >= 14 ? u8(data, at + 13) : 0 }
}
