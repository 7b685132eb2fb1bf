import { basename } from 'node:path'

import type { Archive } from '../archive/index.js'
import { FloodDetector } from '../detect/index.js'
import { count, duration, printable, rate, rates } from '../figures.js'
import type { Attack, Onset, PcapRingError, Stats } from '../index.js'
import { PcapRing } from '../index.js'
import { readKeys } from './archive-keys.js'
import { archiveAt } from './archive-place.js'
import type { CaptureArgs, ReplayArgs, WatchArgs } from './args.js'
import { card } from './card.js'
import { showLive } from './live-view.js'
import type { Output } from './output.js'
import { CommandError, jsonLine, now } from './output.js'

/** Packets that the command lets an incident have: the ring's default. */
const capPackets = 10_000

/**
 * `pcap-ring watch` and `pcap-ring replay`: an incident for as long as there is a flood. Ends with
 * the recording, or when `stop` is aborted; what is open then is completed first.
 */
export async function watchCommand(args: WatchArgs | ReplayArgs, output: Output, stop: AbortSignal): Promise<void> {
  const { directory, filter, format } = args
  const source = args.command === 'replay' ? { file: args.file, pace: args.pace } : { device: args.device }
  const keep = args.keep === undefined ? false : { age: args.keep }
  const archive = await archiveOf(args)
  const ring = new PcapRing({ ...source, directory, filter, format, keep, archive })
  const { pps, bps, baseline } = args
  const detector = new FloodDetector({ pps, bps, baseline })
  detector.watch(ring)
  if (args.json) {
    detector.on('attack', (attack) => output.out(jsonLine('attack', attack, attack.at)))
    detector.on('clear', (attack, report) => output.out(jsonLine('clear', attack, report?.resolvedAt)))
  } else {
    detector.on('attack', (attack) => output.err(`attack: ${attackLine(attack)}`))
    detector.on('clear', (attack) => output.err(`attack over: ${attackLine(attack)} at the most`))
    const { panel, color } = output
    if (panel !== undefined) {
      const measure = pps === undefined && bps !== undefined && baseline === null ? 'bps' : 'pps'
      const name = args.command === 'replay' ? basename(args.file) : ''
      const options = { source: name, measure, capPackets, byBaseline: baseline !== null, color } as const
      showLive(ring, detector, (lines) => panel.draw(lines(panel.size)), options)
    }
  }
  const sweep = (): void =>
    void archive?.sweep().catch((error: unknown) => output.err(`warning: ${printable((error as Error).message)}`))
  await run(ring, args, output, stop, async (ended) => {
    sweep()
    const hourly = setInterval(sweep, 3_600_000)
    await ended
    clearInterval(hourly)
    // With a resolution section where the recording has one to give; a stopped command does not wait for it.
    if (!stop.aborted) await Promise.allSettled(ring.incidents.map((open) => open.resolve()))
  })
}

/** `pcap-ring capture`: one manual capture. */
export async function captureCommand(args: CaptureArgs, output: Output, stop: AbortSignal): Promise<void> {
  const { device, directory, filter, format, packets } = args
  // Without the permission to capture there would be no file, and a file is all that was asked for.
  const archive = await archiveOf(args)
  const ring = new PcapRing({ device, directory, filter, format, fallback: false, archive })
  await run(ring, args, output, stop, async (ended) => {
    const incident = ring.capture({ cap: { packets, duration: args.duration }, signal: stop })
    // `ended`: the ring may die, or the command be stopped, before.
    const report = await Promise.race([incident.finished, ended.then(() => incident.resolve())])
    if (report.error !== null) throw new CommandError(`the capture is incomplete: ${report.error}`)
  })
}

type LiveArgs = WatchArgs | ReplayArgs | CaptureArgs

async function archiveOf({ archive }: LiveArgs): Promise<Archive | undefined> {
  if (archive === undefined) return undefined
  const { place, keys, retention } = archive
  return archiveAt(place, { keys: readKeys(keys, process.env), retention }, process.env)
}

/** For the card; how long a link lives is what `archive sign` gives it. */
function uploadOf({ archive }: LiveArgs): string | null {
  return archive === undefined
    ? null
    : `on its way to ${archive.place}, kept there for ${duration(archive.retention)}; a link lives 15m`
}

/** Starts the ring, tells of it while `work` goes on, and closes it whatever happens. */
async function run(
  ring: PcapRing,
  args: LiveArgs,
  output: Output,
  stop: AbortSignal,
  work: (ended: Promise<void>) => Promise<void>,
): Promise<void> {
  const deaths: PcapRingError[] = []
  ring.on('error', (error) => void deaths.push(error))
  if (args.json) tellJson(ring, args, output)
  else tell(ring, args, output)

  const closed = new Promise<void>((resolve) => {
    ring.once('close', resolve)
  })
  const ended = new Promise<void>((resolve) => {
    ring.once('end', resolve)
    ring.once('close', resolve)
    stop.addEventListener('abort', () => resolve(), { once: true })
  })
  try {
    await ring.start({ signal: stop })
  } catch (error) {
    await ring.close()
    if (stop.aborted) return
    throw error
  }
  try {
    await work(ended)
  } finally {
    await ring.close()
    // The cards of what close() completed come before it.
    await closed
    output.status(null)
    output.panel?.draw(null)
  }
  if (deaths[0] !== undefined) throw deaths[0]
}

function tell(ring: PcapRing, args: LiveArgs, output: Output): void {
  ring.on('start', () => output.err(opening(ring, args)))
  ring.on('warning', (error) => output.err(`warning: ${printable(error.message)}`))
  // A manual capture begins with now: its file shows no onset.
  if (args.command !== 'capture') ring.on('onset', (onset) => output.err(onsetLine(onset)))
  ring.on('freeze', ({ id, file }) => output.err(`incident ${id} began${file === null ? '' : `: ${printable(file)}`}`))
  ring.on('cap', ({ id }, reason) => output.err(`incident ${id} reached its cap: ${reason}`))
  ring.on('resolve', (_incident, report) => output.out(card(report, output, uploadOf(args))))
  ring.on('archive', ({ id }, { location, retainedUntil }) =>
    output.err(`incident ${id} archived until ${retainedUntil}: ${printable(location)}`),
  )
  ring.on('expire', (file) => output.err(`removed: ${printable(file)}`))
  ring.on('down', (error) => output.err(`down: ${printable(error.message)}`))
  ring.on('up', () => output.err('up again'))
  if (args.command === 'capture' || output.panel === undefined) {
    ring.on('stats', (stats) => output.status(statusLine(ring, stats)))
  }
}

const attackLine = ({ vector, severity, pps, bps }: Attack): string => `${vector}, ${severity}, ${rates({ pps, bps })}`

function onsetLine({ at, baselinePps, baselineBps, ...risen }: Onset): string {
  return `onset at ${at} kept: ${rates(risen)} (before: ${rates({ pps: baselinePps, bps: baselineBps })})`
}

function opening(ring: PcapRing, args: LiveArgs): string {
  const where = args.command === 'replay' ? printable(args.file) : printable(ring.device ?? '')
  if (args.command === 'capture') return `capturing on ${where} for ${duration(args.duration)}`
  const thresholds = [
    args.pps === undefined ? '' : rate(args.pps, 'pps'),
    args.bps === undefined ? '' : rate(args.bps, 'bps'),
    args.baseline === null ? '' : `eight times the normal rate of ${duration(args.baseline)}`,
  ]
    .filter(Boolean)
    .join(' or ')
  const how = ring.mode === 'statistics' ? ', statistics only' : ''
  return `${args.command === 'replay' ? 'replaying' : 'watching'} ${where}${how}; an attack is ${thresholds} inbound`
}

/** `eth0  12.3 kpps  45.0 Mbit/s  ring 500 packets, 1.2 s  incident 3f9a1c22 3,400 of 10,000`. */
function statusLine({ device, incidents }: Pick<PcapRing, 'device' | 'incidents'>, stats: Stats): string {
  const parts = [device ?? stats.time, rate(stats.inbound.pps, 'pps'), rate(stats.inbound.bps, 'bps')]
  if (stats.ring !== null) parts.push(`ring ${count(stats.ring.packets)} packets, ${duration(stats.ring.span)}`)
  for (const { id, state, packets, file } of incidents) {
    const progress =
      file === null ? 'open' : state === 'capturing' ? `${count(packets)} of ${count(capPackets)}` : state
    parts.push(`incident ${id} ${progress}`)
  }
  return parts.map(printable).join('  ')
}

/** Every event of the ring as a line. Their time is the event's own; in a replay else the end of the last interval. */
function tellJson(ring: PcapRing, args: LiveArgs, output: Output): void {
  let packetTime: string | null = null
  const line = (event: string, data: unknown, time?: string): void =>
    output.out(jsonLine(event, data, time ?? packetTime ?? now()))

  ring.on('start', () => line('start', { mode: ring.mode, device: ring.device }))
  ring.on('stats', (stats) => {
    if (args.command === 'replay') packetTime = stats.time
    line('stats', stats, stats.time)
  })
  ring.on('warning', (error) => line('warning', plain(error)))
  ring.on('onset', (onset) => line('onset', onset, onset.at))
  ring.on('freeze', ({ id, file }) => line('freeze', { id, file }))
  ring.on('flush', ({ id }, sections) => line('flush', { id, sections }))
  ring.on('cap', ({ id }, reason) => line('cap', { id, reason }))
  ring.on('resolve', (_incident, report) => line('resolve', report, report.resolvedAt))
  ring.on('archive', (_report, archived) => line('archive', archived))
  ring.on('expire', (file) => line('expire', { file }))
  ring.on('down', (error) => line('down', plain(error)))
  ring.on('up', () => line('up', {}))
  ring.on('end', () => line('end', {}))
  ring.on('error', (error) => line('error', plain(error)))
  ring.on('close', () => line('close', {}))
}

function plain({ code, message, errno, syscall }: PcapRingError): object {
  return { code, message, errno, syscall }
}
