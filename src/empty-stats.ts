import { formatTime } from './time.js'
import type { Precision, Stats, StatsCapture, StatsStatistics } from './types.js'

/** Figures of nothing at all, before the first interval has ended. */
export function emptyStats(mode: 'capture', precision?: Precision): StatsCapture
export function emptyStats(mode: 'statistics', precision?: Precision): StatsStatistics
export function emptyStats(mode: Stats['mode'], precision?: Precision): Stats
export function emptyStats(mode: Stats['mode'], precision: Precision = 'micro'): Stats {
  const counts = { packets: 0, bytes: 0, pps: 0, bps: 0 }
  const base = { time: formatTime(0n, precision), interval: 0, sampling: 1, ...counts, inbound: { ...counts } }
  if (mode === 'statistics') {
    return {
      ...base,
      mode,
      protocols: null,
      tcpFlags: null,
      fragments: null,
      loss: { kernel: null, interface: 0 },
      ring: null,
      total: { packets: 0, bytes: 0, kernelLoss: null, interfaceLoss: 0 },
    }
  }
  return {
    ...base,
    mode,
    protocols: { tcp: 0, udp: 0, icmp: 0, other: 0 },
    tcpFlags: { syn: 0, synack: 0, ack: 0, rst: 0, fin: 0 },
    fragments: 0,
    loss: { kernel: 0, interface: 0 },
    ring: { packets: 0, bytes: 0, span: 0, oldest: null },
    total: { packets: 0, bytes: 0, kernelLoss: 0, interfaceLoss: 0 },
  }
}
