// Figures for the detector's tests: intervals one after the other, in a time of their own.

import type { FloodDetector, Judgement } from '../../src/detect/index.js'
import type { Stats } from '../../src/index.js'
import { stats } from '../../src/testing.js'

export interface Rates {
  pps: number
  bps?: number
  /** Packets of each kind a second; UDP unless given. */
  protocols?: Partial<Record<'tcp' | 'udp' | 'icmp' | 'other', number>>
  tcpFlags?: Partial<Record<'syn' | 'synack' | 'ack' | 'rst' | 'fin', number>>
  fragments?: number
  /** Packets that the interface sent, on top. */
  outbound?: number
}

/** Made once: days of traffic are a million of them. */
const silence = stats()

/** Hands a detector its intervals. */
export class Feed {
  readonly detector: FloodDetector
  readonly interval: number
  /** ms since 1970, the end of the last interval. */
  time = Date.UTC(2026, 0, 5)

  constructor(detector: FloodDetector, interval = 250) {
    this.detector = detector
    this.interval = interval
  }

  /** One interval of these rates. */
  next(rates: Rates): Judgement {
    return this.detector.update(this.figures(rates))
  }

  /** The next interval's figures. */
  figures({
    pps,
    bps = pps * 4_000,
    protocols = { udp: pps },
    tcpFlags = {},
    fragments = 0,
    outbound = 0,
  }: Rates): Stats {
    this.time += this.interval
    const seconds = this.interval / 1_000
    const packets = Math.round(pps * seconds)
    const bytes = Math.round((bps * seconds) / 8)
    const sent = Math.round(outbound * seconds)
    const { tcp = 0, udp = 0, icmp = 0, other = 0 } = protocols
    const { syn = 0, synack = 0, ack = 0, rst = 0, fin = 0 } = tcpFlags
    const counted = (rate: number): number => Math.round(rate * seconds)
    return {
      ...silence,
      time: `${new Date(this.time).toISOString().slice(0, -1)}000Z`,
      interval: this.interval,
      packets: packets + sent,
      bytes,
      pps: pps + outbound,
      bps,
      inbound: { packets, bytes, pps, bps },
      protocols: { tcp: counted(tcp), udp: counted(udp), icmp: counted(icmp), other: counted(other) },
      tcpFlags: { syn: counted(syn), synack: counted(synack), ack: counted(ack), rst: counted(rst), fin: counted(fin) },
      fragments: counted(fragments),
    }
  }

  /** So many seconds of them; every change there was. */
  for(seconds: number, rates: Rates): Judgement[] {
    const changes: Judgement[] = []
    for (let ms = 0; ms < seconds * 1_000; ms += this.interval) {
      const judged = this.next(rates)
      if (judged.change !== null) changes.push(judged)
    }
    return changes
  }
}
