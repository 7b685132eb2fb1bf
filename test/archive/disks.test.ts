// An archive on a disk that is full, and one that is somebody else's.

import { randomBytes } from 'node:crypto'
import { chownSync, lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { makeTmpfs, noTmpfs } from '../support/tmpfs.js'
import { allOf, bytesOf, capturedAs, captureOf, keyOf, listening, scratch } from './support.js'

const actor = 'tester'
const day = 86_400_000

const filesIn = (directory: string): string[] =>
  readdirSync(directory, { recursive: true })
    .map((name) => name.toString())
    .sort()

test('a disk that is full', { skip: noTmpfs }, async (t) => {
  const disk = makeTmpfs(t, 16 * 1024 * 1024)
  const directory = join(disk.directory, 'archive')
  const { server, origin } = await listening(t)
  const archive = new LocalArchive({ directory, keys: [keyOf()], baseUrl: `${origin}/c` })
  server.on('request', archive.handler())
  const { bytes } = captureOf(t, 'a')
  const stored = await archive.put(captureOf(t, 'a'))
  const { url } = await archive.sign('a', { actor })

  const large = capturedAs(t, 'large', randomBytes(1_000_000))
  const full = { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message: /ENOSPC.*room/ }
  // The second lets all go in but the last chunk.
  for (const room of [200_000, 992_000]) {
    disk.fill(room)
    await t.rejects(archive.put(large), full)
    t.ok((await bytesOf(await archive.open('a', { actor }))).equals(bytes), 'what is there can be read')
    t.match((await allOf(archive.audit.entries())).slice(-2), [
      { action: 'put', capture: 'large', outcome: 'failed' },
      { action: 'download', capture: 'a', outcome: 'ok' },
    ])
    disk.empty()
  }
  const puts = (await allOf(archive.audit.entries())).filter(({ capture }) => capture === 'large')
  t.strictSame(
    puts.map(({ outcome }) => outcome),
    ['failed', 'failed'],
    'none that would have been',
  )

  disk.fill(0)
  const before = filesIn(directory)
  await t.rejects(archive.put(large), full)
  await t.rejects(archive.open('a', { actor }), full, 'nothing is done that cannot be entered')
  await t.rejects(archive.sign('a', { actor }), full)
  await t.rejects(archive.remove('a', { actor }), full)
  await t.rejects(archive.sweep(new Date(Date.now() + 30 * day)), full)
  const { status, headers } = await fetch(url)
  t.match({ status, length: headers.get('content-length') }, { status: 503, length: '0' })
  t.strictSame(filesIn(directory), before)
  t.strictSame(await allOf(archive.list()), [stored])
  disk.empty()

  t.ok(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes))
  t.equal((await archive.put(large)).id, 'large')
  t.match(await archive.audit.verify(), { ok: true })
})

test('what root writes is the directory’s owner’s', { skip: process.getuid?.() !== 0 && 'needs root' }, async (t) => {
  const dir = scratch(t)
  const home = join(dir, 'home')
  mkdirSync(home)
  chownSync(home, 65_534, 65_533)
  const directory = join(home, 'archive')
  const archive = new LocalArchive({ directory, keys: [keyOf()], baseUrl: 'http://x/c' })
  await archive.put(captureOf(t, 'a'))
  await archive.sign('a', { actor })
  const names = filesIn(home)
  t.ok(names.length >= 5, names.join())
  for (const name of names) {
    const { uid, gid } = lstatSync(join(home, name))
    t.strictSame({ uid, gid }, { uid: 65_534, gid: 65_533 }, name)
  }
})
