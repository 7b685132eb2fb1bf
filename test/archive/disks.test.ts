// An archive on a disk that is full, and one that is somebody else's.

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chownSync, lstatSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import type { HostApi } from '../support/host.js'
import { noTool } from '../support/netns.js'
import { makeTmpfs, noTmpfs } from '../support/tmpfs.js'
import { allOf, bytesOf, capturedAs, captureOf, keyOf, listening, scratch, startHost } from './support.js'

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
  disk.fill(200_000)
  await t.rejects(archive.put(large), full)
  t.ok((await bytesOf(await archive.open('a', { actor }))).equals(bytes), 'what is there can be read')
  t.match((await allOf(archive.audit.entries())).slice(-2), [
    { action: 'put', capture: 'large', outcome: 'failed' },
    { action: 'download', capture: 'a', outcome: 'ok' },
  ])
  disk.empty()

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

interface Putting {
  directory: string
  secret: Buffer
  file: string
  report: string
}

/** The code of what it rejects with. */
const putting = async (
  { require }: HostApi<unknown>,
  { directory, secret, file, report }: Putting,
): Promise<string> => {
  const { LocalArchive } = require(`${process.env.PCAP_RING_ROOT}/lib/archive/index.js`)
  const archive = new LocalArchive({ directory, keys: [{ id: 'k1', secret: Uint8Array.from(secret) }] })
  return archive.put({ file, report: JSON.parse(report) }).then(
    () => 'it is there',
    ({ code }: { code: string }) => code,
  )
}

test('a file size that is reached by the last chunk alone', { skip: noTool('prlimit') }, async (t) => {
  const key = keyOf()
  const { file, report } = capturedAs(t, 'a', randomBytes(1_000_000))
  const elsewhere = await new LocalArchive({ directory: join(scratch(t), 'archive'), keys: [key] }).put({
    file,
    report,
  })
  const host = await startHost(t)
  execFileSync('prlimit', ['--pid', String(host.pid), `--fsize=${statSync(elsewhere.location).size - 1_000}`])
  const directory = join(scratch(t), 'archive')
  const code = await host.call<unknown, string, Putting>(putting, {
    directory,
    secret: key.secret,
    file,
    report: JSON.stringify(report),
  })
  t.equal(code, 'ERR_PCAP_ARCHIVE_UNAVAILABLE')
  const entries = await allOf(new LocalArchive({ directory, keys: [key] }).audit.entries())
  t.strictSame(
    entries.map(({ action, outcome }) => `${action} ${outcome}`),
    ['key ok', 'put failed'],
    'not first that it would have been there',
  )
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
