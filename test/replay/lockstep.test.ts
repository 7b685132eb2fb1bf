import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { defaultStart, sequenceOf, synPackets, udpPackets } from '../support/generate.js'
import { type HostApi, type HostOptions, runHost } from '../support/host.js'
import { node24 } from '../support/node24.js'
import { parsePcap } from '../support/pcap-file.js'
import { pcapBytes, toRaw, usOf, usOfTime } from '../support/recording.js'
import { scratch } from '../support/replay.js'

// Two floods in calm traffic. The first is over before the cap of the file, the second is not. They are so close that the
// first one's onset is still kept when the second comes.
const packets = toRaw([
  ...udpPackets({ pps: 317, count: 1_000 }),
  ...synPackets({ pps: 9_973, count: 8_000, firstSequence: 1_000, start: defaultStart + 3_155 }),
  ...udpPackets({ pps: 411, count: 1_500, firstSequence: 9_000, start: defaultStart + 3_958 }),
  ...synPackets({ pps: 21_001, count: 24_000, firstSequence: 10_500, start: defaultStart + 7_700 }),
  ...udpPackets({ pps: 251, count: 700, firstSequence: 34_500, start: defaultStart + 8_901 }),
])
const intervalUs = 250_000
const threshold = { on: 2_000, off: 900 }
const resolution = { packets: 100, us: 1_000_000 }
const capPackets = 10_000
const ringPackets = 500
const firstOfFlood = 1_000

const range = (from: number, end: number): number[] => Array.from({ length: end - from }, (_, i) => from + i)

/** From before a freeze that packet `at` is the first behind, with the onset at packet `onset`. */
function before(at: number, onset: number): number[] {
  if (at - onset <= ringPackets) return range(onset - ringPackets, at)
  const half = ringPackets / 2
  return [...range(onset - ringPackets, onset + half), ...range(at - half, at)]
}

/** What the incidents of the recording hold, from the recording and the place of the onset alone. */
function prediction(onset: number): number[][] {
  const times = packets.map(usOf)
  const first = times[0] as number
  const incidents: number[][] = []
  let current: { at: number; resolveUs: number | null } | null = null
  // Packet i is counted in the interval that it lies in; the listener decides at the interval's end.
  let next = 0
  for (let end = first + intervalUs; next < times.length; end += intervalUs) {
    const from = next
    while (next < times.length && (times[next] as number) < end) next++
    if (next === times.length) break
    const pps = (next - from) / 0.25
    if (current === null && pps >= threshold.on) {
      current = { at: next, resolveUs: null }
    } else if (current !== null && pps < threshold.off) {
      const kept = before(current.at, onset)
      const resolved = kept.length + next - current.at
      let count = Math.min(resolved, capPackets)
      if (resolved < capPackets) {
        const until = times.findIndex((us) => us >= end + resolution.us)
        const late = (until < 0 ? times.length : until) - next
        count = Math.min(resolved + Math.min(resolution.packets, late), capPackets)
      }
      incidents.push([...kept, ...range(current.at, current.at + count - kept.length)])
      current = null
    }
  }
  return incidents
}

type Manner = 'plain' | 'timer' | 'flushed'
interface Job {
  file: string
  directory: string
  manner: Manner
  runs: number
}

/** Replays again and again with a listener of one manner; writes the files of every run into a directory of its own. */
async function scenario({ PcapRing, once }: HostApi<Record<string, unknown>>, job: Job): Promise<void> {
  const answers: { node: string; files: string[][] } = { node: process.version, files: [] }
  for (let run = 0; run < job.runs; run++) {
    const ring = new PcapRing({ file: job.file, directory: `${job.directory}/${run}` })
    const files: string[] = []
    let open: import('../../src/index.js').Incident | null = null
    let count = 0
    ring.on('stats', async (stats) => {
      if (job.manner === 'timer') await new Promise((resolve) => setTimeout(resolve, 2))
      if (open === null && stats.pps >= 2_000) {
        open = ring.freeze({ id: `i${count++}` })
        files.push(open.file as string)
        if (job.manner === 'flushed') await open.flushed
      } else if (open !== null && stats.pps < 900) {
        open.resolve()
        open = null
      }
    })
    const end = once(ring, 'end')
    await ring.start()
    await end
    await ring.close()
    answers.files.push(files)
  }
  process.stdout.write(JSON.stringify(answers))
}

interface Outcome {
  node: string
  /** Digests of what one run wrote, the same in all. */
  digests: string[]
}

async function runs(t: Test, manner: Manner, count: number, options: HostOptions = {}): Promise<Outcome> {
  const directory = scratch(t)
  const file = join(directory, 'recording.pcap')
  writeFileSync(file, pcapBytes(packets))
  const { status, stdout, stderr } = await runHost(t, options, scenario, { file, directory, manner, runs: count }).ended
  t.equal(status, 0, stderr)
  const { node, files } = JSON.parse(stdout) as { node: string; files: string[][] }
  t.equal(files.length, count)
  const digests = files.map((paths) => paths.map(digestOf))
  t.equal(new Set(digests.map((list) => list.join())).size, 1, 'all runs wrote the same')

  const onset = onsetOf(files[0]?.[0] as string)
  t.ok(onset >= firstOfFlood && onset < firstOfFlood + 5, `the onset is packet ${onset}`)
  const found = (files[0] ?? []).map((path) => parsePcap(readFileSync(path)).records)
  t.strictSame(
    found.map((records) => records.map(({ data }) => sequenceOf(data))),
    prediction(onset),
    'as predicted from the recording',
  )
  for (const records of found) {
    const untouched = records.every(({ sec, frac, data, len }) => {
      const packet = packets[sequenceOf(data)]
      return packet?.sec === sec && packet.frac === frac && len === packet.data.length && packet.data.equals(data)
    })
    t.ok(untouched)
  }
  return { node, digests: digests[0] ?? [] }
}

/** The packet at which a report says that the rise began. */
function onsetOf(path: string): number {
  const { coverage } = JSON.parse(readFileSync(path.replace(/pcap$/, 'json'), 'utf8'))
  return packets.findIndex((packet) => usOf(packet) === usOfTime(coverage.onsetAt))
}

/** Of the capture, and of the report but for where it lies. */
function digestOf(path: string): string {
  const report = JSON.parse(readFileSync(path.replace(/pcap$/, 'json'), 'utf8'))
  const { file: _, custody: __, ...same } = report
  return createHash('sha256').update(readFileSync(path)).update(JSON.stringify(same)).digest('hex')
}

/** Keeps every core busy until the test ends. */
function load(t: Test): void {
  for (let i = 0; i <= availableParallelism(); i++) {
    const child = spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' })
    t.teardown(() => child.kill('SIGKILL'))
  }
}

test('the recording makes two incidents, one below the cap and one capped', (t) => {
  const wanted = prediction(firstOfFlood)
  t.equal(wanted.length, 2)
  t.equal(wanted[1]?.length, capPackets)
  t.ok((wanted[0]?.length ?? 0) < capPackets)
  t.end()
})

const manners: Manner[] = ['plain', 'timer', 'flushed']

test('twenty runs write the same bytes', async (t) => {
  for (const manner of manners) {
    const { digests } = await runs(t, manner, 20)
    t.strictSame(digests, (await runs(t, manner, 1)).digests, 'in another process too')
  }
})

test('under load', async (t) => {
  load(t)
  const calm = (await runs(t, 'plain', 1)).digests
  for (const manner of manners) t.strictSame((await runs(t, manner, 2)).digests, calm, manner)
})

test('with one thread and with sixteen in the pool of libuv', async (t) => {
  for (const size of ['1', '16']) {
    for (const manner of manners) {
      const { digests } = await runs(t, manner, 2, { env: { UV_THREADPOOL_SIZE: size } })
      t.equal(digests.length, 2)
    }
  }
})

test('Node 20 and 24 write the same', async (t) => {
  const other = await node24()
  if (other.missing !== null) {
    t.pass('Node 24', { skip: other.missing })
    return
  }
  for (const manner of manners) {
    const here = await runs(t, manner, 1)
    const there = await runs(t, manner, 3, { wrap: other.wrap })
    t.match(there.node, /^v24\./)
    t.strictSame(there.digests, here.digests, manner)
  }
})
