// `npm run soak`: a host under traffic for a long time, with an incident every ten seconds, a device that goes and comes back, a disk
// that is full for a while, workers that come and go, and bursts. Every incident's file is judged; at the end, whether the
// host holds more than at the beginning. Run by scripts/soak.cjs through tap, which gives PCAP_RING_SOAK_MINUTES and
// PCAP_RING_SOAK_OUT.

import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'

import type { IncidentReport } from '../src/index.js'
import { Host } from '../test/support/host.js'
import { down, makePair, type Namespace, noNamespaces, noTool, up } from '../test/support/netns.js'
import { noSender, send } from '../test/support/sender.js'
import { makeTmpfs, noTmpfs } from '../test/support/tmpfs.js'
import { grows, slopeBesideStep } from './growth.js'
import { type Census, census, finish, incident, type State, start, worker } from './host.js'
import { judge } from './incident.js'

const minutes = Number(process.env.PCAP_RING_SOAK_MINUTES ?? '30')
const out = process.env.PCAP_RING_SOAK_OUT as string
const skip = noNamespaces || noSender || noTmpfs || noTool('tshark') || noTool('capinfos') || noTool('tcpdump')

const cycleMs = 10_000
/** Of a cycle: when the incident begins, the worker, the flap; at `rest` nothing is open. */
const moments = { incident: 0, worker: 4_000, flap: 6_000, rest: 9_000 }
const openMs = 2_000
const pps = 20_000
const MiB = 2 ** 20
const diskBytes = 64 * MiB
const minFree = 8 * MiB
/** Caches fill, and the allocator finds its size, in the first samples: at most ten minutes of them, at most half. */
const settling = Math.min(10, minutes / 2)
/**
 * Of malloc: else each thread takes one of up to eight arenas per core, by chance, and the freed pages that these keep look like growth
 * for as long as workers come and go. What is not freed stays in the one as it would in many.
 */
const arenas = '1'
/**
 * KiB a minute that are told from nothing: two pages. The samples scatter by 130 KiB, as a stack is there or not; so the
 * interval of twenty minutes reaches 4 KiB a minute to either side, and 8 where a step in the middle takes half of what they tell.
 */
const resolved = 8

interface Taken extends Census {
  minutes: number
}

/** 20,000 packets a second, from one sender after the other as none sends for longer than 20 s, and bursts beside them. */
class Traffic {
  readonly #t: Test
  readonly #from: Namespace
  #number = 0
  #stopped = false
  #running: Promise<void> | undefined

  constructor(t: Test, from: Namespace) {
    this.#t = t
    this.#from = from
  }

  begin(): void {
    this.#running = this.#run()
  }

  async end(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    let bursts = 0
    while (!this.#stopped) {
      const calm = send(this.#t, this.#from, { count: 15 * pps, pps, first: this.#number, size: 200 })
      // 500 back to back, thrice a second.
      const burst = {
        count: 20_000,
        pulse: '500:300:400',
        first: bursts,
        stream: 1,
        ip: '10.99.1.1',
        for: 15_000,
      } as const
      const pulses = send(this.#t, this.#from, burst)
      this.#number += await calm.sent
      bursts += await pulses.stop()
    }
  }
}

test(`a soak of ${minutes} minutes`, { skip, timeout: (minutes + 5) * 60_000 }, async (t) => {
  mkdirSync(out, { recursive: true })
  const [censusFile, incidentsFile] = [join(out, 'census.csv'), join(out, 'incidents.csv')]
  writeFileSync(censusFile, 'minutes,anonymous_kib,heap_kib,descriptors,threads\n')
  writeFileSync(incidentsFile, 'minutes,id,packets,missing,error,device_down,disk_full\n')

  const { here, there } = makePair(t)
  const disk = makeTmpfs(t, diskBytes)
  const env = { MALLOC_ARENA_MAX: arenas }
  const host = await Host.start(t, { netns: here.name, nodeArgs: ['--expose-gc', '--no-opt'], env })
  await host.call<State, void, object>(start, {
    device: here.device,
    directory: join(disk.directory, 'captures'),
    minFree,
    keep: { bytes: 16 * MiB },
    cpuBudget: null,
    cap: { packets: 100_000 },
  })
  const traffic = new Traffic(t, there)
  traffic.begin()

  const begun = Date.now()
  const since = (): number => (Date.now() - begun) / 60_000
  const until = (time: number): Promise<void> => sleep(Math.max(0, time - Date.now()))
  const taken: Taken[] = []
  const wrong: string[] = []
  let packets = 0
  let incidents = 0
  let [flaps, fills, workers] = [0, 0, 0]

  const settle = (report: IncidentReport, full: boolean, flapped: boolean): void => {
    ++incidents
    const at = since().toFixed(2)
    const judged = judge(report)
    packets += judged.packets
    const problems = judged.wrong
    if (full !== (report.error === 'ERR_PCAP_NO_SPACE'))
      problems.push(`error: ${report.error}, the disk is ${full ? '' : 'not '}full`)
    if (flapped !== report.coverage.gaps.some(({ reason }) => reason === 'device-down')) problems.push('device-down')
    wrong.push(...problems.map((problem) => `${at} min, incident ${report.id}: ${problem}`))
    appendFileSync(
      incidentsFile,
      `${at},${report.id},${judged.packets},${judged.missing},${report.error ?? ''},${flapped},${full}\n`,
    )
  }

  for (let cycle = 0; since() < minutes; ++cycle) {
    const from = begun + cycle * cycleMs
    // Neither in the same cycle: each says what it does to an incident.
    const full = cycle % 6 === 5
    const flapped = cycle % 6 === 2
    await until(from + moments.incident)
    const open = host.call<State, IncidentReport, number>(incident, openMs)
    if (full) {
      await until(from + moments.incident + openMs / 4)
      disk.fill(minFree / 2)
    }
    if (flapped) {
      await until(from + moments.incident + openMs / 4)
      down(here)
      await sleep(openMs / 4)
      up(here)
      ++flaps
    }
    settle(await open, full, flapped)
    if (full) {
      disk.empty()
      ++fills
    }
    await until(from + moments.worker)
    const options = {
      device: here.device,
      directory: join(disk.directory, 'worker'),
      minFree: 0,
      keep: { bytes: 4 * MiB },
    }
    await host.call<State, void, object>(worker as never, { options, closes: cycle % 2 === 0 })
    ++workers
    await until(from + moments.flap)
    if (cycle % 3 === 0) {
      down(here)
      await sleep(1_000)
      up(here)
      ++flaps
    }
    await until(from + moments.rest)
    const minutesNow = since()
    const { anonymous, heap, descriptors, threads } = await host.call<State, Census>(census)
    taken.push({ minutes: minutesNow, anonymous, heap, descriptors, threads })
    appendFileSync(censusFile, `${minutesNow.toFixed(3)},${anonymous},${heap},${descriptors},${threads}\n`)
    if (cycle % 6 === 0) {
      const last = taken.at(-1) as Taken
      t.comment(
        `${minutesNow.toFixed(1)} min: ${incidents} incidents, ${packets} packets, ${last.anonymous} KiB, ${last.descriptors} descriptors`,
      )
    }
  }
  await traffic.end()
  const events = await host.call<State, Record<string, number>>(finish)
  const { status, stderr } = await host.exit()
  t.equal(status, 0, `the host ends well ${stderr}`)

  const counts = `${incidents} incidents with ${packets} packets, ${flaps} flaps, ${fills} times full, ${workers} workers`
  t.comment(`${counts}; events: ${JSON.stringify(events)}`)
  t.same(wrong, [], 'every incident is right')
  t.same(
    Object.keys(events).filter((name) => name.startsWith('error')),
    [],
    'the ring never died',
  )
  t.equal(events.down, events.up, 'the device came back as often as it went')
  const settled = taken.filter((one) => one.minutes >= settling)
  for (const what of ['descriptors', 'threads'] as const) {
    t.same([...new Set(settled.map((one) => one[what]))].length, 1, `${what}: ${settled.map((one) => one[what])}`)
  }
  const memory = settled.map(({ minutes, anonymous }) => ({ minutes, value: anonymous }))
  const { slope, low, high } = slopeBesideStep(memory)
  const found = `memory: ${slope.toFixed(1)} KiB a minute beside one step, 95 % interval ${low.toFixed(1)} to ${high.toFixed(1)}`
  t.comment(found)
  t.notOk(grows(memory, resolved), found)
})
