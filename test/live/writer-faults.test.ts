// What can befall the writer in the middle of an incident, for real: the incident ends with its code and keeps what could be kept,
// the ring goes on, the next incident is fine once the fault is gone, and nothing is left in the process.

import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { census, censusAtRest, memory, memoryGivenBack, sameAsBefore } from '../support/census.js'
import { jumps, readEvidence } from '../support/evidence.js'
import type { Fault } from '../support/faulty-disk.js'
import { sh } from '../support/netns.js'
import {
  failed,
  freeze,
  type Ground,
  goesOn,
  isFine,
  makeGround,
  noGround,
  resolve,
  type State,
} from '../support/writer-ground.js'

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

test('in the middle of an incident', { skip: noGround }, async (t) => {
  const place = await makeGround(t)
  const { host } = place
  await place.traffic()
  await isFine(t, host, 'before anything fails')
  const [before, held] = [await censusAtRest(host), await memory(host)]
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
  await t.test('nothing is left', (t) => memoryGivenBack(t, host, held))
  const warnings = await host.call<State, string[]>(async ({ state }) => {
    await state.ring.close()
    return state.warnings
  })
  t.same(warnings, [])
})

test('before one', { skip: noGround }, async (t) => {
  const place = await makeGround(t)
  const { host, disk, directory } = place
  await place.traffic()
  await isFine(t, host, 'before anything fails')
  const before = await censusAtRest(host)
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
  // It cannot be made so while a file is open for writing: amid an incident see writer-names.
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
