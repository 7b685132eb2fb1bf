import type { AmplificationProtocol, Traffic, Vector } from '../types.js'
import type { Mix } from './interval.js'

/**
 * Names by what most of the flood's packets are. Rather a general name than a wrong one: what is not clear is `'unknown'`, and
 * `'multi-vector'` where it is clearly more than one.
 */

/** Of all that the flood brings: this much makes a name, */
const most = 0.75
/** and each of several has at least this much. */
const each = 0.2
/** Of all UDP packets, where most are fragments, so many have to come from a server's port. */
const fewest = 0.1

/**
 * UDP source ports of what is sent to a victim by servers that were asked in its name: CISA, "UDP-Based Amplification Attacks"
 * (TA14-017A), and the vendors' reports since (memcached, WS-Discovery).
 */
const amplifiers: Readonly<Record<number, AmplificationProtocol>> = {
  17: 'qotd',
  19: 'chargen',
  53: 'dns',
  111: 'portmap',
  123: 'ntp',
  161: 'snmp',
  389: 'cldap',
  1900: 'ssdp',
  3702: 'ws-discovery',
  11211: 'memcached',
}

/** By counters: what the flood brought on top of what was normal. Packets. */
export function vectorOfMix(flood: Mix): Vector {
  const { mix, sent } = withoutAnswers(flood)
  const all = mix.tcp + mix.udp + mix.icmp + mix.other
  if (all <= 0) return 'unknown'
  if (mix.fragments >= most * all) return 'fragment-flood'
  // Where ACKs go both ways, something is transferred.
  const acks = sent < each * mix.ack ? mix.ack : 0
  const rest = Math.max(0, mix.tcp - mix.syn - mix.synack - mix.rst - acks)
  const parts: [Vector, number][] = [
    ['udp-flood', mix.udp],
    ['icmp-flood', mix.icmp],
    ['syn-flood', mix.syn],
    ['synack-reflection', mix.synack],
    ['rst-flood', mix.rst],
    ['ack-flood', acks],
    ['unknown', mix.other + rest],
  ]
  return named(parts, all)
}

/** The largest, if it is clearly so; several, if they are. */
function named(parts: readonly (readonly [Vector, number])[], all: number): Vector {
  const large = parts.filter(([, packets]) => packets >= each * all)
  const [first] = [...parts].sort(([, a], [, b]) => b - a)
  if (first !== undefined && first[1] >= most * all) return first[0]
  const known = large.filter(([name]) => name !== 'unknown')
  return known.length > 1 ? 'multi-vector' : 'unknown'
}

/**
 * A host answers SYNs, ACKs to closed ports, and pings: what it sends is no part of the flood. `sent`: what it sent besides. Where
 * directions are not known, as in most recordings, each SYN-ACK may answer a SYN, each RST what is not one.
 */
function withoutAnswers(flood: Mix): { mix: Mix; sent: number } {
  const mix = { ...flood }
  const all = mix.tcp + mix.udp + mix.icmp + mix.other
  const take = (name: 'rst' | 'synack', most: number): number => {
    const taken = Math.min(mix[name], most)
    mix[name] -= taken
    mix.tcp = Math.max(0, mix.tcp - taken)
    return taken
  }
  if (mix.outbound <= all / 100) {
    take('synack', mix.syn)
    take('rst', mix.syn + mix.synack + mix.ack)
    return { mix, sent: 0 }
  }
  let sent = mix.outbound
  sent -= take('rst', sent)
  sent -= take('synack', sent)
  const answered = Math.min(sent, mix.icmp / (mix.udp > mix.icmp ? 1 : 2))
  mix.icmp -= answered
  return { mix, sent: sent - answered }
}

/**
 * By what the packets of the capture are, given what the counters named: of UDP, whose ports only the capture knows.
 * What was sent before the flood is in it, too.
 */
export function vectorOfTraffic(byCounters: Vector, { protocols, ports, fragments }: Traffic): Vector {
  if (byCounters !== 'udp-flood' && byCounters !== 'fragment-flood' && byCounters !== 'unknown') return byCounters
  const all = protocols.tcp + protocols.udp + protocols.icmp + protocols.other
  if (protocols.udp < all / 2) return byCounters
  const from = ports.filter(({ proto, side }) => proto === 'udp' && side === 'source')
  const known = from.flatMap(({ port, packets }) => {
    const protocol = amplifiers[port]
    return protocol === undefined ? [] : [[`${protocol}-amplification`, packets] as const]
  })
  const listed = from.reduce((sum, { packets }) => sum + packets, 0)
  const servers = known.reduce((sum, [, packets]) => sum + packets, 0)
  // Fragments but the first have no ports: large answers come in several.
  const withPorts = Math.max(1, protocols.udp - fragments, listed)
  const found = servers < fewest * protocols.udp ? 'unknown' : named(known, withPorts)
  return found === 'unknown' ? byCounters : found
}
