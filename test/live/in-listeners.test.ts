// The ring closed, and the process ended, from within a listener of each kind: with an incident open, whose file is
// complete afterwards.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { PcapRingEvents, PcapRingOptions } from '../../src/index.js'
import { sizes } from '../support/evidence.js'
import { udpPackets } from '../support/generate.js'
import { runHost } from '../support/host.js'
import { judgeFiles, reportsIn } from '../support/incident-files.js'
import { comeBackAsTunnel, down, makePair, noNamespaces, removeDevice, up } from '../support/netns.js'
import { recordingOf, scratch } from '../support/replay.js'
import { noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

type Kind = keyof PcapRingEvents

/** What is in the directory afterwards, beside the incident that is open in each of them. */
const kinds: Record<Kind, string[]> = {
  start: [],
  stats: [],
  warning: [],
  onset: [],
  freeze: [],
  flush: [],
  cap: ['capped'],
  resolve: ['done'],
  archive: ['done'],
  expire: [],
  down: [],
  up: [],
  end: [],
  error: [],
  close: [],
}

interface Given {
  kind: Kind
  act: 'close()' | 'process.exit()'
  options: PcapRingOptions
}

/** Runs in the host. */
async function life(
  { PcapRing, untilStats }: import('../support/host.js').HostApi<Record<string, unknown>>,
  { kind, act, options }: Given,
): Promise<void> {
  const stored = { bytes: 0, sha256: '', storedAt: '', retainedUntil: '' }
  const archive = {
    put: async ({ file, report }: { file: string; report: { id: string } }) => ({
      id: report.id,
      location: file,
      ...stored,
    }),
  }
  const ring = new PcapRing(kind === 'archive' ? { ...options, archive } : options)
  let closes = 0
  ring.on('close', () => void closes++)
  ring.on('warning', () => {})
  ring.on('error', () => {})
  // These come by themselves, or of the incident that is to be open.
  let ready = ['start', 'end', 'freeze', 'flush'].includes(kind)
  ring.on(kind, () => {
    if (!ready) return
    ready = false
    if (kind === 'start' || kind === 'end') ring.freeze({ id: 'open' })
    if (act === 'process.exit()') process.exit(3)
    const start = process.hrtime.bigint()
    const closed = ring.close()
    const same = ring.close() === closed
    void closed.then(() => {
      const took = Number(process.hrtime.bigint() - start) / 1e6
      process.on('exit', () => console.log(JSON.stringify({ same, took, closes, mode: ring.mode })))
    })
  })
  await ring.start()
  if (kind === 'start' || kind === 'end') return
  // Of an onset, once there is a baseline.
  const packets = kind === 'onset' ? 1_500 : 50
  await untilStats(ring, ({ total }) => total.packets >= packets)
  const incident = ring.freeze({ id: 'open' })
  if (kind === 'freeze' || kind === 'flush') return
  await incident.flushed
  await untilStats(ring, () => incident.packets > 100)
  ready = true
  if (kind === 'warning') ring.freeze({ id: 'taken' })
  if (kind === 'cap') ring.freeze({ id: 'capped', cap: { packets: 60 } })
  if (['resolve', 'archive', 'expire'].includes(kind))
    void ring.freeze({ id: 'done', resolution: { packets: 10 } }).resolve()
  if (kind === 'close') void ring.close()
  console.log('recording')
}

async function endIn(t: Test, kind: Kind, act: Given['act']): Promise<void> {
  const taken = 'incident_taken.pcap'
  const directory = t.testdir(kind === 'warning' ? { [taken]: '' } : {})
  const options: PcapRingOptions = { directory, statsInterval: 50, ring: { packets: 50 } }
  if (kind === 'expire') options.keep = { age: '1s' }
  const pair = makePair(t)
  if (kind === 'end') {
    options.file = join(scratch(t), 'x.pcap')
    writeFileSync(options.file, recordingOf(udpPackets({ pps: 1_000, count: 400 })))
  } else {
    options.device = pair.here.device
    options.kernelBuffer = 8 * 1024 * 1024
  }
  const running = runHost(t, { netns: pair.here.name, nodeArgs: ['--unhandled-rejections=strict'] }, life, {
    kind,
    act,
    options,
  })
  const sending = kind === 'end' ? null : send(t, pair.there, { count: 20_000 })
  if (['down', 'up', 'error'].includes(kind)) {
    await running.until(/recording/)
    if (kind === 'error') {
      removeDevice(pair.here)
      comeBackAsTunnel(pair.here)
    } else {
      // What comes while it is away would rightly be missing in the file.
      await sending?.stop()
      down(pair.here)
      if (kind === 'up') up(pair.here)
    }
  }
  let flood: typeof sending = null
  if (kind === 'onset') {
    await running.until(/recording/)
    const first = (await sending?.stop()) ?? 0
    flood = send(t, pair.there, { count: 10_000, pps: 20_000, first })
  }
  const { stdout, ...how } = await running.ended
  await sending?.stop()
  await flood?.stop()
  t.same(how, { status: act === 'close()' ? 0 : 3, signal: null, stderr: '' })
  if (act === 'close()') {
    const { took, ...closed } = JSON.parse(stdout.replace('recording\n', ''))
    t.same(closed, { same: true, closes: 1, mode: 'closed' })
    // latency + 1 s, threefold.
    t.ok(took < 3_300, `close() took ${took} ms`)
  }

  // A process that is ended at once has no time left to hand over what is complete then: the next one does.
  const besides = kind === 'archive' && act === 'process.exit()' ? ['incident_open.undelivered'] : []
  const reports = reportsIn(t, directory, kind === 'warning' ? [taken] : besides)
  t.same(reports.map(({ id }) => id).sort(), [...kinds[kind], 'open'].sort())
  if (kind !== 'end') judgeFiles(t, reports)
  for (const report of reports) t.equal(report.error, kind === 'error' ? 'ERR_PCAP_DEVICE_GONE' : null)
  if (kind === 'start') return
  const open = sizes(reports.find(({ id }) => id === 'open') as (typeof reports)[0])
  t.equal(open['pre-buffer'], 50)
  if (!['freeze', 'flush', 'end'].includes(kind)) t.ok((open.attack ?? 0) > 50, `${open.attack} in the attack`)
}

for (const act of ['close()', 'process.exit()'] as const) {
  for (const kind of Object.keys(kinds) as Kind[]) {
    test(`${act} in a listener of ${kind}`, { skip }, (t) => endIn(t, kind, act))
  }
}
