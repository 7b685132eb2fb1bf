// What holds of every archive, wherever it lies.

import { createHash, createSecretKey, randomBytes } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Test } from 'tap'

import { random, seed } from '../support/random.js'
import { readSealed } from './independent-reader.js'
import type { Backend, Place } from './places.js'
import { allOf, bytesOf, bytesUpToError, capturedAs, captureOf, keyOf, listening } from './support.js'

const actor = 'tester'
const day = 86_400_000
const baseUrl = 'http://localhost/c'

const batchesOf = async (place: Place): Promise<string[]> =>
  (await place.names()).filter((name) => name.startsWith('audit/'))

export function archiveSuite(t: Test, backend: Backend): void {
  const test = (name: string, run: (t: Test, place: Place) => Promise<void>): void => {
    t.test(`${backend.name}: ${name}`, async (t) => run(t, await backend.place(t)))
  }

  test('what was put is listed, read whole and in ranges, and has its report', async (t, place) => {
    const { secret } = keyOf()
    const archive = place.archive({ keys: [{ id: 'k', secret: createSecretKey(secret) }] })
    const before = Date.now()
    const { file, report, bytes } = capturedAs(t, 'a', randomBytes(300_000))
    const stored = await archive.put({ file, report })
    t.match(stored, { id: 'a', location: place.location('a'), bytes: 300_000, sha256: report.sha256 })
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
    const kept = await place.read(place.capture('a'))
    t.notOk(kept.includes(bytes.subarray(0, 16)), 'it lies there encrypted')
    t.notOk(kept.includes('a test'), 'its report, too')
    const { head, report: json, capture } = readSealed(kept, 'a', secret)
    t.match(head, { id: 'a', key: 'k', bytes: 300_000, sha256: report.sha256 }, 'as docs/archive.md says')
    t.strictSame(JSON.parse(json), report)
    t.ok(capture.equals(bytes))
  })

  test('one that takes several parts', async (t, place) => {
    const archive = place.archive()
    const { file, report, bytes } = capturedAs(t, 'a', randomBytes(18_000_000))
    await archive.put({ file, report })
    t.ok((await bytesOf(await archive.open('a', { actor }))).equals(bytes))
    const range = { start: 8_388_000, end: 16_777_300 }
    const part = await bytesOf(await archive.open('a', { actor, range }))
    t.ok(part.equals(bytes.subarray(range.start, range.end + 1)))
    const other = capturedAs(t, 'a', randomBytes(18_000_000))
    await t.rejects(archive.put(other), { code: 'ERR_PCAP_FILE_EXISTS' })
    t.ok((await bytesOf(await archive.open('a', { actor }))).equals(bytes))
    const race = await Promise.allSettled(
      [1, 2, 3].map((i) => place.archive().put(capturedAs(t, 'race', Buffer.alloc(9_000_000, i)))),
    )
    t.equal(race.filter(({ status }) => status === 'fulfilled').length, 1, 'of three at once one is kept')
    for (const one of race) if (one.status === 'rejected') t.equal(one.reason.code, 'ERR_PCAP_FILE_EXISTS')
    const kept = (await place.names()).filter((name) => !name.startsWith('audit/'))
    t.strictSame(kept, [place.capture('a'), place.capture('race')], 'nothing else stays')
  })

  test('twice the same, and another one under its name', async (t, place) => {
    const archive = place.archive()
    const capture = captureOf(t, 'a')
    const stored = await archive.put(capture)
    t.strictSame(await archive.put(capture), stored)
    const other = captureOf(t, 'a', 21)
    await t.rejects(archive.put(other), { name: 'PcapRingError', code: 'ERR_PCAP_FILE_EXISTS', message: /\ba\b/ })
    t.ok((await bytesOf(await archive.open('a', { actor }))).equals(capture.bytes))
    const all = await Promise.allSettled([1, 2, 3, 4].map((packets) => archive.put(captureOf(t, 'race', packets))))
    t.equal(all.filter(({ status }) => status === 'fulfilled').length, 1, 'of four at once one is kept')
    for (const one of all) if (one.status === 'rejected') t.equal(one.reason.code, 'ERR_PCAP_FILE_EXISTS')
    const kept = (await place.names()).filter((name) => !name.startsWith('audit/'))
    t.strictSame(kept, [place.capture('a'), place.capture('race')], 'nothing else stays')
  })

  test('a capture that is not what its report says is not archived', async (t, place) => {
    const archive = place.archive()
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

  test('a sweep removes just what is past its retention', async (t, place) => {
    const ofDays = (days: number) => place.archive({ retention: days * day })
    const short = await ofDays(1).put(capturedAs(t, 'short', randomBytes(200_000)))
    const long = await ofDays(30).put(captureOf(t, 'long'))
    const archive = ofDays(7)
    t.strictSame(await archive.sweep(), [])
    const dueMs = Date.parse(short.retainedUntil)
    t.strictSame(await archive.sweep(new Date(dueMs - 1)), [], 'not a millisecond early')
    const reading = await archive.open('short', { actor })
    t.strictSame(await archive.sweep(new Date(dueMs + 1)), [short])
    if (backend.readsOn) {
      t.equal((await bytesOf(reading)).length, short.bytes, 'what is being read is read to its end')
    } else {
      await t.rejects(bytesOf(reading), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' }, 'what is being read ends so')
    }
    t.notOk((await place.names()).includes(place.capture('short')))
    t.strictSame(await allOf(archive.list()), [long])
    await t.rejects(archive.open('short', { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
    await t.rejects(archive.sweep(5 as never), { code: 'ERR_INVALID_ARG_TYPE' })
  })

  test('what is past its retention is not read any more, though it is not swept yet', async (t, place) => {
    const options = { retention: '1d', baseUrl } as const
    const archive = place.archive(options)
    const { bytes } = captureOf(t, 'a')
    const stored = await archive.put(captureOf(t, 'a'))
    const real = Date.now
    Date.now = () => real() + 2 * day
    t.teardown(() => {
      Date.now = real
    })
    t.strictSame(await archive.sweep(), [], 'a clock that is set forward meanwhile removes nothing')
    t.ok((await bytesOf(await archive.open('a', { actor }))).equals(bytes))
    const later = place.archive(options)
    await t.rejects(later.open('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_EXPIRED', message: /sweep/ })
    await t.rejects(later.sign('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_EXPIRED' })
    await t.rejects(later.copyTo('a', archive, { actor }), { code: 'ERR_PCAP_ARCHIVE_EXPIRED' })
    t.strictSame(await later.sweep(), [stored])
  })

  test('remove and copy', async (t, place) => {
    const archive = place.archive()
    const other = (await backend.place(t)).archive({ retention: '30d' })
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

  test('a damaged capture does not hide the others, and no byte of it is wrong', async (t, place) => {
    const archive = place.archive()
    const a = capturedAs(t, 'a', randomBytes(200_000))
    await archive.put(a)
    const b = await archive.put(captureOf(t, 'b'))
    const kept = await place.read(place.capture('a'))
    kept[kept.length - 20] = (kept[kept.length - 20] as number) ^ 1
    await place.write(place.capture('a'), kept)
    const { bytes, error } = await bytesUpToError(await archive.open('a', { actor }))
    t.equal(error?.code, 'ERR_PCAP_ARCHIVE_CORRUPT')
    t.ok(bytes.length > 0 && a.bytes.subarray(0, bytes.length).equals(bytes), 'what came before it is right')
    await place.write(place.capture('a'), kept.subarray(0, -1))
    await t.rejects(archive.open('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_CORRUPT' })
    for (const damage of ['damaged', '']) {
      await place.write(place.capture('a'), damage)
      const seen: unknown[] = []
      await t.rejects(
        async () => {
          for await (const one of archive.list()) seen.push(one)
        },
        { code: 'ERR_PCAP_ARCHIVE_CORRUPT', message: /\ba\b/ },
      )
      t.strictSame(seen, [b])
    }
    t.strictSame(await archive.sweep(new Date(Date.now() + 400 * day)), [b])
    t.ok((await place.names()).includes(place.capture('a')), 'nobody knows how long it was to be kept')
    await archive.remove('a', { actor })
    t.notOk((await place.names()).includes(place.capture('a')), 'but it can be removed')
  })

  test('the trail: what is entered, edits of it, and a cut', async (t, place) => {
    const archive = place.archive({ baseUrl })
    await archive.put(captureOf(t, 'a'))
    for (let i = 0; i < 3; i++) {
      await archive.sign('a', { actor: `noc ${i}` })
      await Promise.all([1, 2].map(() => archive.remove('nothing', { actor }).catch(() => {})))
    }
    const entries = await allOf(archive.audit.entries())
    t.match(entries.slice(0, 4), [
      { seq: 1, actor: 'pcap-ring', action: 'key', outcome: 'ok', previous: '0'.repeat(64) },
      { seq: 2, actor: 'pcap-ring', action: 'put', capture: 'a', outcome: 'ok', previous: entries[0]?.hash },
      { seq: 3, actor: 'noc 0', action: 'sign', capture: 'a', outcome: 'ok' },
      { seq: 4, actor, action: 'remove', capture: 'nothing', outcome: 'refused' },
    ])
    t.equal(entries.length, 11)
    const head = await archive.audit.head()
    t.equal(head, entries.at(-1)?.hash)
    t.strictSame(await archive.audit.verify(), { ok: true, entries: 11, brokenAt: null })

    t.comment(`PCAP_RING_SEED=${seed}`)
    const next = random(5)
    const names = await batchesOf(place)
    const verified = async (): Promise<boolean> => {
      try {
        return (await place.archive().audit.verify({ since: head })).ok
      } catch (error) {
        // The newest entry is what every call is judged by.
        if (!/^ERR_PCAP_ARCHIVE_(KEY|CORRUPT)$/.test((error as { code: string }).code)) throw error
        return false
      }
    }
    for (let i = 0; i < 20; i++) {
      const name = names[Math.floor(next() * names.length)] as string
      const content = await place.read(name)
      const edited = Buffer.from(content)
      const at = Math.floor(next() * content.length)
      edited[at] = (edited[at] as number) ^ (1 << Math.floor(next() * 8))
      if (i % 4 === 0) await place.remove(name)
      else await place.write(name, i % 4 === 1 ? content.subarray(0, at) : edited)
      t.notOk(await verified(), `${name}, ${i}`)
      await place.write(name, content)
    }
    t.ok(await verified(), 'as it was')
    await place.remove(names.at(-1) as string)
    t.match(await place.archive().audit.verify(), { ok: true }, 'by itself it is a chain')
    t.notOk(await verified(), 'but not with a head that was kept')
  })

  test('another key goes on; one that does not fit is told so, and enters nothing', async (t, place) => {
    const old = keyOf('k1')
    const next = keyOf('k2')
    await place.archive({ keys: [old] }).put(captureOf(t, 'a'))
    const rotated = place.archive({ keys: [next, old] })
    await rotated.put(captureOf(t, 'b'))
    t.equal((await bytesOf(await rotated.open('a', { actor }))).length, captureOf(t, 'a').bytes.length)
    t.match(await rotated.audit.verify(), { ok: true })
    const before = await place.names()
    const code = { code: 'ERR_PCAP_ARCHIVE_KEY' }
    for (const stranger of [place.archive({ keys: [old], baseUrl }), place.archive({ keys: [keyOf('k2')], baseUrl })]) {
      await t.rejects(stranger.put(captureOf(t, 'z')), code)
      await t.rejects(allOf(stranger.list()), code)
      await t.rejects(stranger.open('b', { actor }), code)
      await t.rejects(stranger.sign('b', { actor }), code)
      await t.rejects(stranger.remove('b', { actor }), code)
      await t.rejects(stranger.sweep(), code)
      await t.rejects(stranger.copyTo('b', stranger, { actor }), code)
      await t.rejects(stranger.audit.verify(), code)
    }
    t.strictSame(await place.names(), before)
  })

  test('links: whole, in ranges, changed, expired, gone', async (t, place) => {
    const { server, origin: here } = await listening(t)
    const archive = place.archive({ baseUrl: `${here}/captures` })
    server.on('request', archive.handler())
    const { file, report, bytes } = capturedAs(t, 'a', randomBytes(3_000_000))
    await archive.put({ file, report })
    const { url } = await archive.sign('a', { actor })
    const whole = await fetch(url)
    t.equal(whole.status, 200)
    t.equal(whole.headers.get('content-disposition'), 'attachment; filename="incident_a.pcap"')
    t.ok(Buffer.from(await whole.arrayBuffer()).equals(bytes))
    const part = await fetch(url, { headers: { range: 'bytes=65530-131080' } })
    t.equal(part.status, 206)
    t.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(65_530, 131_081)))
    const { pathname, search, origin } = new URL(url)
    const path = pathname + search
    const next = random(9)
    for (let i = 0; i < 40; i++) {
      const at = 1 + Math.floor(next() * (path.length - 1))
      const other = path[at] === 'A' ? 'B' : 'A'
      const changed = path.slice(0, at) + other + path.slice(at + 1)
      t.equal((await fetch(origin + changed)).status, 403, changed)
    }
    const brief = await archive.sign('a', { actor, expiresIn: '1s' })
    t.equal((await fetch(brief.url)).status, 200)
    await new Promise((resolve) => setTimeout(resolve, Date.parse(brief.expiresAt) - Date.now() + 5))
    t.equal((await fetch(brief.url)).status, 403, 'expired')
    await archive.remove('a', { actor })
    t.equal((await fetch(url)).status, 403, 'gone')
    t.match(await archive.audit.verify(), { ok: true })
  })

  test('wrong arguments', async (t, place) => {
    const archive = place.archive()
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
    await t.rejects(archive.put({ file: '', report }), { code: 'ERR_INVALID_ARG_VALUE', message: /capture\.file/ })
    const circular: object = {
      ...report,
      get self() {
        return this
      },
    }
    for (const unfit of [circular, { ...report, bytes: 1n }, { ...report, toJSON: () => undefined }]) {
      const put = archive.put({ file, report: unfit as never })
      await t.rejects(put, { code: 'ERR_INVALID_ARG_VALUE', message: /capture\.report/ })
    }
    for (const since of [5, 'x', 'A'.repeat(64)]) {
      await t.rejects(archive.audit.verify({ since: since as never }), { code: /^ERR_INVALID_ARG_/, message: /since/ })
    }
    await t.rejects(archive.audit.verify(null as never), { code: 'ERR_INVALID_ARG_TYPE' })
    t.throws(() => archive.handler(), { code: 'ERR_INVALID_ARG_VALUE', message: /baseUrl/ })
    for (const retention of ['1d', '365d', day, 90 * day] as const) t.doesNotThrow(() => place.archive({ retention }))
    for (const retention of ['0d', '366d', '23h', 0, -1, Number.NaN, Number.POSITIVE_INFINITY] as const) {
      t.throws(() => place.archive({ retention: retention as never }), {
        name: 'RangeError',
        code: 'ERR_OUT_OF_RANGE',
        message: /options\.retention/,
      })
    }
  })
}
