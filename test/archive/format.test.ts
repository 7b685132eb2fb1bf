// What an archive writes, whoever changes it: never a wrong byte.

import { randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { sealHead } from '../../src/archive/envelope.js'
import { LocalArchive } from '../../src/archive/index.js'
import { KeyRing } from '../../src/archive/keys.js'
import { chunkSize, Sealer, sealedChunkSize } from '../../src/archive/stream.js'
import { readSealed } from './independent-reader.js'
import { archiveOf, bytesUpToError, capturedAs, captureOf, keyOf, scratch } from './support.js'

const actor = 'tester'

/** What is read of a file with this content, and how it ends. */
async function read(archive: LocalArchive, location: string, content: Buffer, id: string) {
  chmodSync(location, 0o600)
  writeFileSync(location, content)
  try {
    return await bytesUpToError(await archive.open(id, { actor }))
  } catch (error) {
    return { bytes: Buffer.alloc(0), error: error as NodeJS.ErrnoException }
  }
}

test('each byte flipped, each length, anything behind', async (t) => {
  const archive = archiveOf(t)
  const { file, report, bytes } = captureOf(t, 'a', 3)
  const { location } = await archive.put({ file, report })
  const sealed = readFileSync(location)
  const refused = async (content: Buffer, what: string) => {
    const { bytes: got, error } = await read(archive, location, content, 'a')
    // Of one chunk nothing comes before the error.
    if (got.length > 0 || !/^ERR_PCAP_ARCHIVE_(CORRUPT|KEY)$/.test(`${error?.code}`)) t.fail(`${what}: ${error}`)
  }
  for (let i = 0; i < sealed.length; i++) {
    const flipped = Buffer.from(sealed)
    flipped[i] = (flipped[i] as number) ^ (1 << (i % 8))
    await refused(flipped, `byte ${i} flipped`)
  }
  for (let length = 0; length < sealed.length; length++) await refused(sealed.subarray(0, length), `cut at ${length}`)
  for (const more of [1, 16, sealedChunkSize]) await refused(Buffer.concat([sealed, randomBytes(more)]), `${more} more`)
  const whole = await read(archive, location, sealed, 'a')
  t.strictSame(whole, { bytes, error: null }, 'as it was, it is read')
  t.ok((await archive.audit.verify()).ok)
})

test('chunks swapped, repeated, left out; what came before is right', async (t) => {
  const archive = archiveOf(t)
  const { file, report, bytes } = capturedAs(t, 'a', randomBytes(5 * chunkSize + 1_000))
  const { location } = await archive.put({ file, report })
  const sealed = readFileSync(location)
  const begin =
    sealed.length -
    (Math.ceil((bytes.length + JSON.stringify(report).length) / chunkSize) * 16 +
      bytes.length +
      JSON.stringify(report).length)
  const chunk = (i: number) => sealed.subarray(begin + i * sealedChunkSize, begin + (i + 1) * sealedChunkSize)
  const arranged = (order: number[]) => Buffer.concat([sealed.subarray(0, begin), ...order.map(chunk)])
  const cases: [number[], number][] = [
    [[0, 1, 3, 2, 4, 5], 2],
    [[1, 0, 2, 3, 4, 5], 0],
    [[0, 1, 1, 3, 4, 5], 2],
    [[0, 1, 2, 3, 3, 5], 4],
  ]
  for (const [order, right] of cases) {
    const { bytes: got, error } = await read(archive, location, arranged(order), 'a')
    t.equal(error?.code, 'ERR_PCAP_ARCHIVE_CORRUPT', `${order}`)
    t.equal(
      got.length,
      Math.max(0, right * chunkSize - JSON.stringify(report).length),
      `${order}: whole chunks before it`,
    )
    t.ok(bytes.subarray(0, got.length).equals(got), `${order}: right ones`)
  }
  // Without its last chunk the size is another.
  t.match(await read(archive, location, arranged([0, 1, 2, 3, 4]), 'a'), {
    error: { code: 'ERR_PCAP_ARCHIVE_CORRUPT' },
  })
  t.strictSame(await read(archive, location, sealed, 'a'), { bytes, error: null })
})

test("another capture's file, another key", async (t) => {
  const directory = join(scratch(t), 'archive')
  const key = keyOf('k1')
  const archive = new LocalArchive({ directory, keys: [key] })
  const a = await archive.put(captureOf(t, 'a', 10))
  const b = await archive.put(captureOf(t, 'b', 10))
  renameSync(a.location, `${a.location}.x`)
  renameSync(b.location, a.location)
  renameSync(`${a.location}.x`, b.location)
  for (const id of ['a', 'b']) {
    await t.rejects(archive.open(id, { actor }), { code: 'ERR_PCAP_ARCHIVE_CORRUPT', message: /holds the capture/ })
  }
  const stranger = new LocalArchive({ directory, keys: [keyOf('k1')] })
  await t.rejects(stranger.open('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_KEY' })
  // One that fits the trail, but not this capture.
  const sealed = readFileSync(captureIn(await archiveWith(t, keyOf('k2')), 'c'))
  writeFileSync(join(directory, 'c.sealed'), sealed)
  await t.rejects(archive.open('c', { actor }), { code: 'ERR_PCAP_ARCHIVE_KEY', message: /"k2"/ })
  const sameName = readFileSync(captureIn(await archiveWith(t, keyOf('k1')), 'c'))
  writeFileSync(join(directory, 'c.sealed'), sameName)
  await t.rejects(archive.open('c', { actor }), { code: 'ERR_PCAP_ARCHIVE_CORRUPT', message: /another secret/ })
})

async function archiveWith(t: Parameters<typeof archiveOf>[0], key: ReturnType<typeof keyOf>): Promise<string> {
  const directory = join(scratch(t), 'archive')
  await new LocalArchive({ directory, keys: [key] }).put(captureOf(t, 'c'))
  return directory
}
const captureIn = (directory: string, id: string): string => join(directory, `${id}.sealed`)

test('a reader written from docs/archive.md reads all sizes', async (t) => {
  const key = keyOf()
  const archive = archiveOf(t, { keys: [key] })
  const reportSize = JSON.stringify(capturedAs(t, 'a000', Buffer.alloc(100_000)).report).length
  const sizes = [
    24,
    1_000,
    chunkSize - reportSize,
    chunkSize - reportSize + 1,
    3 * chunkSize,
    16 * chunkSize + 5,
    2_500_000,
  ]
  for (const [i, size] of sizes.entries()) {
    const { file, report, bytes } = capturedAs(t, `a00${i}`, randomBytes(size))
    const { location } = await archive.put({ file, report })
    const { head, report: json, capture } = readSealed(readFileSync(location), report.id, key.secret)
    t.match(head, { id: report.id, key: key.id, bytes: size, sha256: report.sha256, format: 'pcap' })
    t.strictSame(JSON.parse(json), report)
    t.ok(capture.equals(bytes), `${size} bytes`)
  }
})

test('a known answer', (t) => {
  const { first } = new KeyRing([{ id: 'known', secret: Buffer.from([...Array(32).keys()]) }])
  const plain = Buffer.alloc(chunkSize + 10, 'pcap-ring ')
  const head = {
    id: 'answer',
    format: 'pcap' as const,
    report: 10,
    bytes: plain.length - 10,
    sha256: 'ab'.repeat(32),
    storedAt: '2026-11-22T08:00:00.000000Z',
    retainedUntil: '2026-11-29T08:00:00.000000Z',
  }
  const { bytes, dataKey } = sealHead(head, first, { dataKey: Buffer.alloc(32, 7), nonce: Buffer.alloc(12, 9) })
  const sealer = new Sealer(dataKey)
  const sealed = Buffer.concat([
    bytes,
    sealer.update(plain.subarray(0, 5)),
    sealer.update(plain.subarray(5)),
    sealer.final(),
  ])
  t.equal(bytes.length, 72 + JSON.stringify({ version: 1, key: 'known', ...head }).length)
  t.equal(bytes.toString('hex', bytes.length - 48), knownWrappedKey)
  t.equal(sealed.toString('hex', sealed.length - 26), knownLastChunk)
  t.ok(readSealed(sealed, 'answer', Buffer.from([...Array(32).keys()])).capture.equals(plain.subarray(10)))
  t.end()
})

// By Python's cryptography (AESGCM, HKDF), from docs/archive.md.
const knownWrappedKey =
  'a8bafaee8efa27a67f543ffcf3f660b9d78e2a0f479e09230aacc200b8460fa8575040444b983d8a705a81ae79f19860'
const knownLastChunk = '4119f7dbda21c80a57d8336412300b7283872b3c9f8293c8fcab'
