// What can befall the writer in the middle of an incident, for real: the incident ends with its code and keeps what could be kept,
// the ring goes on, the next incident is fine once the fault is gone, and nothing is left in the process.

import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { Incident, IncidentReport, PcapRing } from '../../src/index.js'
import { census, sameAsBefore } from '../support/census.js'
import { jumps, readEvidence } from '../support/evidence.js'
import { type Fault, makeFaultyDisk, noFaultyDisk } from '../support/faulty-disk.js'
import { Host } from '../support/host.js'
import { makePair, noNamespaces, noTool, sh } from '../support/netns.js'
import { notSanitized } from '../support/sanitizer.js'
import { noSender, type Sending, send } from '../support/sender.js'
import { makeTmpfs, noTmpfs } from '../support/tmpfs.js'

const skip =
  noNamespaces ||
  noSender ||
  noTmpfs ||
  noFaultyDisk ||
  noTool('prlimit') ||
  notSanitized('preloads a library of its own')

const miB = 1024 * 1024

interface State {
  ring: PcapRing
  incident: Incident
  warnings: string[]
}

interface Ground {
  host: Host
  disk: string
  directory: string
  fill(free: number): void
  empty(): void
  fault(fault: Fault | null): void
  bound(what: string): void
}

interface Case {
  name: string
  inject(ground: Ground): void
  undo(ground: Ground): void
  code: string
}

const failing = (name: string, fault: Fault, code: string): Case => ({
  name,
  inject: (ground) => ground.fault(fault),
  undo: (ground) => ground.fault(null),
  code,
})

const cases: Case[] = [
  {
    name: 'the disk is full',
    inject: ({ fill }) => fill(64 * 1024),
    undo: ({ empty }) => empty(),
    code: 'ERR_PCAP_NO_SPACE',
  },
  {
    name: 'the file is as large as it may be',
    inject: ({ bound }) => bound('--fsize=2097152:'),
    undo: ({ bound }) => bound('--fsize=unlimited:'),
    code: 'ERR_PCAP_WRITE',
  },
  failing('a write fails', { call: 'write', error: 'EIO' }, 'ERR_PCAP_WRITE'),
  failing('the quota is used up', { call: 'write', error: 'EDQUOT' }, 'ERR_PCAP_NO_SPACE'),
  failing('a sync fails', { call: 'fdatasync', error: 'EIO' }, 'ERR_PCAP_WRITE'),
]

async function ground(t: Test): Promise<Ground & { traffic(): Promise<void> }> {
  const { here, there } = makePair(t)
  const disk = makeTmpfs(t, 64 * miB)
  const faulty = makeFaultyDisk(t)
  const directory = join(disk.directory, 'captures')
  const host = await Host.start(t, { netns: here.name, env: faulty.env })
  await host.call<State, void, object>(
    async ({ PcapRing, state }, options) => {
      state.ring = new PcapRing(options)
      state.warnings = []
      state.ring.on('warning', ({ code }) => state.warnings.push(code))
      await state.ring.start()
    },
    {
      device: here.device,
      directory,
      statsInterval: 50,
      latency: 10,
      minFree: 0,
      cpuBudget: null,
      resolution: { packets: 0 },
    },
  )
  let sending: Sending | undefined
  let first = 0
  return {
    host,
    disk: disk.directory,
    directory,
    fill: disk.fill,
    empty: disk.empty,
    fault: faulty.set,
    bound: (what) => void execFileSync('prlimit', ['--pid', String(host.pid), what]),
    // A sender sends for at most 20 s; the next goes on with its numbers.
    async traffic() {
      first += (await sending?.stop()) ?? 0
      sending = send(t, there, { count: 80_000, pps: 4_000, size: 1_000, first })
    },
  }
}

const freeze = (host: Host): Promise<void> =>
  host.call<State, void>(async ({ state, untilStats }) => {
    state.warnings = []
    state.incident = state.ring.freeze()
    state.incident.finished.catch(() => {})
    await state.incident.flushed
    await untilStats(state.ring, () => state.incident.packets >= 1_000)
  })

/** Once the incident has failed. */
const failed = (host: Host): Promise<void> =>
  host.call<State, void>(async ({ state, untilStats }) => {
    await untilStats(state.ring, () => state.incident.state === 'failed' || state.warnings.length > 0)
  })

const resolve = (host: Host): Promise<IncidentReport | string> =>
  host.call<State, IncidentReport | string>(({ state }) =>
    state.incident.resolve().catch(({ code }: { code: string }) => code),
  )

const goesOn = (host: Host): Promise<unknown> =>
  host.call<State, unknown>(async ({ state, untilStats }) => {
    const { packets } = state.ring.stats().total
    await untilStats(state.ring, ({ total }) => total.packets > packets + 100)
  })

/** An incident that nothing befalls. */
async function isFine(t: Test, host: Host, name: string): Promise<void> {
  await freeze(host)
  const report = await resolve(host)
  if (typeof report === 'string') {
    t.fail(`${name}: ${report}`)
    return
  }
  const { frames, wrong } = readEvidence(report)
  t.same([report.error, wrong, jumps(frames)], [null, [], []], name)
}

test('in the middle of an incident', { skip }, async (t) => {
  const place = await ground(t)
  const { host } = place
  await place.traffic()
  await isFine(t, host, 'before anything fails')
  const before = await census(host)
  for (const { name, inject, undo, code } of cases) {
    await t.test(name, async (t) => {
      await place.traffic()
      await freeze(host)
      inject(place)
      await failed(host)
      await goesOn(host)
      undo(place)
      const report = (await resolve(host)) as IncidentReport
      t.equal(report.error, code)
      const { frames, wrong } = readEvidence(report)
      t.same([wrong, jumps(frames)], [[], []], `${report.packets} packets are there`)
      t.ok(report.packets >= 500, 'what was before the freeze is')
      await isFine(t, host, 'the next one')
      await sameAsBefore(t, host, before)
    })
  }

  await t.test('the directory is removed', async (t) => {
    await place.traffic()
    await freeze(host)
    rmSync(place.directory, { recursive: true })
    t.equal(await resolve(host), 'ERR_PCAP_WRITE')
    await goesOn(host)
    mkdirSync(place.directory)
    await isFine(t, host, 'the next one')
    t.same((await census(host)).threads, before.threads)
  })

  await t.test('a write of three seconds loses nothing', async (t) => {
    await place.traffic()
    await freeze(host)
    place.fault({ call: 'write', ms: 3_000 })
    await goesOn(host)
    place.fault(null)
    const report = (await resolve(host)) as IncidentReport
    const { frames, wrong } = readEvidence(report)
    t.same([report.error, wrong], [null, []])
    t.same([jumps(frames), report.coverage.gaps, report.loss.writer], [[], [], 0])
    await isFine(t, host, 'the next one')
    await sameAsBefore(t, host, before)
  })
  const warnings = await host.call<State, string[]>(async ({ state }) => {
    await state.ring.close()
    return state.warnings
  })
  t.same(warnings, [])
})

test('before one', { skip }, async (t) => {
  const place = await ground(t)
  const { host, disk, directory } = place
  await place.traffic()
  await isFine(t, host, 'before anything fails')
  const before = await census(host)
  const descriptors = before.descriptors.length
  const most = sh('prlimit', '--pid', String(host.pid), '--nofile', '--noheadings', '--output', 'SOFT').trim()
  const refused = (name: string, inject: () => void, undo: () => void, code: string): Promise<unknown> =>
    t.test(name, async (t) => {
      await place.traffic()
      const names = readdirSync(directory)
      inject()
      const told = await host.call<State, string>(({ state }) =>
        state.ring.freeze().finished.then(
          () => 'finished',
          ({ code }: { code: string }) => code,
        ),
      )
      t.equal(told, code)
      await goesOn(host)
      undo()
      t.same(readdirSync(directory), names, 'no file is left')
      await isFine(t, host, 'the next one')
      await sameAsBefore(t, host, before)
    })
  // It cannot be made so while a file is open for writing, so not amid an incident.
  await refused(
    'the file system is read-only',
    () => void sh('mount', '-o', 'remount,ro', disk),
    () => void sh('mount', '-o', 'remount,rw', disk),
    'ERR_PCAP_WRITE',
  )
  await refused(
    'no descriptor is free',
    () => place.bound(`--nofile=${descriptors}:`),
    () => place.bound(`--nofile=${most}:`),
    'ERR_PCAP_WRITE',
  )
})
