// What can befall the writer when a file gets its name: the incident ends with its code, what was written is kept for the next
// start, which recovers it; the ring goes on, and the next incident is fine once the fault is gone.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import type { IncidentReport, PcapRingOptions } from '../../src/index.js'
import { censusAtRest, memory, memoryGivenBack, sameAsBefore } from '../support/census.js'
import { jumps, readEvidence } from '../support/evidence.js'
import { Host } from '../support/host.js'
import { noTool, sh } from '../support/netns.js'
import {
  freeze,
  type Ground,
  goesOn,
  isFine,
  makeGround,
  noGround,
  resolve,
  type State,
} from '../support/writer-ground.js'

const skip = noGround || noTool('nsenter') || noTool('mount')

/** The number that the host's next descriptor would have. */
const nextDescriptor = (host: Host): Promise<number> =>
  host.call(({ require }) => {
    const { closeSync, openSync } = require('node:fs') as typeof import('node:fs')
    const fd = openSync('/dev/null', 'r')
    closeSync(fd)
    return fd
  })

/** In the host's own mount namespace. */
const inHost = ({ host }: Ground, ...command: string[]): string =>
  sh('nsenter', '--mount', '--target', String(host.pid), ...command)

interface Case {
  name: string
  inject(ground: Ground): Promise<void> | void
  undo(ground: Ground): void
  /** Whether the capture has its name all the same. */
  named: boolean
}

let most = ''
const cases: Case[] = [
  {
    name: 'no descriptor is free for its report',
    inject: async ({ host, bound }) => {
      most = sh('prlimit', '--pid', String(host.pid), '--nofile', '--noheadings', '--output', 'SOFT').trim()
      bound(`--nofile=${await nextDescriptor(host)}:`)
    },
    undo: ({ bound }) => bound(`--nofile=${most}:`),
    named: true,
  },
  {
    name: 'a rename fails',
    inject: ({ fault }) => fault({ call: 'rename', error: 'EIO' }),
    undo: ({ fault }) => fault(null),
    named: false,
  },
  {
    name: 'a second name fails, on a file system that has no better way',
    inject: ({ fault }) => fault({ call: 'link', error: 'EPERM' }),
    undo: ({ fault }) => fault(null),
    named: false,
  },
  {
    // The kernel refuses that for the mount that a file is open for writing through: so another one, over it.
    name: 'the directory is on a read-only mount',
    inject: (ground) => {
      inHost(ground, 'mount', '--bind', ground.directory, ground.directory)
      inHost(ground, 'mount', '-o', 'remount,ro,bind', ground.directory)
    },
    undo: (ground) => void inHost(ground, 'umount', ground.directory),
    named: false,
  },
]

test('when a file gets its name', { skip }, async (t) => {
  const ground = await makeGround(t)
  const { host, directory } = ground
  await ground.traffic()
  await isFine(t, host, 'before anything fails')
  const [before, held] = [await censusAtRest(host), await memory(host)]
  const kept: string[] = []
  for (const { name, inject, undo, named } of cases) {
    await t.test(name, async (t) => {
      await ground.traffic()
      await freeze(host)
      const id = await host.call<State, string>(({ state }) => state.incident.id)
      await inject(ground)
      const report = await resolve(host)
      await goesOn(host)
      const warnings = await host.call<State, string[]>(({ state }) => state.warnings)
      undo(ground)
      t.equal(typeof report === 'string' ? report : report.error, 'ERR_PCAP_WRITE')
      t.same(warnings, ['ERR_PCAP_WRITE'])
      const names = readdirSync(directory).filter((name) => name.startsWith(`incident_${id}.`))
      t.equal(names.includes(`incident_${id}.pcap`), named, `${names}`)
      t.equal(names.includes(`incident_${id}.pcap.part`), !named, `${names}`)
      t.notOk(names.includes(`incident_${id}.json`), 'no report speaks of what is not there')
      if (typeof report !== 'string') {
        const { frames, wrong } = readEvidence(report)
        t.same([wrong, jumps(frames)], [[], []])
      }
      kept.push(id)
      await isFine(t, host, 'the next one')
      await sameAsBefore(t, host, before)
    })
  }

  await t.test('a file system that knows of no rename which overwrites nothing', async (t) => {
    await ground.traffic()
    ground.fault({ call: 'link' })
    await isFine(t, host, 'an incident')
    ground.fault(null)
    await sameAsBefore(t, host, before)
  })

  await t.test('nothing is left', (t) => memoryGivenBack(t, host, held))
  await host.kill('SIGKILL')

  await t.test('the next start recovers them', async (t) => {
    const next = await Host.start(t, { netns: ground.netns })
    const told = await next.call<State, string[], PcapRingOptions>(async ({ PcapRing, state }, options) => {
      const warnings: string[] = []
      state.ring = new PcapRing(options)
      state.ring.on('warning', ({ message }) => warnings.push(message))
      await state.ring.start()
      await state.ring.close()
      return warnings
    }, ground.options)
    t.same(told, [])
    t.same(
      readdirSync(directory).filter((name) => !/^incident_[^.]+\.(pcap|json)$/.test(name)),
      [],
      'no part is left',
    )
    for (const id of kept) {
      const report = JSON.parse(readFileSync(join(directory, `incident_${id}.json`), 'utf8')) as IncidentReport
      const { frames, wrong } = readEvidence(report)
      t.same([report.recovered, wrong, jumps(frames)], [true, [], []], id)
      t.ok(frames.length >= 1_000, `${frames.length} packets`)
    }
  })
})
