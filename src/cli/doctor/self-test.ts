import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { count, duration } from '../../figures.js'
import { sendToLoopback } from '../../host.js'
import { PcapRing } from '../../index.js'
import type { Finding } from './finding.js'

/** Of sending, together. */
const steps = 4
const stepMs = 500
/** Longer than the kernel and the writer hold anything back. */
const drainMs = 400
const mostBytes = 256 * 1_024 * 1_024

export interface Step {
  /** Packets a second, as they were sent. */
  pps: number
  sent: number
  recorded: number
}

/** Records what this machine sends to itself, and looks for the highest rate at which nothing is lost. */
export async function recordLoopback(stop: AbortSignal): Promise<Step[]> {
  const directory = await mkdtemp(join(tmpdir(), 'pcap-ring-doctor-'))
  const filter = 'udp dst port 9 and dst host 127.0.0.1'
  const ring = new PcapRing({ device: 'lo', directory, filter, cpuBudget: null, lookback: 0, fallback: false })
  ring.on('warning', () => {})
  const done: Step[] = []
  try {
    await ring.start({ signal: stop })
    do {
      const pps = nextRate(done)
      const cap = { packets: Number.MAX_SAFE_INTEGER, bytes: mostBytes, duration: '1m' } as const
      const incident = ring.capture({ cap })
      await incident.flushed
      const { sent, tookMs } = await sendToLoopback(stepMs, pps)
      await sleep(drainMs)
      const { file, packets } = await incident.resolve()
      if (file !== null) await rm(file)
      done.push({ pps: sent / (tookMs / 1_000), sent, recorded: Math.min(packets, sent) })
    } while (done.length < steps && !stop.aborted)
    return done
  } finally {
    await ring.close()
    await rm(directory, { recursive: true, force: true })
  }
}

/** 0: as many as go. */
export function nextRate(done: readonly Step[]): number {
  const { whole, lossy } = bounds(done)
  return lossy === null ? 0 : ((whole?.pps ?? 0) + lossy.pps) / 2
}

/** The highest rate at which all was recorded, and the lowest at which it was not. */
function bounds(done: readonly Step[]): { whole: Step | null; lossy: Step | null } {
  const byRate = [...done].sort((a, b) => a.pps - b.pps)
  const lossy = byRate.find(({ sent, recorded }) => recorded < sent) ?? null
  const below = byRate.filter(({ pps }) => lossy === null || pps < lossy.pps)
  return { whole: below.at(-1) ?? null, lossy }
}

export function judgeSteps(done: readonly Step[]): Finding {
  const { whole, lossy } = bounds(done)
  const round = (pps: number): string => count(Number(pps.toPrecision(2)))
  const how = `UDP frames of 64 bytes on loopback for ${duration(done.length * stepMs)}, every one recorded to a file; there each passes twice, is answered by an ICMP error, and the sender takes its part, so from a card it may be more`
  const remedy = 'fewer others on these cores; in a program a larger kernelBuffer'
  const value = { steps: done }
  if (lossy === null) {
    const text = `${round(whole?.pps ?? 0)} packets a second without loss, which is all that this machine sends (${how})`
    return { name: 'rate', level: 'ok', text, remedy: null, value }
  }
  const lost = (100 * (1 - lossy.recorded / lossy.sent)).toPrecision(2)
  const beyond = `${lost} % lost at ${round(lossy.pps)} (${how})`
  if (whole === null) return { name: 'rate', level: 'warning', text: `no rate without loss: ${beyond}`, remedy, value }
  const text = `${round(whole.pps)} packets a second without loss; ${beyond}`
  return { name: 'rate', level: 'note', text, remedy, value }
}
