// Where the writer of a host is put to the test: a cable, a small disk that fails as told, a ring, an incident.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { Test } from 'tap'

import type { Incident, IncidentReport, PcapRing, PcapRingOptions } from '../../src/index.js'
import { jumps, readEvidence } from './evidence.js'
import { type Fault, makeFaultyDisk, noFaultyDisk } from './faulty-disk.js'
import { Host } from './host.js'
import { makePair, noNamespaces, noTool } from './netns.js'
import { notSanitized } from './sanitizer.js'
import { noSender, type Sending, send, type Traffic } from './sender.js'
import { makeTmpfs, noTmpfs } from './tmpfs.js'

/** Why it cannot be; false when it can. For tap's `skip`. */
export const noGround: string | false =
  noNamespaces ||
  noSender ||
  noTmpfs ||
  noFaultyDisk ||
  noTool('prlimit') ||
  notSanitized('preloads a library of its own')

const miB = 1024 * 1024

/** What the host keeps. */
export interface State {
  ring: PcapRing
  incident: Incident
  /** Of the incident that was begun last. */
  warnings: string[]
}

export interface Ground {
  host: Host
  /** Of the ring. */
  options: PcapRingOptions
  /** Where the ring captures. */
  netns: string
  disk: string
  directory: string
  fill(free: number): void
  empty(): void
  fault(fault: Fault | null): void
  /** What the host may have, as prlimit wants to be told. */
  bound(what: string): void
  /** A sender sends for at most 20 s; the next goes on with its numbers. */
  traffic(more?: Partial<Traffic>): Promise<void>
}

export async function makeGround(t: Test, diskBytes = 64 * miB): Promise<Ground> {
  const { here, there } = makePair(t)
  const disk = makeTmpfs(t, diskBytes)
  const faulty = makeFaultyDisk(t)
  const directory = join(disk.directory, 'captures')
  const host = await Host.start(t, { netns: here.name, env: faulty.env, nodeArgs: ['--expose-gc'] })
  const options: PcapRingOptions = {
    device: here.device,
    directory,
    statsInterval: 50,
    latency: 10,
    minFree: 0,
    cpuBudget: null,
    // Seconds of the traffic, so that a machine with much to do loses nothing.
    kernelBuffer: 32 * miB,
    resolution: { packets: 0 },
    precision: 'nano',
  }
  await host.call<State, void, PcapRingOptions>(async ({ PcapRing, state }, options) => {
    state.ring = new PcapRing(options)
    state.warnings = []
    state.ring.on('warning', ({ code }) => state.warnings.push(code))
    await state.ring.start()
  }, options)
  let sending: Sending | undefined
  let first = 0
  return {
    host,
    options,
    netns: here.name,
    disk: disk.directory,
    directory,
    fill: disk.fill,
    empty: disk.empty,
    fault: faulty.set,
    bound: (what) => void execFileSync('prlimit', ['--pid', String(host.pid), what]),
    async traffic(more = {}) {
      first += (await sending?.stop()) ?? 0
      sending = send(t, there, { count: 80_000, pps: 4_000, size: 1_000, first, ...more })
    },
  }
}

export const freeze = (host: Host): Promise<void> =>
  host.call<State, void>(async ({ state, untilStats }) => {
    state.warnings = []
    state.incident = state.ring.freeze()
    state.incident.finished.catch(() => {})
    await state.incident.flushed
    await untilStats(state.ring, () => state.incident.packets >= 1_000)
  })

/** Once the incident has failed. */
export const failed = (host: Host): Promise<void> =>
  host.call<State, void>(async ({ state, untilStats }) => {
    await untilStats(state.ring, () => state.incident.state === 'failed' || state.warnings.length > 0)
  })

/** The report, or the code that it was refused with. */
export const resolve = (host: Host): Promise<IncidentReport | string> =>
  host.call<State, IncidentReport | string>(({ state }) =>
    state.incident.resolve().catch(({ code }: { code: string }) => code),
  )

export const goesOn = (host: Host): Promise<unknown> =>
  host.call<State, unknown>(async ({ state, untilStats }) => {
    const { packets } = state.ring.stats().total
    await untilStats(state.ring, ({ total }) => total.packets > packets + 100)
  })

/** An incident that nothing befalls. */
export async function isFine(t: Test, host: Host, name: string): Promise<void> {
  await freeze(host)
  const report = await resolve(host)
  if (typeof report === 'string') {
    t.fail(`${name}: ${report}`)
    return
  }
  const { frames, wrong } = readEvidence(report)
  t.same([report.error, wrong, jumps(frames)], [null, [], []], name)
}
