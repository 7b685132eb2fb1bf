// What is finished is handed over to `archive`, however often that takes.

import { chownSync, existsSync, linkSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import fs from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Test, test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { waits } from '../../src/delivery.js'
import type { ArchivedCapture, ArchiveSink, IncidentReport, PcapRing, PcapRingOptions } from '../../src/index.js'
import { allOf, bytesOf, keyOf, scratch, startHost } from '../archive/support.js'
import { udpPackets } from '../support/generate.js'
import { repository } from '../support/host.js'
import { recordingOf, replay, ringOf } from '../support/replay.js'

const file = recordingOf(udpPackets({ pps: 1_000, count: 600 }))

const stated = { ...waits }
// What the rings of this file leave undelivered keeps it for so long when they are closed.
waits.graceMs = 500

/** Other times to wait, for one test. */
function waiting(t: Test, times: Partial<typeof waits>): void {
  const before = { ...waits }
  Object.assign(waits, times)
  t.teardown(() => void Object.assign(waits, before))
}

const undelivered = (directory: string): string[] =>
  readdirSync(directory).filter((name) => name.endsWith('.undelivered'))

const archived = (ring: PcapRing, count = 1): Promise<[IncidentReport, ArchivedCapture][]> =>
  new Promise((resolve) => {
    const all: [IncidentReport, ArchivedCapture][] = []
    ring.on('archive', (...one) => {
      all.push(one)
      if (all.length === count) resolve(all)
    })
  })

const until = async (t: Test, what: string, holds: () => boolean): Promise<void> => {
  for (let i = 0; i < 400 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 25))
  t.ok(holds(), what)
}

/** Incident `a` of a ring that is gone, marked as undelivered by nobody who lives. */
async function leftover(t: Test): Promise<{ directory: string; path: string }> {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  await replay(ring)
  await ring.freeze({ id: 'a' }).resolve()
  await ring.close()
  const path = join(directory, 'incident_a.undelivered')
  writeFileSync(path, '')
  return { directory, path }
}

/** A sink that does as it is told, and takes note. */
function sinkOf(act: (report: IncidentReport, calls: number, signal: AbortSignal | undefined) => Promise<void> | void) {
  const calls: string[] = []
  const sink: ArchiveSink = {
    async put({ file, report }, { signal } = {}) {
      calls.push(report.id)
      await act(report, calls.filter((id) => id === report.id).length, signal)
      const time = '2026-11-22T08:00:00.000000Z'
      return { id: report.id, location: file, bytes: report.bytes, sha256: '', storedAt: time, retainedUntil: time }
    },
  }
  return { sink, calls }
}

test('an incident and a manual capture go into an archive by themselves', async (t) => {
  const directory = scratch(t)
  const archive = new LocalArchive({ directory: join(scratch(t), 'archive'), keys: [keyOf()] })
  const ring = ringOf(t, { file, directory, archive })
  await replay(ring)
  const both = archived(ring, 2)
  const incident = ring.freeze({ id: 'a' })
  await incident.flushed
  // A thread of libuv's makes it, which is not always quicker than ours.
  await until(t, 'it is known that it is not archived', () => undelivered(directory).length > 0)
  await incident.resolve()
  await ring.capture({ id: 'b' }).resolve()
  for (const [report, stored] of await both) {
    t.match(stored, { id: report.id, bytes: report.bytes, sha256: report.sha256 })
    const bytes = await bytesOf(await archive.open(report.id, { actor: 'x' }))
    t.ok(bytes.equals(readFileSync(report.file as string)), report.id)
  }
  t.strictSame(undelivered(directory), [])
  t.equal((await allOf(archive.list())).length, 2)
})

test('a failing archive is tried again, warns once for each reason, and holds nobody up', async (t) => {
  const directory = scratch(t)
  let goodIsIn = false
  let wasFull = false
  const { sink, calls } = sinkOf((report, call) => {
    if (report.id === 'good') return
    if (!goodIsIn || call < 3) throw new Error('away')
    if (!wasFull) {
      wasFull = true
      throw new Error('full')
    }
  })
  const ring = ringOf(t, { file, directory, archive: sink })
  const { warnings } = await replay(ring)
  const both = archived(ring, 2)
  ring.on('archive', ({ id }) => {
    if (id === 'good') goodIsIn = true
  })
  await ring.freeze({ id: 'bad' }).resolve()
  await until(t, 'one fails', () => calls.length > 0)
  await ring.freeze({ id: 'good' }).resolve()
  t.strictSame(
    (await both).map(([{ id }]) => id),
    ['good', 'bad'],
  )
  t.equal(calls.filter((id) => id === 'good').length, 1)
  t.ok(calls.filter((id) => id === 'bad').length >= 4, 'tried until it is in')
  t.match(warnings, [
    { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message: /bad.*tried again: away/, cause: Error },
    { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message: /bad.*tried again: full/ },
  ])
  t.equal(warnings.length, 2)
  t.strictSame(undelivered(directory), [])
})

test('ones that hang: four at once, the next waits for one of them', async (t) => {
  const going: (() => void)[] = []
  const { sink, calls } = sinkOf(() => new Promise<void>((resolve) => void going.push(resolve)))
  const ring = ringOf(t, { file, archive: sink })
  await replay(ring)
  for (const id of ['a', 'b', 'c', 'd', 'e']) await ring.freeze({ id }).resolve()
  await until(t, 'four have begun', () => calls.length === 4)
  const first = archived(ring)
  going.shift()?.()
  t.equal((await first)[0]?.[0].id, 'a')
  await until(t, 'the fifth has begun', () => calls.length === 5)
  for (const go of going) go()
  await until(t, 'and is the last', () => going.length === 4)
  going.at(-1)?.()
})

test('ones that hang for longer than a minute hold nobody up', async (t) => {
  waiting(t, { patienceMs: 100 })
  const { sink, calls } = sinkOf(({ id }) => (id === 'e' ? undefined : new Promise<void>(() => {})))
  const ring = ringOf(t, { file, archive: sink })
  await replay(ring)
  const delivered = archived(ring)
  for (const id of ['a', 'b', 'c', 'd', 'e']) await ring.freeze({ id }).resolve()
  t.equal((await delivered)[0]?.[0].id, 'e')
  t.strictSame(calls, ['a', 'b', 'c', 'd', 'e'])
})

test('close() does not wait for it, and what is under way goes on', async (t) => {
  let go: (() => void) | undefined
  const directory = scratch(t)
  const { sink } = sinkOf(
    () =>
      new Promise<void>((resolve) => {
        go = resolve
      }),
  )
  const ring = ringOf(t, { file, directory, archive: sink })
  await replay(ring)
  ring.freeze({ id: 'a' })
  const late = archived(ring)
  await ring.close()
  await until(t, 'the archive was asked', () => go !== undefined)
  t.strictSame(undelivered(directory), ['incident_a.undelivered'])
  go?.()
  t.equal((await late)[0]?.[1].id, 'a')
  t.strictSame(undelivered(directory), [])
})

test('what is under way a while after close() is told to stop, and waits for the next start', async (t) => {
  const directory = scratch(t)
  let told = false
  const { sink, calls } = sinkOf(
    (_, __, signal) =>
      new Promise<void>(() => {
        signal?.addEventListener('abort', () => {
          told = true
        })
      }),
  )
  const ring = ringOf(t, { file, directory, archive: sink })
  await replay(ring)
  await ring.freeze({ id: 'a' }).resolve()
  await until(t, 'the archive was asked', () => calls.length === 1)
  t.notOk(told)
  await ring.close()
  await until(t, 'it is told to stop', () => told)
  t.strictSame(undelivered(directory), ['incident_a.undelivered'])
  const next = ringOf(t, { file, directory, archive: sinkOf(() => {}).sink })
  const delivered = archived(next)
  await replay(next)
  t.equal((await delivered)[0]?.[0].id, 'a')
  t.strictSame(calls, ['a'], 'the first one asks no more')
})

test('it waits as long as docs/archive.md says', (t) => {
  const page = readFileSync(join(repository, 'docs/archive.md'), 'utf8').replace(/\s+/g, ' ')
  const time = (ms: number): string => (ms === 60_000 ? 'a minute' : `${ms / 1_000} s`)
  const { firstBackOffMs, longestBackOffMs, patienceMs, graceMs } = stated
  for (const says of [
    `tried again, after ${time(firstBackOffMs)}, half as long again each time, up to ${time(longestBackOffMs)};`,
    `nor for longer than ${time(patienceMs)} for one that hangs`,
    `what is not delivered ${time(graceMs)} later`,
  ]) {
    t.ok(page.includes(says), says)
  }
  t.end()
})

test('what an earlier ring could not deliver the next one does; keep leaves it until then', async (t) => {
  waiting(t, { graceMs: 3_000 })
  const directory = scratch(t)
  const failing = sinkOf(() => {
    throw new Error('away')
  })
  const first = ringOf(t, { file, directory, archive: failing.sink })
  first.on('warning', () => {})
  await replay(first)
  await first.freeze({ id: 'a' }).resolve()
  await until(t, 'tried', () => failing.calls.length > 0)
  // One that nobody waits for: its process died before anything else of it was made.
  const orphan = join(directory, 'incident_x.undelivered')
  writeFileSync(orphan, '')
  const hoursAgo = Date.now() / 1_000 - 7_200
  utimesSync(orphan, hoursAgo, hoursAgo)
  writeFileSync(join(directory, 'incident_y.undelivered'), '')

  const keeping = ringOf(t, { file, directory, keep: { bytes: 1 } })
  await replay(keeping)
  const expired: string[] = []
  keeping.on('expire', (path) => void expired.push(basename(path)))
  await keeping.freeze({ id: 'b' }).resolve()
  await keeping.close()
  t.ok(existsSync(join(directory, 'incident_a.pcap')), 'not archived: not removed')
  t.strictSame(expired, ['incident_b.pcap'])
  await first.close()

  const { sink, calls } = sinkOf(() => {})
  const next = ringOf(t, { file, directory, archive: sink })
  const delivered = archived(next)
  const { warnings } = await replay(next)
  await until(t, 'the orphan is cleared away', () => !existsSync(orphan))
  t.strictSame(warnings, [])
  t.strictSame(calls, [], 'by one of them at a time, and the first one goes on for its time')
  t.equal((await delivered)[0]?.[0].id, 'a')
  t.strictSame(undelivered(directory), ['incident_y.undelivered'])
})

test('what a process left that was killed before it could mark it: recovered, and delivered once', async (t) => {
  const directory = scratch(t)
  const left = (id: string) => writeFileSync(join(directory, `incident_${id}.pcap.part`), file, { mode: 0o600 })
  left('a')
  await replay(ringOf(t, { file, directory }))
  left('b')
  const { sink, calls } = sinkOf(() => {})
  const ring = ringOf(t, { file, directory, archive: sink })
  const one = archived(ring)
  await replay(ring)
  t.match(await one, [
    [
      { id: 'b', recovered: true },
      { id: 'b', bytes: file.length },
    ],
  ])
  await until(t, 'nothing is left to deliver', () => undelivered(directory).length === 0)
  await ring.close()
  const next = ringOf(t, { file, directory, archive: sink })
  await replay(next)
  await next.close()
  t.strictSame(calls, ['b'], 'a was recovered by a ring that delivers nothing')
  t.ok(existsSync(join(directory, 'incident_a.pcap')))
})

test('what cannot be archived is not tried for ever; the next start tries again', async (t) => {
  const directory = scratch(t)
  let refuse = true
  const { sink, calls } = sinkOf(() => {
    if (refuse) throw Object.assign(new Error('another one'), { code: 'ERR_PCAP_FILE_EXISTS' })
  })
  const ring = ringOf(t, { file, directory, archive: sink })
  const { warnings } = await replay(ring)
  await ring.freeze({ id: 'a' }).resolve()
  await until(t, 'told', () => warnings.length > 0)
  await new Promise((resolve) => setTimeout(resolve, 500))
  t.strictSame(calls, ['a'])
  t.match(warnings, [{ message: /tried again at the next start: another one/ }])
  await ring.close()
  refuse = false
  const next = ringOf(t, { file, directory, archive: sink })
  const delivered = archived(next)
  await replay(next)
  t.equal((await delivered)[0]?.[0].id, 'a')
})

test('a sink that fulfils with nothing has failed', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory, archive: { put: async () => null as never } })
  const { warnings } = await replay(ring)
  ring.on('archive', () => t.fail('it is not archived'))
  await ring.freeze({ id: 'a' }).resolve()
  await until(t, 'told', () => warnings.length > 0)
  t.match(warnings, [{ code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message: /no id and location/ }])
  t.strictSame(undelivered(directory), ['incident_a.undelivered'])
})

test('a marker that a living process holds, or files that are not ours alone, are left alone; the latter are told of', async (t) => {
  const directory = scratch(t)
  const first = ringOf(t, { file, directory })
  await replay(first)
  for (const id of ['held', 'linked', 'left', 'marked', 'gone', 'foreign']) await first.freeze({ id }).resolve()
  await first.close()
  const stat = readFileSync(`/proc/${process.ppid}/stat`, 'latin1')
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  const since = stat.replace(/^.*\) /s, '').split(' ')[19]
  writeFileSync(join(directory, 'incident_held.undelivered'), `${boot} ${process.ppid} ${since}`)
  writeFileSync(join(directory, 'incident_left.undelivered'), `${boot} ${process.ppid} 1`)
  for (const id of ['linked', 'marked', 'gone', 'foreign'])
    writeFileSync(join(directory, `incident_${id}.undelivered`), '')
  linkSync(join(directory, 'incident_linked.pcap'), join(directory, 'second-name'))
  linkSync(join(directory, 'incident_marked.undelivered'), join(directory, 'third-name'))
  rmSync(join(directory, 'incident_gone.pcap'))
  const root = process.geteuid?.() === 0
  if (root) chownSync(join(directory, 'incident_foreign.undelivered'), 65_534, 65_534)
  const { sink, calls } = sinkOf(() => {})
  const next = ringOf(t, { file, directory, archive: sink })
  const delivered = archived(next, root ? 1 : 2)
  const { warnings } = await replay(next)
  const ids = (await delivered).map(([{ id }]) => id).sort()
  const kept = root ? ['foreign', 'linked', 'marked'] : ['linked', 'marked']
  await until(
    t,
    'each is judged',
    () => warnings.length >= kept.length && undelivered(directory).length === kept.length + 1,
  )
  await next.close()
  t.strictSame(ids, root ? ['left'] : ['foreign', 'left'], 'its process is gone')
  t.strictSame(calls.sort(), ids)
  t.strictSame(
    undelivered(directory).sort(),
    [...kept, 'held'].sort().map((id) => `incident_${id}.undelivered`),
    'what has no capture any more is over',
  )
  const told = warnings.map(({ message }) => message).sort()
  t.equal(told.length, kept.length)
  t.match(told, [
    ...(root ? [/foreign is not archived: .*foreign\.undelivered belongs to user 65534.*remove/] : []),
    /linked is not archived: .*linked\.pcap has 2 names.*remove/,
    /marked is not archived: .*marked\.undelivered has 2 names.*remove/,
  ])
})

test('of several processes that start at once one delivers each', async (t) => {
  const directory = scratch(t)
  const first = ringOf(t, { file, directory })
  await replay(first)
  const ids = Array.from({ length: 10 }, (_, i) => `i${i}`)
  for (const id of ids) await first.freeze({ id }).resolve()
  await first.close()
  for (const id of ids) writeFileSync(join(directory, `incident_${id}.undelivered`), '')
  const hosts = await Promise.all([1, 2, 3, 4].map(() => startHost(t)))
  const put = hosts.map((host) =>
    host.call<unknown, string[], object>(
      async ({ PcapRing, require }, { file, directory }: PcapRingOptions) => {
        const { existsSync } = require('node:fs') as typeof import('node:fs')
        const { setTimeout: sleep } = require('node:timers/promises') as typeof import('node:timers/promises')
        const calls: string[] = []
        const archive: ArchiveSink = {
          async put({ file, report }) {
            calls.push(report.id)
            await sleep(100)
            const time = '2026-11-22T08:00:00.000000Z'
            return { id: report.id, location: file, bytes: 0, sha256: '', storedAt: time, retainedUntil: time }
          },
        }
        const ring = new PcapRing({ file, directory, archive })
        await ring.start()
        const waits = (i: number) => existsSync(`${directory}/incident_i${i}.undelivered`)
        for (let i = 0; i < 10; i++) while (waits(i)) await sleep(10)
        await ring.close()
        return calls
      },
      { file, directory },
    ),
  )
  const calls = (await Promise.all(put)).flat()
  t.strictSame(calls.sort(), ids)
})

test('of several workers of one process, too', async (t) => {
  const directory = scratch(t)
  const recording = join(directory, 'x.pcap')
  writeFileSync(recording, file)
  const first = ringOf(t, { file, directory })
  await replay(first)
  const ids = Array.from({ length: 10 }, (_, i) => `i${i}`)
  for (const id of ids) await first.freeze({ id }).resolve()
  await first.close()
  for (const id of ids) writeFileSync(join(directory, `incident_${id}.undelivered`), '')
  const host = await startHost(t)
  const calls = await host.call<unknown, string[], object>(
    async ({ once, require }, workerData) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads')
      const inWorker = `
        const { existsSync } = require('node:fs')
        const { setTimeout: sleep } = require('node:timers/promises')
        const { parentPort, workerData: { file, directory } } = require('node:worker_threads')
        const { PcapRing } = require(process.env.PCAP_RING_ROOT + '/lib/index.js')
        const calls = []
        const put = async ({ file, report: { id } }) => {
          calls.push(id)
          await sleep(100)
          return { id, location: file }
        }
        const all = async () => {
          const ring = new PcapRing({ file, directory, archive: { put } })
          await ring.start()
          for (let i = 0; i < 10; i++) while (existsSync(directory + '/incident_i' + i + '.undelivered')) await sleep(10)
          await ring.close()
          parentPort.postMessage(calls)
        }
        all()`
      const workers = [1, 2, 3, 4].map(() => new Worker(inWorker, { eval: true, workerData }))
      return (await Promise.all(workers.map((worker) => once(worker, 'message')))).flat(2) as string[]
    },
    { file: recording, directory },
  )
  t.strictSame(calls.sort(), ids)
})

test('one that died while it took an incident in hand: a minute later another does', async (t) => {
  const { directory, path } = await leftover(t)
  linkSync(path, `${path}.claim`)
  const { sink, calls } = sinkOf(() => {})
  // close() waits for no look that is under way, and one that saw the later clock would take it in hand itself.
  const lstat = fs.lstat
  t.teardown(() => {
    fs.lstat = lstat
  })
  const looked = new Promise<void>((resolve) => {
    fs.lstat = (async (name: string) => {
      const found = await lstat(name)
      if (name === `${path}.claim`) resolve()
      return found
    }) as typeof lstat
  })
  const early = ringOf(t, { file, directory, archive: sink })
  const { warnings } = await replay(early)
  await early.close()
  await looked
  await new Promise((resolve) => setImmediate(resolve))
  t.strictSame(calls, [])
  t.strictSame(warnings, [])
  const real = Date.now
  t.teardown(() => {
    Date.now = real
  })
  Date.now = () => real() + 61_000
  const next = ringOf(t, { file, directory, archive: sink })
  const delivered = archived(next)
  await replay(next)
  t.equal((await delivered)[0]?.[0].id, 'a')
  t.notOk(existsSync(`${path}.claim`))
})

test('and the same ring, if it is there so long', async (t) => {
  waiting(t, { orphanedAfterMs: 1_000 })
  const { directory, path } = await leftover(t)
  const { sink } = sinkOf(() => {})
  const ring = ringOf(t, { file, directory, archive: sink })
  const delivered = archived(ring)
  linkSync(path, `${path}.claim`)
  const { warnings } = await replay(ring)
  t.equal((await delivered)[0]?.[0].id, 'a')
  t.strictSame(undelivered(directory), [])
  t.notOk(existsSync(`${path}.claim`))
  t.strictSame(warnings, [])
})

test('delivered by another while it is taken in hand: that is the end of it', async (t) => {
  const { directory, path } = await leftover(t)
  const link = fs.link
  t.teardown(() => {
    fs.link = link
  })
  let met = false
  fs.link = async (from, to) => {
    await link(from, to)
    if (from !== path) return
    rmSync(path)
    met = true
  }
  const { sink, calls } = sinkOf(() => {})
  const ring = ringOf(t, { file, directory, archive: sink })
  const { warnings } = await replay(ring)
  await until(t, 'they met', () => met && !existsSync(`${path}.claim`))
  await ring.close()
  t.strictSame(calls, [])
  t.strictSame(warnings, [])
})

test('an incident without a file leaves nothing behind; one whose id is taken does not touch the other', async (t) => {
  const directory = scratch(t)
  const { sink, calls } = sinkOf(
    (_, __, signal) =>
      new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(new Error('ended')))),
  )
  const ring = ringOf(t, { file, directory, archive: sink })
  ring.on('warning', () => {})
  await replay(ring)
  writeFileSync(join(directory, 'incident_taken.pcap'), 'somebody else')
  await t.rejects(ring.freeze({ id: 'taken' }).finished, { code: 'ERR_PCAP_FILE_EXISTS' })
  await until(t, 'nothing is left', () => undelivered(directory).length === 0)
  await ring.freeze({ id: 'a' }).resolve()
  await until(t, 'asked', () => calls.length === 1)
  await t.rejects(ring.freeze({ id: 'a' }).finished, { code: 'ERR_PCAP_FILE_EXISTS' })
  t.strictSame(undelivered(directory), ['incident_a.undelivered'])
})

test('a capture that somebody removed is given up', async (t) => {
  const directory = scratch(t)
  const { unlinkSync } = await import('node:fs')
  const { sink, calls } = sinkOf((report) => {
    unlinkSync(report.file as string)
    throw new Error('away')
  })
  const ring = ringOf(t, { file, directory, archive: sink })
  const { warnings } = await replay(ring)
  await ring.freeze({ id: 'a' }).resolve()
  await until(t, 'its marker goes', () => calls.length === 1 && undelivered(directory).length === 0)
  t.equal(warnings.length, 1)
})

test('what is no archive is refused', (t) => {
  for (const archive of [{}, null, 'x', { put: 1 }]) {
    t.throws(() => ringOf(t, { file, archive: archive as never }), {
      code: 'ERR_INVALID_ARG_TYPE',
      message: /options\.archive/,
    })
  }
  t.end()
})
