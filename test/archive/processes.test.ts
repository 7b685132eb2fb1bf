// Several processes with one archive, and some that are killed.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'tap'

import { type AuditEntry, LocalArchive } from '../../src/archive/index.js'
import type { HostApi } from '../support/host.js'
import { random } from '../support/random.js'
import {
  allOf,
  bytesOf,
  captureOf,
  keyOf,
  minutesAgo,
  scratch,
  startHost,
  trailOf,
  unfinishedEntry,
} from './support.js'

interface Job {
  directory: string
  secret: Buffer
  name: string
  rounds: number
}

/** Signs so often, several at once, and tells how many of them it was told were entered. */
const signing = async ({ require }: HostApi<unknown>, { directory, secret, name, rounds }: Job): Promise<number> => {
  const { LocalArchive } = require(`${process.env.PCAP_RING_ROOT}/lib/archive/index.js`)
  const archive = new LocalArchive({
    directory,
    keys: [{ id: 'k1', secret: Uint8Array.from(secret) }],
    baseUrl: 'http://x/c',
  })
  let entered = 0
  for (let i = 0; i < rounds; i++) {
    const asked = Array.from({ length: 1 + (i % 4) }, (_, k) => archive.sign('a', { actor: `${name}.${i}.${k}` }))
    await Promise.all(asked)
    entered += asked.length
  }
  return entered
}

test('eight processes at once: one chain, nothing lost', async (t) => {
  const directory = join(scratch(t), 'archive')
  const key = keyOf()
  const archive = new LocalArchive({ directory, keys: [key] })
  await archive.put(captureOf(t, 'a'))
  const hosts = await Promise.all(Array.from({ length: 8 }, () => startHost(t)))
  const entered = await Promise.all(
    hosts.map((host, i) =>
      host.call<unknown, number, Job>(signing, { directory, secret: key.secret, name: `p${i}`, rounds: 20 }),
    ),
  )
  const signs = (await allOf(archive.audit.entries())).filter(({ action }) => action === 'sign')
  t.equal(
    signs.length,
    entered.reduce((sum, one) => sum + one, 0),
  )
  t.equal(new Set(signs.map(({ actor }) => actor)).size, signs.length)
  t.match(await archive.audit.verify(), { ok: true, entries: signs.length + 2 })
  t.strictSame(
    readdirSync(join(directory, 'audit')).filter((name) => !name.endsWith('.jsonl')),
    [],
  )
})

test('a process that is killed while it copies leaves nothing in the clear', async (t) => {
  const dir = scratch(t)
  const key = keyOf()
  const capture = captureOf(t, 'a', 500)
  const archive = new LocalArchive({ directory: join(dir, 'archive'), keys: [key] })
  await archive.put(capture)
  const tmp = join(dir, 'tmp')
  mkdirSync(tmp)
  const host = await startHost(t, { env: { TMPDIR: tmp } })
  const job = { directory: join(dir, 'archive'), secret: key.secret }
  const seen = await host.call<unknown, string, typeof job>(async ({ require }, { directory, secret }) => {
    const { LocalArchive } = require(`${process.env.PCAP_RING_ROOT}/lib/archive/index.js`)
    const archive = new LocalArchive({ directory, keys: [{ id: 'k1', secret: Uint8Array.from(secret) }] })
    return new Promise((resolve, reject) => {
      const put = ({ file }: { file: string }) => {
        resolve(file)
        return new Promise(() => {})
      }
      archive.copyTo('a', { put }, { actor: 'x' }).catch(reject)
    })
  }, job)
  t.equal(basename(seen), 'incident_a.pcap')
  t.ok(readFileSync(seen).equals(capture.bytes), 'it is there meanwhile')
  await host.kill('SIGKILL')
  t.notOk(existsSync(seen))
  for (const entry of readdirSync(tmp, { recursive: true, withFileTypes: true })) {
    t.notOk(entry.isFile(), entry.name)
  }
})

test('forty processes killed while they enter and store: the chain holds, what is there is whole', async (t) => {
  const directory = join(scratch(t), 'archive')
  const key = keyOf()
  const archive = new LocalArchive({ directory, keys: [key], baseUrl: 'http://x/c' })
  await archive.put(captureOf(t, 'a'))
  const captures = Array.from({ length: 40 }, (_, i) => captureOf(t, `c${i}`, 500 + i))
  const next = random(11)
  const one = async (i: number): Promise<void> => {
    const host = await startHost(t)
    const job = {
      directory,
      secret: key.secret,
      file: captures[i]?.file as string,
      report: captures[i]?.report as unknown,
    }
    // It is not killed before it can do anything.
    await host.call<unknown, void>(({ require }) => void require(`${process.env.PCAP_RING_ROOT}/lib/archive/index.js`))
    host
      .call<unknown, void, typeof job>(async ({ require }, { directory, secret, file, report }) => {
        const { LocalArchive } = require(`${process.env.PCAP_RING_ROOT}/lib/archive/index.js`)
        const archive = new LocalArchive({
          directory,
          keys: [{ id: 'k1', secret: Uint8Array.from(secret) }],
          baseUrl: 'http://x/c',
        })
        const put = archive.put({ file, report })
        for (;;) await Promise.all([put, archive.sign('a', { actor: 'x' })])
      }, job)
      .catch(() => {})
    await new Promise((resolve) => setTimeout(resolve, next() * 500))
    await host.kill('SIGKILL')
  }
  for (let i = 0; i < captures.length; i += 4) await Promise.all([0, 1, 2, 3].map((k) => one(i + k)))
  const stored = await allOf(archive.list())
  t.comment(`${stored.length - 1} of 40 stored`)
  t.ok(stored.length > 1 && stored.length - 1 < 40, 'some were, and some were not')
  const entered = (await allOf(archive.audit.entries())).filter(({ actor }) => actor === 'x')
  t.ok(entered.length > 20, `${entered.length} entries`)
  const puts = (await allOf(archive.audit.entries())).filter(
    ({ action, outcome }) => action === 'put' && outcome === 'ok',
  )
  for (const { id, sha256 } of stored) {
    const wanted = captures.find(({ report }) => report.id === id)
    if (wanted === undefined) continue
    t.equal(sha256, wanted.report.sha256)
    t.ok((await bytesOf(await archive.open(id, { actor: 'y' }))).equals(wanted.bytes), id)
    t.ok(
      puts.some(({ capture }) => capture === id),
      `${id}: the trail has it`,
    )
  }
  t.match(await archive.audit.verify(), { ok: true })
  // What they died over is not hidden: entries that were written, and are not in the chain.
  const left = join(trailOf(directory), '000000000999999.jsonl.0123456789ab.tmp')
  writeFileSync(left, `${await unfinishedEntry(t, directory, [key])}{"version":1,"se`)
  const chain = await allOf(archive.audit.entries())
  const died: AuditEntry[] = []
  for (const name of readdirSync(trailOf(directory)).filter((name) => name.endsWith('.tmp'))) {
    const path = join(trailOf(directory), name)
    if (statSync(path).nlink > 1) continue
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
    const entries = lines.map((line) => JSON.parse(line) as AuditEntry)
    died.push(...entries.filter(({ hash }) => !chain.some((entry) => entry.hash === hash)))
    minutesAgo(path)
  }
  t.comment(`${died.length - 1} entries that a process died over, and one made by hand`)
  await archive.sweep()
  // On a slow machine a later process has entered some already.
  const failed = (await allOf(archive.audit.entries()))
    .slice(chain.length)
    .filter(({ outcome }) => outcome === 'failed')
  const told = (entries: AuditEntry[]) => entries.map(({ actor, action, capture }) => `${actor} ${action} ${capture}`)
  t.strictSame(told(failed).sort(), told(died).sort())
  t.ok(told(failed).includes('dying sign a'))
  t.match(await archive.audit.verify(), { ok: true })
  // What is not there can be stored now, and what is, again.
  for (const capture of captures) await archive.put(capture)
  t.equal((await allOf(archive.list())).length, 41)
  t.match(await archive.audit.verify(), { ok: true })
  for (const name of readdirSync(directory)) if (name.endsWith('.tmp')) rmSync(join(directory, name))
})
