// Figures for the detector's tests: intervals one after the other, in a time of their own.

import type { FloodDetector, Judgement } from '../../src/detect/index.js'
import { stats } from '../../src/testing.js'
import { formatTime } from '../../src/time.js'

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

const scaled = <T extends object>(all: T, seconds: number): T =>
  Object.fromEntries(Object.entries(all).map(([name, value]) => [name, Math.round((value as number) * seconds)])) as T

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
  next({
    pps,
    bps = pps * 4_000,
    protocols = { udp: pps },
    tcpFlags = {},
    fragments = 0,
    outbound = 0,
  }: Rates): Judgement {
    this.time += this.interval
    const seconds = this.interval / 1_000
    const packets = Math.round(pps * seconds)
    const bytes = Math.round((bps * seconds) / 8)
    const sent = Math.round(outbound * seconds)
    return this.detector.update({
      ...silence,
      time: formatTime(BigInt(this.time) * 1_000_000n),
      interval: this.interval,
      packets: packets + sent,
      bytes,
      pps: pps + outbound,
      bps,
      inbound: { packets, bytes, pps, bps },
      protocols: { ...silence.protocols, ...scaled(protocols, seconds) },
      tcpFlags: { ...silence.tcpFlags, ...scaled(tcpFlags, seconds) },
      fragments: Math.round(fragments * seconds),
    })
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
