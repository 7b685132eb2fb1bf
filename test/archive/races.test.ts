// What removes beside what puts: in several processes, and in the moments that these seldom meet.

import { randomBytes } from 'node:crypto'
import { readdirSync, utimesSync } from 'node:fs'
import fs from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { LocalStore } from '../../src/archive/local-store.js'
import type { HostApi } from '../support/host.js'
import { allOf, bytesOf, capturedAs, keyOf, scratch, startHost } from './support.js'

const actor = 'tester'

interface Job {
  directory: string
  secret: Buffer
  /** Where it writes what it puts, each with other bytes. */
  own: string
  rounds: number
}

interface Told {
  put: string[]
  swept: string[]
  removed: string[]
  wrong: string[]
}

const ids = ['s0', 's1', 'r0', 'r1']

/** Puts, sweeps all away, removes what begins with r, reads; and tells what came of it: ids and digests. */
const atWork = async ({ require }: HostApi<unknown>, { directory, secret, own, rounds }: Job): Promise<Told> => {
  const { createHash, randomBytes } = require('node:crypto') as typeof import('node:crypto')
  const { utimesSync, writeFileSync } = require('node:fs') as typeof import('node:fs')
  const { LocalArchive } = require(`${process.env.PCAP_RING_ROOT}/lib/archive/index.js`)
  const archive = new LocalArchive({ directory, keys: [{ id: 'k1', secret: Uint8Array.from(secret) }] })
  const told: Told = { put: [], swept: [], removed: [], wrong: [] }
  const act = async (expected: string[], deed: () => Promise<void>) => {
    try {
      await deed()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      if (!expected.includes(code ?? '')) told.wrong.push(`${code}: ${message}`)
    }
  }
  const put = async (id: string, round: number) => {
    const bytes = randomBytes(1_000)
    const file = `${own}/incident_${id}.${round}.pcap`
    writeFileSync(file, bytes)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const report = { version: 1, id, format: 'pcap', file, bytes: bytes.length, sha256 }
    const { location } = await archive.put({ file, report })
    told.put.push(`${id} ${sha256}`)
    // As old as what is swept.
    try {
      utimesSync(location, 0, 0)
    } catch {
      // It is gone again.
    }
  }
  const sweep = async () => {
    for (const { id, sha256 } of await archive.sweep(new Date(Date.now() + 30 * 86_400_000))) {
      told.swept.push(`${id} ${sha256}`)
    }
  }
  for (let round = 0; round < rounds; round++) {
    const all = [act([], sweep)]
    for (const id of ['s0', 's1', 'r0', 'r1']) {
      all.push(act(['ERR_PCAP_FILE_EXISTS'], () => put(id, round)))
      if (id.startsWith('r')) {
        const remove = () => archive.remove(id, { actor: 'x' }).then(() => void told.removed.push(id))
        all.push(act(['ERR_PCAP_ARCHIVE_NOT_FOUND'], remove))
      }
    }
    await Promise.all(all)
  }
  return told
}

test('six processes that put, sweep and remove the same ids: nothing is lost, nothing goes twice', async (t) => {
  const dir = scratch(t)
  const directory = join(dir, 'archive')
  const key = keyOf()
  const hosts = await Promise.all(Array.from({ length: 6 }, () => startHost(t)))
  const own = hosts.map(() => scratch(t))
  const all = await Promise.all(
    hosts.map((host, i) =>
      host.call<unknown, Told, Job>(atWork, { directory, secret: key.secret, own: own[i] as string, rounds: 30 }),
    ),
  )
  t.strictSame(
    all.flatMap(({ wrong }) => wrong),
    [],
  )
  const put = all.flatMap(({ put }) => put)
  const swept = all.flatMap(({ swept }) => swept)
  const removed = all.flatMap(({ removed }) => removed)
  t.comment(`${put.length} put, ${swept.length} swept, ${removed.length} removed`)
  t.ok(put.length > 100 && swept.length > 50 && removed.length > 10, 'they met')
  t.equal(new Set(put).size, put.length)
  t.equal(new Set(swept).size, swept.length, 'none is swept twice')
  t.strictSame(
    swept.filter((one) => !put.includes(one)),
    [],
    'nor one that was never put',
  )
  const archive = new LocalArchive({ directory, keys: [key] })
  const left = (await allOf(archive.list())).map(({ id, sha256 }) => `${id} ${sha256}`)
  for (const id of ids) {
    const of = (some: string[]) => some.filter((one) => one.startsWith(id)).length
    const gone = of(put) - of(swept) - of(left)
    if (id.startsWith('s')) t.equal(gone, 0, `${id}: what was put was swept, or is there`)
    else t.ok(gone >= 0 && gone <= of(removed), `${id}: or removed`)
  }
  for (const one of left) t.ok(put.includes(one))
  for await (const { id } of archive.list()) t.equal((await bytesOf(await archive.open(id, { actor }))).length, 1_000)
  t.match(await archive.audit.verify(), { ok: true })
  t.strictSame(readdirSync(directory).sort(), [...left.map((one) => `${one.split(' ')[0]}.sealed`), 'audit'].sort())
})

test('remove() takes what it found, and not what was put since', async (t) => {
  const directory = join(scratch(t), 'archive')
  const options = { directory, keys: [keyOf()] }
  const archive = new LocalArchive(options)
  await archive.put(capturedAs(t, 'a', randomBytes(1_000)))
  const remove = LocalStore.prototype.remove
  t.teardown(() => {
    LocalStore.prototype.remove = remove
  })
  const other = new LocalArchive(options)
  const later = capturedAs(t, 'a', randomBytes(1_000))
  LocalStore.prototype.remove = async function (...args) {
    LocalStore.prototype.remove = remove
    t.equal((await other.sweep(new Date(Date.now() + 30 * 86_400_000))).length, 1)
    await other.put(later)
    return this.remove(...args)
  }
  await archive.remove('a', { actor })
  t.ok((await bytesOf(await archive.open('a', { actor }))).equals(later.bytes))
  const deeds = (await allOf(archive.audit.entries())).map(({ action }) => action)
  t.strictSame(deeds, ['key', 'put', 'remove', 'sweep', 'put', 'download'])
})

test('a capture that is old, and that another process clears away while it is removed', async (t) => {
  const directory = join(scratch(t), 'archive')
  const options = { directory, keys: [keyOf()] }
  const archive = new LocalArchive(options)
  const { location } = await archive.put(capturedAs(t, 'a', randomBytes(1_000)))
  utimesSync(location, 0, 0)
  const unlink = fs.unlink
  t.teardown(() => {
    fs.unlink = unlink
  })
  let tidied = false
  fs.unlink = async (path) => {
    await unlink(path)
    if (path !== location) return
    fs.unlink = unlink
    await new LocalStore(directory).tidy()
    tidied = readdirSync(directory).every((name) => !name.endsWith('.tmp'))
  }
  t.match(await archive.sweep(new Date(Date.now() + 30 * 86_400_000)), [{ id: 'a' }])
  t.ok(tidied, 'they met')
  t.match((await allOf(archive.audit.entries())).slice(-1), [{ action: 'sweep', outcome: 'ok', capture: 'a' }])
  t.strictSame(readdirSync(directory), ['audit'])
})
