// An archive in a directory: what holds of every archive, and what only a directory has.

import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, renameSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { scratch } from '../support/replay.js'
import { localBackend } from './places.js'
import { archiveSuite } from './suite.js'
import { allOf, archiveOf, captureOf, keyOf } from './support.js'

const actor = 'tester'
const day = 86_400_000

test('the suite', async (t) => archiveSuite(t, localBackend))

test('it is for its owner alone', async (t) => {
  const directory = join(scratch(t), 'deep', 'archive')
  const { location } = await archiveOf(t, { directory }).put(captureOf(t, 'a'))
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.equal(statSync(location).mode & 0o777, 0o400)
})

test('a clock that was set back makes nothing older than what the trail has', async (t) => {
  const archive = archiveOf(t)
  const { storedAt } = await archive.put(captureOf(t, 'a'))
  const real = Date.now
  Date.now = () => real() - 30 * day
  t.teardown(() => {
    Date.now = real
  })
  const second = await archive.put(captureOf(t, 'b'))
  t.ok(second.storedAt >= storedAt)
})

test('what a writer that died left is swept an hour later; links are not followed', async (t) => {
  const archive = archiveOf(t)
  const { location } = await archive.put(captureOf(t, 'a'))
  const directory = join(location, '..')
  const old = join(directory, 'b.sealed.0123456789ab.tmp')
  const young = join(directory, 'c.sealed.0123456789ab.tmp')
  for (const path of [old, young]) writeFileSync(path, 'half')
  const hoursAgo = Date.now() / 1_000 - 7_200
  utimesSync(old, hoursAgo, hoursAgo)
  await archive.sweep()
  t.notOk(existsSync(old))
  t.ok(existsSync(young))
  renameSync(location, join(directory, 'elsewhere'))
  symlinkSync(join(directory, 'elsewhere'), location)
  await t.rejects(archive.open('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', syscall: 'open' })
})

test('wrong arguments', async (t) => {
  const directory = scratch(t)
  const key = keyOf()
  const make = (options: object) => () => new LocalArchive({ directory, keys: [key], ...options })
  t.throws(make({ keys: [] }), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.keys/ })
  t.throws(make({ keys: key }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.keys/ })
  t.throws(make({ keys: [key, key] }), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.keys\[1\]\.id/ })
  t.throws(make({ keys: [{ id: 'a/b', secret: key.secret }] }), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(make({ keys: [{ id: 'a', secret: 'x'.repeat(32) }] }), { code: 'ERR_INVALID_ARG_TYPE' })
  t.throws(make({ keys: [{ id: 'a', secret: randomBytes(31) }] }), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /32 bytes/,
  })
  t.throws(make({ directory: '' }), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.directory/ })
  for (const baseUrl of ['x', 'ftp://a/b', 'http://a/b?c', 'http://u:p@a/b', 'http://:p@a/b']) {
    t.throws(make({ baseUrl }), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.baseUrl/ })
  }
  t.strictSame(readdirSync(directory), [], 'nothing is touched')
})

test('a store that is away', async (t) => {
  const directory = join(scratch(t), 'file', 'archive')
  writeFileSync(join(directory, '..'), 'in the way')
  const archive = archiveOf(t, { directory })
  await t.rejects(archive.put(captureOf(t, 'a')), { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', syscall: /./, errno: Number })
  await t.rejects(allOf(archive.list()), { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE' })
})
