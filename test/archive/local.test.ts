// An archive in a directory: in, out, away.

import { createHash, createSecretKey, randomBytes } from 'node:crypto'
import {
  existsSync,
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
import { scratch } from '../support/replay.js'
import { allOf, archiveOf, bytesOf, capturedAs, captureOf, keyOf } from './support.js'

const actor = 'tester'
const day = 86_400_000

test('what was put is listed, read whole and in ranges, and has its report', async (t) => {
  const directory = join(scratch(t), 'deep', 'archive')
  const archive = archiveOf(t, { directory, keys: [{ id: 'k', secret: createSecretKey(randomBytes(32)) }] })
  const before = Date.now()
  const { file, report, bytes } = capturedAs(t, 'a', randomBytes(300_000))
  const stored = await archive.put({ file, report })
  t.match(stored, { id: 'a', location: join(directory, 'a.sealed'), bytes: 300_000, sha256: report.sha256 })
  t.match(stored.storedAt, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
  const life = Date.parse(stored.retainedUntil) - Date.parse(stored.storedAt)
  t.equal(life, 7 * day, 'seven days unless said otherwise')
  t.ok(Date.parse(stored.storedAt) >= before && Date.parse(stored.storedAt) <= Date.now())
  t.strictSame(await allOf(archive.list()), [stored])

  t.ok((await bytesOf(await archive.open('a', { actor }))).equals(bytes))
  for (const [start, end] of [
    [0, 0],
    [0, 299_999],
    [299_999, 299_999],
    [65_000, 66_000],
    [131_072, 131_072],
    [1, 299_998],
  ] as const) {
    const part = await bytesOf(await archive.open('a', { actor, range: { start, end } }))
    t.ok(part.equals(bytes.subarray(start, end + 1)), `${start} to ${end}`)
  }
  t.equal(statSync(directory).mode & 0o777, 0o700)
  t.equal(statSync(stored.location).mode & 0o777, 0o400)
  t.notOk(readFileSync(stored.location).includes(bytes.subarray(0, 16)), 'it lies there encrypted')
  t.notOk(readFileSync(stored.location).includes('a test'), 'its report, too')
})

test('twice the same, and another one under its name', async (t) => {
  const archive = archiveOf(t)
  const capture = captureOf(t, 'a')
  const stored = await archive.put(capture)
  t.strictSame(await archive.put(capture), stored)
  const other = captureOf(t, 'a', 21)
  await t.rejects(archive.put(other), { name: 'PcapRingError', code: 'ERR_PCAP_FILE_EXISTS', message: /\ba\b/ })
  t.ok((await bytesOf(await archive.open('a', { actor }))).equals(capture.bytes))
  const all = await Promise.allSettled([1, 2, 3, 4].map((packets) => archive.put(captureOf(t, 'race', packets))))
  t.equal(all.filter(({ status }) => status === 'fulfilled').length, 1, 'of four at once one is kept')
  for (const one of all) if (one.status === 'rejected') t.equal(one.reason.code, 'ERR_PCAP_FILE_EXISTS')
  t.strictSame(
    readdirSync(join(stored.location, '..')).sort(),
    ['a.sealed', 'audit', 'race.sealed'],
    'nothing else stays',
  )
})

test('a capture that is not what its report says is not archived', async (t) => {
  const archive = archiveOf(t)
  const changed = captureOf(t, 'a')
  changed.bytes[50] = (changed.bytes[50] as number) ^ 1
  writeFileSync(changed.file, changed.bytes)
  await t.rejects(archive.put(changed), { code: 'ERR_PCAP_ARCHIVE_CORRUPT', message: /changed since/ })
  const longer = captureOf(t, 'b')
  writeFileSync(longer.file, Buffer.concat([longer.bytes, longer.bytes]))
  await t.rejects(archive.put(longer), { code: 'ERR_PCAP_ARCHIVE_CORRUPT', message: /in place of/ })
  const gone = captureOf(t, 'c')
  rmSync(gone.file)
  await t.rejects(archive.put(gone), { code: 'ERR_PCAP_BAD_FILE', syscall: 'open' })
  t.strictSame(await allOf(archive.list()), [])
  // A recovered one may have no digest.
  const recovered = captureOf(t, 'd')
  const { sha256 } = await archive.put({ file: recovered.file, report: { ...recovered.report, sha256: null } })
  t.equal(sha256, createHash('sha256').update(recovered.bytes).digest('hex'))
})

test('retention of 1 to 365 days; a sweep removes just what is past it', async (t) => {
  for (const retention of ['1d', '365d', day, 90 * day] as const) t.doesNotThrow(() => archiveOf(t, { retention }))
  for (const retention of ['0d', '366d', '23h', 0, -1, Number.NaN, Number.POSITIVE_INFINITY] as const) {
    t.throws(() => archiveOf(t, { retention: retention as never }), {
      name: 'RangeError',
      code: 'ERR_OUT_OF_RANGE',
      message: /options\.retention/,
    })
  }
  const directory = join(scratch(t), 'archive')
  const key = keyOf()
  const ofDays = (days: number) => new LocalArchive({ directory, keys: [key], retention: days * day })
  const short = await ofDays(1).put(captureOf(t, 'short'))
  const long = await ofDays(30).put(captureOf(t, 'long'))
  const archive = ofDays(7)
  t.strictSame(await archive.sweep(), [])
  const dueMs = Date.parse(short.retainedUntil)
  t.strictSame(await archive.sweep(new Date(dueMs - 1)), [], 'not a millisecond early')
  const reading = await archive.open('short', { actor })
  t.strictSame(await archive.sweep(new Date(dueMs + 1)), [short])
  t.notOk(existsSync(short.location))
  t.equal((await bytesOf(reading)).length, short.bytes, 'what is being read is read to its end')
  t.strictSame(await allOf(archive.list()), [long])
  await t.rejects(archive.open('short', { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
  await t.rejects(archive.sweep(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('what is past its retention is not read any more, though it is not swept yet', async (t) => {
  const directory = join(scratch(t), 'archive')
  const options = { directory, keys: [keyOf()], retention: '1d', baseUrl: 'http://localhost/x' } as const
  const archive = new LocalArchive(options)
  const { bytes } = captureOf(t, 'a')
  const stored = await archive.put(captureOf(t, 'a'))
  const real = Date.now
  Date.now = () => real() + 2 * day
  t.teardown(() => {
    Date.now = real
  })
  t.strictSame(await archive.sweep(), [], 'a clock that is set forward meanwhile removes nothing')
  t.ok((await bytesOf(await archive.open('a', { actor }))).equals(bytes))
  const later = new LocalArchive(options)
  await t.rejects(later.open('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_EXPIRED', message: /sweep/ })
  await t.rejects(later.sign('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_EXPIRED' })
  await t.rejects(later.copyTo('a', archive, { actor }), { code: 'ERR_PCAP_ARCHIVE_EXPIRED' })
  t.strictSame(await later.sweep(), [stored])
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

test('remove and copy', async (t) => {
  const archive = archiveOf(t)
  const other = archiveOf(t, { retention: '30d' })
  const capture = capturedAs(t, 'a', randomBytes(200_000))
  const { sha256 } = await archive.put(capture)
  const copied = await archive.copyTo('a', other, { actor })
  t.match(copied, { id: 'a', sha256, bytes: 200_000 })
  t.ok((await bytesOf(await other.open('a', { actor }))).equals(capture.bytes))
  const reports: unknown[] = []
  const sink = {
    put: async ({ file, report }: { file: string; report: unknown }) => {
      t.ok(readFileSync(file).equals(capture.bytes))
      reports.push(report)
      return copied
    },
  }
  t.strictSame(await archive.copyTo('a', sink, { actor }), copied, 'to an object of the host')
  t.strictSame(reports, [capture.report])
  const failing = { put: () => Promise.reject(new Error('away')) }
  await t.rejects(archive.copyTo('a', failing, { actor }), { message: 'away' })

  await archive.remove('a', { actor })
  await t.rejects(archive.remove('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
  await t.rejects(archive.open('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
  await t.rejects(archive.copyTo('a', other, { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
  const deeds = (await allOf(archive.audit.entries())).map(({ action, outcome }) => `${action} ${outcome}`)
  t.strictSame(deeds, [
    'key ok',
    'put ok',
    'copy ok',
    'copy ok',
    'copy ok',
    'copy failed',
    'remove ok',
    'remove refused',
    'download refused',
    'copy refused',
  ])
})

test('a damaged capture does not hide the others', async (t) => {
  const archive = archiveOf(t)
  const a = await archive.put(captureOf(t, 'a'))
  const b = await archive.put(captureOf(t, 'b'))
  rmSync(a.location)
  writeFileSync(a.location, 'damaged')
  const seen: unknown[] = []
  await t.rejects(
    async () => {
      for await (const one of archive.list()) seen.push(one)
    },
    { code: 'ERR_PCAP_ARCHIVE_CORRUPT', message: /a\.sealed/ },
  )
  t.strictSame(seen, [b])
  t.strictSame(await archive.sweep(new Date(Date.now() + 400 * day)), [b])
  t.ok(existsSync(a.location), 'nobody knows how long it was to be kept')
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
  for (const baseUrl of ['x', 'ftp://a/b', 'http://a/b?c', 'http://u:p@a/b']) {
    t.throws(make({ baseUrl }), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.baseUrl/ })
  }
  t.strictSame(readdirSync(directory), [], 'nothing is touched')

  const archive = archiveOf(t)
  await archive.put(captureOf(t, 'a'))
  for (const id of ['', '.a', '../a', 'a/b', 'x'.repeat(65)]) {
    await t.rejects(archive.open(id, { actor }), { code: 'ERR_INVALID_ARG_VALUE' })
    await t.rejects(archive.remove(id, { actor }), { code: 'ERR_INVALID_ARG_VALUE' })
  }
  for (const name of ['', 'x'.repeat(257), 'a\nb'])
    await t.rejects(archive.open('a', { actor: name }), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.rejects(archive.open('a', {} as never), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.actor/ })
  for (const range of [
    { start: -1, end: 0 },
    { start: 5, end: 4 },
    { start: 0, end: 1e6 },
    { start: 0.5, end: 4 },
  ]) {
    await t.rejects(archive.open('a', { actor, range }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  }
  await t.rejects(archive.put({} as never), { code: 'ERR_INVALID_ARG_TYPE', message: /capture\.file/ })
  const { file, report } = captureOf(t, 'b')
  await t.rejects(archive.put({ file, report: { ...report, id: '../b' } }), { code: 'ERR_INVALID_ARG_VALUE' })
  await t.rejects(archive.put({ file, report }, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  await t.rejects(archive.copyTo('a', {} as never, { actor }), { code: 'ERR_INVALID_ARG_TYPE' })
})

test('a store that is away', async (t) => {
  const directory = join(scratch(t), 'file', 'archive')
  writeFileSync(join(directory, '..'), 'in the way')
  const archive = archiveOf(t, { directory })
  await t.rejects(archive.put(captureOf(t, 'a')), { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', syscall: /./, errno: Number })
  await t.rejects(allOf(archive.list()), { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE' })
})
