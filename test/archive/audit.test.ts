// The trail: one chain, whoever writes it, and each edit of it found.

import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { random, seed } from '../support/random.js'
import { allOf, batchesOf, captureOf, keyOf, minutesAgo, scratch, trailOf, unfinishedEntry } from './support.js'

const actor = 'tester'

/** An archive whose trail has some entries, in several batches. */
async function used(t: Test, keys = [keyOf()]) {
  const directory = join(scratch(t), 'archive')
  const archive = new LocalArchive({ directory, keys, baseUrl: 'http://localhost/c' })
  await archive.put(captureOf(t, 'a'))
  for (let i = 0; i < 5; i++) {
    await archive.sign('a', { actor: `noc ${i}` })
    await Promise.all([1, 2, 3].map(() => archive.remove('nothing', { actor }).catch(() => {})))
  }
  return { directory, keys, archive }
}

const again = (directory: string, keys: ReturnType<typeof keyOf>[]) => new LocalArchive({ directory, keys })

test('what is entered, in which words', async (t) => {
  const { archive } = await used(t)
  const entries = await allOf(archive.audit.entries())
  t.match(entries[0], {
    version: 1,
    seq: 1,
    actor: 'pcap-ring',
    action: 'key',
    capture: 'k1',
    outcome: 'ok',
    previous: '0'.repeat(64),
  })
  t.match(entries[1], {
    seq: 2,
    actor: 'pcap-ring',
    action: 'put',
    capture: 'a',
    outcome: 'ok',
    previous: entries[0]?.hash,
  })
  t.match(entries[2], { seq: 3, actor: 'noc 0', action: 'sign', capture: 'a', outcome: 'ok' })
  t.match(entries[3], { seq: 4, actor, action: 'remove', capture: 'nothing', outcome: 'refused' })
  for (const [i, entry] of entries.entries()) {
    t.equal(entry.seq, i + 1)
    t.match(entry.at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    t.match(entry.hash, /^[0-9a-f]{64}$/)
  }
  t.equal(entries.length, 22)
  t.equal(await archive.audit.head(), entries.at(-1)?.hash)
  t.strictSame(await archive.audit.verify(), { ok: true, entries: 22, brokenAt: null })
})

test('a thousand random edits are all found', async (t) => {
  const { directory, keys, archive } = await used(t)
  const head = await archive.audit.head()
  const trail = trailOf(directory)
  const names = batchesOf(directory)
  t.comment(`PCAP_RING_SEED=${seed}`)
  const next = random(7)
  const below = (n: number): number => Math.floor(next() * n)
  const contents = new Map(names.map((name) => [name, readFileSync(join(trail, name))]))
  const restore = () => {
    for (const name of readdirSync(trail)) rmSync(join(trail, name), { force: true })
    for (const [name, content] of contents) writeFileSync(join(trail, name), content, { mode: 0o600 })
  }
  let missed = 0
  for (let i = 0; i < 1_000; i++) {
    restore()
    const name = names[below(names.length)] as string
    const path = join(trail, name)
    const content = contents.get(name) as Buffer
    const at = below(content.length)
    const lines = content.toString().split('\n').slice(0, -1)
    switch (below(6)) {
      case 0: {
        const edited = Buffer.from(content)
        edited[at] = (edited[at] as number) ^ (1 << below(8))
        writeFileSync(path, edited)
        break
      }
      case 1:
        writeFileSync(path, content.subarray(0, at))
        break
      case 2:
        writeFileSync(path, Buffer.concat([content.subarray(0, at), Buffer.from(' '), content.subarray(at)]))
        break
      case 3:
        unlinkSync(path)
        break
      case 4: {
        const other = names[below(names.length)] as string
        if (other === name) writeFileSync(path, Buffer.concat([content, content]))
        else writeFileSync(path, contents.get(other) as Buffer)
        break
      }
      default:
        if (lines.length > 1) writeFileSync(path, `${[...lines.slice(1), lines[0]].join('\n')}\n`)
        else
          writeFileSync(
            path,
            content.toString().replace('"outcome":"ok"', '"outcome":"failed"').replace('"refused"', '"ok"'),
          )
    }
    try {
      const { ok, brokenAt } = await again(directory, keys).audit.verify({ since: head })
      if (ok || brokenAt === null) ++missed
    } catch (error) {
      // The newest entry is what every call is judged by.
      if (!/^ERR_PCAP_ARCHIVE_(KEY|CORRUPT)$/.test((error as { code: string }).code)) throw error
    }
  }
  t.equal(missed, 0)
  restore()
  t.match(await again(directory, keys).audit.verify({ since: head }), { ok: true })
})

test('a trail that was cut is found by a head that was kept', async (t) => {
  const { directory, keys, archive } = await used(t)
  const head = await archive.audit.head()
  unlinkSync(join(trailOf(directory), batchesOf(directory).at(-1) as string))
  const cut = again(directory, keys)
  t.match(await cut.audit.verify(), { ok: true }, 'by itself it is a chain')
  const { entries } = await cut.audit.verify()
  const broken = { ok: false, entries, brokenAt: entries + 1 }
  t.strictSame(await cut.audit.verify({ since: head }), broken)
  t.strictSame(await archive.audit.verify(), broken, 'who has used it knows that there was more')
  await cut.remove('nothing', { actor }).catch(() => {})
  t.match(await cut.audit.verify({ since: head }), { ok: false }, 'whatever is entered behind it')
})

test('a batch that became another, renamed or missing', async (t) => {
  const { directory, keys } = await used(t)
  const [, second, third] = batchesOf(directory) as [string, string, string]
  const path = (name: string) => join(trailOf(directory), name)
  renameSync(path(second), path('x'))
  renameSync(path(third), path(second))
  renameSync(path('x'), path(third))
  t.match(await again(directory, keys).audit.verify(), { ok: false, brokenAt: Number.parseInt(second, 10) })
})

test('another key goes on, named by the one before', async (t) => {
  const { directory, keys, archive } = await used(t)
  const [old] = keys as [ReturnType<typeof keyOf>]
  const next = keyOf('k2')
  const rotated = again(directory, [next, old])
  t.ok((await rotated.audit.verify()).ok, 'reading changes nothing')
  await rotated.put(captureOf(t, 'b'))
  const entries = await allOf(rotated.audit.entries())
  t.match(entries.slice(-3), [
    { action: 'key', capture: 'k2', outcome: 'ok' },
    { action: 'key', capture: 'k2', outcome: 'ok' },
    { action: 'put', capture: 'b' },
  ])
  t.strictSame(await rotated.audit.verify(), { ok: true, entries: entries.length, brokenAt: null })
  await t.rejects(archive.put(captureOf(t, 'c')), { code: 'ERR_PCAP_ARCHIVE_KEY' }, 'who has the old one only is out')
  await t.rejects(again(directory, [old]).audit.head(), { code: 'ERR_PCAP_ARCHIVE_KEY' })
  const fresh = again(directory, [next])
  t.equal((await fresh.put(captureOf(t, 'd'))).id, 'd', 'the new one alone goes on')
  await t.rejects(
    fresh.audit.verify(),
    { code: 'ERR_PCAP_ARCHIVE_KEY', message: /"k1"/ },
    'but cannot judge what the old one chained',
  )
  t.ok((await again(directory, [next, old]).audit.verify()).ok)
})

test('with a key that does not fit every call rejects, and nothing is entered', async (t) => {
  const { directory } = await used(t)
  const stranger = new LocalArchive({ directory, keys: [keyOf('k1')], baseUrl: 'http://localhost/c' })
  const before = batchesOf(directory)
  const code = { code: 'ERR_PCAP_ARCHIVE_KEY' }
  await t.rejects(stranger.put(captureOf(t, 'z')), code)
  await t.rejects(allOf(stranger.list()), code)
  await t.rejects(stranger.open('a', { actor }), code)
  await t.rejects(stranger.sign('a', { actor }), code)
  await t.rejects(stranger.remove('a', { actor }), code)
  await t.rejects(stranger.sweep(), code)
  await t.rejects(stranger.copyTo('a', stranger, { actor }), code)
  await t.rejects(allOf(stranger.audit.entries()), code)
  await t.rejects(stranger.audit.head(), code)
  await t.rejects(stranger.audit.verify(), code)
  t.strictSame(batchesOf(directory), before)
  t.notOk(existsSync(join(directory, 'z.sealed')))
})

test('an entry that its process died over stands in the trail as failed', async (t) => {
  const { directory, keys } = await used(t)
  const left = join(trailOf(directory), '000000000000099.jsonl.0123456789ab.tmp')
  writeFileSync(left, `${await unfinishedEntry(t, directory, keys)}{"version":1,"se`)
  const archive = again(directory, keys)
  await archive.remove('nothing', { actor }).catch(() => {})
  t.ok(existsSync(left), 'it may be written still')
  minutesAgo(left)
  await archive.remove('nothing', { actor: 'later' }).catch(() => {})
  const entries = await allOf(archive.audit.entries())
  t.match(entries.slice(-2), [
    { action: 'sign', capture: 'a', outcome: 'failed', actor: 'dying' },
    { actor: 'later', action: 'remove' },
  ])
  t.notOk(existsSync(left))
  t.ok((await archive.audit.verify()).ok)
})

test('what anybody left there is no entry: forged, entered already, or called otherwise', async (t) => {
  const { directory, keys, archive } = await used(t)
  const genuine = await unfinishedEntry(t, directory, keys)
  const entered = readFileSync(join(trailOf(directory), batchesOf(directory)[2] as string), 'utf8')
  const files = {
    '000000000000097.jsonl.0123456789ab.tmp': genuine.replace('"actor":"dying"', '"actor":"ceo"'),
    '000000000000098.jsonl.0123456789ab.tmp': entered,
    '000000000000099.jsonl.0123456789ab.tmp': '{}\n',
    'x.tmp': genuine,
  }
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(trailOf(directory), name), text)
    minutesAgo(join(trailOf(directory), name))
  }
  const before = (await archive.audit.verify()).entries
  await again(directory, keys).sweep()
  t.strictSame(await archive.audit.verify(), { ok: true, entries: before, brokenAt: null })
  t.strictSame(
    readdirSync(trailOf(directory)).filter((name) => name.endsWith('.tmp')),
    ['x.tmp'],
  )
})

test('a damaged newest entry: nothing is entered, and verify() tells which', async (t) => {
  const { directory, keys } = await used(t)
  const last = batchesOf(directory).at(-1) as string
  const path = join(trailOf(directory), last)
  const text = readFileSync(path, 'utf8')
  rmSync(path)
  writeFileSync(path, text.slice(0, 20))
  const archive = again(directory, keys)
  t.match(await archive.audit.verify(), { ok: false, brokenAt: Number.parseInt(last, 10) })
  await t.rejects(archive.put(captureOf(t, 'b')), { code: 'ERR_PCAP_ARCHIVE_CORRUPT', message: /verify\(\)/ })
  rmSync(path)
  symlinkSync('nowhere', path)
  await t.rejects(again(directory, keys).put(captureOf(t, 'b')), { code: /^ERR_PCAP_ARCHIVE_(CORRUPT|UNAVAILABLE)$/ })
})
