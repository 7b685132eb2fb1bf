// An incident to look at: calm, a flood of DNS and NTP answers, calm; replayed in lock step, with all that a report may have.

import type { Test } from 'tap'
import type { Attack, Incident, IncidentReport, PcapRingOptions } from '../../src/index.js'
import { encodePcap, type PacketInput } from '../../src/testing.js'
import { ipv4Frame } from './generate.js'
import { random } from './random.js'
import { replay, ringOf } from './replay.js'

const start = Date.UTC(2026, 0, 15, 3, 12, 7)

function packet(time: number, source: number[], port: number, size: number): PacketInput {
  const data = ipv4Frame(17, size)
  data.set(source, 26)
  data.writeUInt16BE(port, 34)
  data.writeUInt16BE(40_000, 36)
  data.writeUInt16BE(size - 34, 38)
  return { time: start + time, data }
}

/** 5 s of calm at 300 packets a second, 1.6 s of a flood at 13,000, calm again. */
function floodRecording(): Uint8Array {
  const next = random(7)
  const packets: PacketInput[] = []
  const calm = (from: number, to: number): void => {
    for (let time = from; time < to; time += 2 + 3 * next()) {
      packets.push(packet(time, [10, 0, 0, 10 + Math.floor(20 * next())], 443, 90 + Math.floor(900 * next())))
    }
  }
  calm(0, 5_000)
  for (let time = 5_000; time < 6_600; time += 0.05 + 0.05 * next()) {
    const [port, size] = next() < 0.88 ? [53, 1_400] : [123, 468]
    packets.push(packet(time, [198, 51, 100, Math.floor(60 * next() ** 2)], port, size))
  }
  calm(6_600, 9_000)
  return encodePcap(packets)
}

const attack: Attack = {
  at: '2026-01-15T03:12:12.250000Z',
  onsetAt: '2026-01-15T03:12:12.000000Z',
  pps: 13_000,
  bps: 120_000_000,
  baseline: { pps: 290, bps: 1_200_000 },
  cause: 'baseline',
  vector: 'dns-amplification',
  severity: 'high',
}

export async function floodReport(t: Test, options: PcapRingOptions = {}): Promise<IncidentReport> {
  const resolution = { packets: 400, duration: '2s', reserve: true } as const
  const ring = ringOf(t, { file: floodRecording(), resolution, ...options })
  let incident: Incident | undefined
  ring.on('stats', ({ inbound }) => {
    if (incident === undefined && inbound.pps >= 5_000) {
      incident = ring.freeze({
        id: 'flood-1',
        reason: 'DNS answers nobody asked for, 13 kpps inbound',
        labels: { customer: '17', site: 'fra1' },
        attack,
      })
    } else if (incident?.state === 'capturing' || incident?.state === 'capped') {
      if (inbound.pps < 2_000) void incident.resolve()
    }
  })
  await replay(ring)
  return (incident as Incident).resolve()
}
