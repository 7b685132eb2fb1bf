// An archive in a directory: what holds of every archive, and what only a directory has.

import { randomBytes } from 'node:crypto'
import {
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { removeJust } from '../../src/archive/local-files.js'
import { type LocalFile, LocalStore } from '../../src/archive/local-store.js'
import { localBackend } from './places.js'
import { archiveSuite } from './suite.js'
import { allOf, archiveOf, bytesOf, captureOf, keyOf, scratch } from './support.js'

const actor = 'tester'
const day = 86_400_000

test('the suite', async (t) => archiveSuite(t, localBackend))

test('it is for its owner alone', async (t) => {
  const directory = join(scratch(t), 'deep', 'archive')
  const { location } = await archiveOf(t, { directory }).put(captureOf(t, 'a'))
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.equal(statSync(location).mode & 0o777, 0o400)
})

test('put again once it is past its retention: it is kept anew', async (t) => {
  const directory = join(scratch(t), 'archive')
  const options = { directory, keys: [keyOf()], retention: '1d' } as const
  const capture = captureOf(t, 'a')
  const old = await new LocalArchive(options).put(capture)
  const real = Date.now
  Date.now = () => real() + 2 * day
  t.teardown(() => {
    Date.now = real
  })
  const later = new LocalArchive(options)
  const stored = await later.put(capture)
  t.ok(stored.retainedUntil > old.retainedUntil)
  t.strictSame(await later.sweep(), [])
  t.strictSame(await allOf(later.list()), [stored])
  t.ok((await bytesOf(await later.open('a', { actor }))).equals(capture.bytes))
  const deeds = (await allOf(later.audit.entries())).map(({ action }) => action)
  t.strictSame(deeds, ['key', 'put', 'sweep', 'put', 'download'])
})

test('sweeps beside puts of the same capture: what was put is there', async (t) => {
  const directory = join(scratch(t), 'archive')
  const options = { directory, keys: [keyOf()], retention: '1d' } as const
  const capture = captureOf(t, 'a')
  const real = Date.now
  t.teardown(() => {
    Date.now = real
  })
  await new LocalArchive(options).put(capture)
  for (let round = 1; round <= 20; round++) {
    Date.now = () => real() + 2 * round * day
    const archives = Array.from({ length: 4 }, () => new LocalArchive(options))
    const [a, b, c, d] = archives as [LocalArchive, LocalArchive, LocalArchive, LocalArchive]
    const [, , stored] = await Promise.all([a.sweep(), b.sweep(), c.put(capture), d.put(capture), c.sweep()])
    t.strictSame(await allOf(a.list()), [stored])
  }
  t.strictSame(readdirSync(directory).sort(), ['a.sealed', 'audit'])
})

test('a file that took the place of another one is not removed for it', async (t) => {
  const directory = scratch(t)
  const store = new LocalStore(directory)
  const content = async function* (text: string) {
    yield Buffer.from(text)
  }
  const path = store.location('a')
  await store.create('a', content('old'), undefined)
  const old = (await store.open('a')) as LocalFile
  t.ok(await store.remove('a', old))
  t.notOk(await store.remove('a', old), 'it is gone')
  await store.create('a', content('new'), undefined)
  t.notOk(await store.remove('a', old))
  t.equal(readFileSync(path, 'utf8'), 'new')
  // In the very moment between looking and taking.
  let looks = 0
  const isIt = (): boolean => {
    if (++looks === 2) t.equal(readFileSync(path, 'utf8'), 'new', 'nor is it away for a moment')
    return looks === 1
  }
  t.equal(await removeJust(path, isIt), 'another')
  t.equal(looks, 2)
  t.equal(readFileSync(path, 'utf8'), 'new')
  t.strictSame(readdirSync(directory), ['a.sealed'])
  await old.close()
})

test('of two that remove a file one waits for the other; one that died in that is cleared up an hour later', async (t) => {
  const archive = archiveOf(t)
  const { location } = await archive.put(captureOf(t, 'a'))
  const second = `${location}.${statSync(location).ino.toString(16).padStart(12, '0')}.tmp`
  const held = async () => {
    linkSync(location, second)
    return archive.remove('a', { actor })
  }
  await t.rejects(held(), { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message: /died in that; a sweep\(\) an hour later/ })
  t.ok(existsSync(location))
  t.strictSame(await archive.sweep(), [])
  t.ok(existsSync(second), 'it may be at it still')
  t.match((await allOf(archive.audit.entries())).slice(-2), [
    { action: 'remove', outcome: 'ok' },
    { action: 'remove', outcome: 'failed' },
  ])
  const real = Date.now
  Date.now = () => real() + 3_700_000
  try {
    await archive.sweep()
  } finally {
    Date.now = real
  }
  t.notOk(existsSync(second))
  const removing = held()
  setTimeout(() => {
    rmSync(location)
    rmSync(second)
  }, 50)
  await removing
  t.strictSame(await allOf(archive.list()), [])
})

test('a clock that is centuries ahead once does not keep anything from being put later', async (t) => {
  const directory = join(scratch(t), 'archive')
  const options = { directory, keys: [keyOf()] }
  const real = Date.now
  t.teardown(() => {
    Date.now = real
  })
  for (const year of [2300, 12_000]) {
    Date.now = () => Date.UTC(year, 0)
    await new LocalArchive(options).put(captureOf(t, `y${year}`))
  }
  Date.now = real
  t.equal((await new LocalArchive(options).put(captureOf(t, 'now'))).id, 'now')
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
