import type { Stats } from '../types.js'

/** Packets by what they are, both directions. */
export interface Mix {
  tcp: number
  udp: number
  icmp: number
  other: number
  syn: number
  synack: number
  ack: number
  rst: number
  fragments: number
  /** Packets that the interface sent. */
  outbound: number
}

export const noMix = (): Mix => ({
  tcp: 0,
  udp: 0,
  icmp: 0,
  other: 0,
  syn: 0,
  synack: 0,
  ack: 0,
  rst: 0,
  fragments: 0,
  outbound: 0,
})

export const mixNames = Object.keys(noMix()) as (keyof Mix)[]

/** What came in, and what it was. */
export interface Interval {
  /** Its end. */
  time: string
  ms: number
  packets: number
  bytes: number
  mix: Mix
}

export const emptyInterval = (): Interval => ({ time: '', ms: 0, packets: 0, bytes: 0, mix: noMix() })

/** By the rates, so that figures that somebody put together for a test need nothing else. */
export function addStats(
  to: Interval,
  { time, interval, inbound, packets, protocols, tcpFlags, fragments }: Stats,
): void {
  to.time = time
  to.ms += interval
  to.packets += (inbound.pps * interval) / 1_000
  to.bytes += (inbound.bps * interval) / 8_000
  if (protocols === null) return
  // By name: this is most of what an interval costs.
  const { mix } = to
  mix.tcp += protocols.tcp
  mix.udp += protocols.udp
  mix.icmp += protocols.icmp
  mix.other += protocols.other
  mix.syn += tcpFlags.syn
  mix.synack += tcpFlags.synack
  mix.ack += tcpFlags.ack
  mix.rst += tcpFlags.rst
  mix.fragments += fragments
  mix.outbound += Math.max(0, packets - inbound.packets)
}

export function addInterval(to: Interval, more: Interval): void {
  to.time = more.time
  to.ms += more.ms
  to.packets += more.packets
  to.bytes += more.bytes
  for (const name of mixNames) to.mix[name] += more.mix[name]
}

/** Rates a second. */
export interface Level {
  pps: number
  bps: number
  mix: Mix
}

export function levelOf({ ms, packets, bytes, mix }: Interval): Level {
  const perSecond = 1_000 / ms
  const rates = noMix()
  for (const name of mixNames) rates[name] = mix[name] * perSecond
  return { pps: packets * perSecond, bps: bytes * 8 * perSecond, mix: rates }
}
