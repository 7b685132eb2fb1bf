// An archive in a bucket: what only a store has.

import { randomBytes } from 'node:crypto'
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { test } from 'tap'

import { S3Archive, type S3Progress } from '../../src/archive/s3/index.js'
import { bucketOf, clientOf, type Gateway, rgwSkip, startGateway } from '../support/rgw.js'
import { namesIn } from './places.js'
import { allOf, bytesOf, bytesUpToError, capturedAs, captureOf, keyOf } from './support.js'

const actor = 'tester'
const day = 86_400_000

test('what only a store has', { skip: rgwSkip }, async (t) => {
  const gateway: Gateway = await startGateway(t)
  const client: S3Client = clientOf(t, gateway)
  const bucket = await bucketOf(client)

  await t.test('the store holds ciphertext, also behind its gateway; and says how long it is to be kept', async (t) => {
    const key = keyOf()
    const archive = new S3Archive({ client, bucket, prefix: 'rest', keys: [key], retention: '36h' })
    for (const size of [1_000, 12_000_000]) {
      const { file, report, bytes } = capturedAs(t, `c${size}`, randomBytes(size))
      const { retainedUntil } = await archive.put({ file, report })
      const Key = `rest/captures/c${size}`
      const parts = await gateway.bytesAtRest(bucket, Key)
      const kept = parts.reduce((sum, { length }) => sum + length, 0)
      t.ok(kept > size, `${kept} bytes in ${parts.length} objects of the back end`)
      for (const at of [0, size / 2, size - 16]) {
        const piece = bytes.subarray(at, at + 16)
        t.notOk(parts.some((part) => part.includes(piece)))
      }
      t.notOk(parts.some((part) => part.includes('a test')))
      const { Metadata } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key }))
      t.equal(Metadata?.['pcap-ring-retained-until'], retainedUntil)
      const { TagSet } = await client.send(new GetObjectTaggingCommand({ Bucket: bucket, Key }))
      t.strictSame(TagSet, [{ Key: 'pcap-ring-retention-days', Value: '2' }])
    }
  })

  await t.test('encrypted by the store: plain captures, its own links, a report that stays sealed', async (t) => {
    const key = keyOf()
    const options = { client, bucket, prefix: 'kms/', keys: [key], encryption: { kms: gateway.kmsKey } }
    const archive = new S3Archive(options)
    for (const size of [1_000, 12_000_000]) {
      const id = `c${size}`
      const { file, report, bytes } = capturedAs(t, id, randomBytes(size))
      const stored = await archive.put({ file, report })
      t.match(stored, { id, bytes: size, sha256: report.sha256, location: `s3://${bucket}/kms/captures/${id}` })
      t.strictSame(await archive.put({ file, report }), stored, 'twice the same')
      await t.rejects(archive.put(capturedAs(t, id, randomBytes(size))), { code: 'ERR_PCAP_FILE_EXISTS' })
      t.ok((await bytesOf(await archive.open(id, { actor }))).equals(bytes))
      const range = { start: 100, end: size - 100 }
      t.ok((await bytesOf(await archive.open(id, { actor, range }))).equals(bytes.subarray(100, size - 99)))
      const parts = await gateway.bytesAtRest(bucket, `kms/captures/${id}`)
      t.notOk(
        parts.some((part) => part.includes(bytes.subarray(0, 16))),
        'the back end has ciphertext',
      )
      const { url, expiresAt } = await archive.sign(id, { actor, expiresIn: '1h' })
      t.ok(Math.abs(Date.parse(expiresAt) - Date.now() - 3_600_000) < 60_000)
      const answer = await fetch(url)
      t.equal(answer.status, 200)
      t.equal(answer.headers.get('content-disposition'), `attachment; filename="incident_${id}.pcap"`)
      t.equal(answer.headers.get('content-type'), 'application/vnd.tcpdump.pcap')
      t.ok(Buffer.from(await answer.arrayBuffer()).equals(bytes))
      const part = await fetch(url, { headers: { range: 'bytes=5-9' } })
      t.equal(part.status, 206)
      t.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(5, 10)))
    }
    const reports: unknown[] = []
    const sink = {
      put: async ({ report }: { report: unknown }) => {
        reports.push(report)
        return { id: 'c1000', location: '', bytes: 0, sha256: '', storedAt: '', retainedUntil: '' }
      },
    }
    await archive.copyTo('c1000', sink, { actor })
    t.match(reports, [{ id: 'c1000', reason: 'a test' }])
    const names = await namesIn(client, bucket, 'kms/')
    t.equal(names.filter((name) => name.startsWith('reports/')).length, 2, 'what was refused left no report')
    t.equal((await allOf(archive.list())).length, 2)

    // An archive that encrypts itself reads them, and cannot link to them without a place to serve them at.
    const client2 = new S3Archive({ ...options, encryption: 'client' })
    t.equal((await bytesOf(await client2.open('c1000', { actor }))).length, 1_000)
    await archive.sweep(new Date(Date.now() + 8 * day))
    t.strictSame(
      (await namesIn(client, bucket, 'kms/')).filter((name) => !name.startsWith('audit/')),
      [],
      'a report goes with its capture',
    )
    t.match(await archive.audit.verify(), { ok: true })
  })

  await t.test('a presigned link: changed in any part, and expired', async (t) => {
    const encryption = { kms: gateway.kmsKey }
    const archive = new S3Archive({ client, bucket, prefix: 'links', keys: [keyOf()], encryption })
    await archive.put(captureOf(t, 'a'))
    await archive.put(captureOf(t, 'b'))
    const { url } = await archive.sign('a', { actor })
    t.equal((await fetch(url)).status, 200)
    const parts = [...new URL(url).searchParams.keys()]
    t.ok(parts.includes('X-Amz-Signature') && parts.includes('response-content-disposition'))
    for (const name of parts) {
      const changed = new URL(url)
      const value = changed.searchParams.get(name) as string
      // This server does not look at the end of the scope, which is the same in every link.
      const at = name === 'X-Amz-Credential' ? value.indexOf('/') - 1 : value.length - 1
      changed.searchParams.set(name, value.slice(0, at) + (value[at] === '0' ? '1' : '0') + value.slice(at + 1))
      t.equal((await fetch(changed)).status, 403, `${name}: ${changed.searchParams.get(name)}`)
      const without = new URL(url)
      without.searchParams.delete(name)
      t.equal((await fetch(without)).status, 403, `without ${name}`)
    }
    t.equal((await fetch(url.replace('/captures/a?', '/captures/b?'))).status, 403, 'another capture')
    t.equal((await fetch(`${url}&response-content-encoding=x`)).status, 403, 'something more')
    t.equal((await fetch(url, { method: 'DELETE' })).status, 403, 'another method')
    const brief = await archive.sign('a', { actor, expiresIn: '1s' })
    await new Promise((resolve) => setTimeout(resolve, Date.parse(brief.expiresAt) - Date.now() + 1_100))
    t.equal((await fetch(brief.url)).status, 403, 'expired')
  })

  await t.test('a store that does not say that it encrypted is refused, and keeps nothing', async (t) => {
    const keys = [keyOf('r')]
    for (const encryption of ['sse-s3', { kms: 'no-such-key' }] as const) {
      const archive = new S3Archive({ client, bucket, prefix: 'refused', keys, encryption })
      const message = encryption === 'sse-s3' ? /does not say that it did/ : /403/
      await t.rejects(archive.put(captureOf(t, 'a')), { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message })
      const names = await namesIn(client, bucket, 'refused/')
      t.strictSame(
        names.filter((name) => !name.startsWith('audit/')),
        [],
      )
    }
    const { Versions } = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: 'refused/captures/' }),
    )
    t.equal(Versions, undefined)
  })

  await t.test('a store that says that it did', async (t) => {
    // This one never says so of AES256; what is said is all that can be looked at.
    const saying = clientOf(t, gateway)
    saying.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args)
        Object.assign(result.output, { ServerSideEncryption: 'AES256' })
        return result
      },
      { step: 'initialize' },
    )
    const options = { client: saying, bucket, prefix: 'said', keys: [keyOf()], encryption: 'sse-s3' } as const
    const archive = new S3Archive(options)
    for (const size of [1_000, 9_000_000]) {
      const { bytes, ...capture } = capturedAs(t, `c${size}`, randomBytes(size))
      await archive.put(capture)
      const { url } = await archive.sign(`c${size}`, { actor })
      t.ok(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes))
    }
  })

  await t.test('the head of a sealed capture vouches for no plain one, nor a digest for other bytes', async (t) => {
    const key = keyOf()
    const options = { client, bucket, prefix: 'forged', keys: [key] }
    const sealed = new S3Archive(options)
    const plain = new S3Archive({ ...options, encryption: { kms: gateway.kmsKey } })
    const a = capturedAs(t, 'a', randomBytes(1_000))
    await sealed.put(a)
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key: 'forged/captures/a' }))
    const bytes = Buffer.from((await Body?.transformToByteArray()) ?? [])
    const head = bytes.subarray(0, 72 + bytes.readUInt32BE(8)).toString('base64')
    const forge = (Key: string, head: string) =>
      client.send(
        new PutObjectCommand({ Bucket: bucket, Key, Body: randomBytes(1_000), Metadata: { 'pcap-ring-head': head } }),
      )
    await forge('forged/captures/a', head)
    await t.rejects(sealed.open('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_CORRUPT' })

    await plain.put(capturedAs(t, 'b', randomBytes(1_000)))
    const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: 'forged/captures/b' }))
    await forge('forged/captures/b', found.Metadata?.['pcap-ring-head'] as string)
    const { error } = await bytesUpToError(await plain.open('b', { actor }))
    t.match(error, { code: 'ERR_PCAP_ARCHIVE_CORRUPT', message: /digest/ })
  })

  await t.test('lifecycle(): rules that the store takes', async (t) => {
    const archive = new S3Archive({ client, bucket, prefix: 'cycle', keys: [keyOf()], retention: '30d' })
    const LifecycleConfiguration = archive.lifecycle()
    t.match(LifecycleConfiguration.Rules, [
      {
        Status: 'Enabled',
        Filter: { And: { Prefix: 'cycle/captures/', Tags: [{ Key: 'pcap-ring-retention-days', Value: '30' }] } },
        Expiration: { Days: 31 },
        // Not sooner: what stands may be no newest version since it was put.
        NoncurrentVersionExpiration: { NoncurrentDays: 31 },
      },
      {
        Filter: { Prefix: 'cycle/captures/' },
        Expiration: { ExpiredObjectDeleteMarker: true },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
      },
    ])
    const own = await bucketOf(client)
    await client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: own, LifecycleConfiguration }))
  })

  await t.test('progress, part by part', async (t) => {
    const told: S3Progress[] = []
    const onProgress = (progress: S3Progress) => void told.push(progress)
    const archive = new S3Archive({ client, bucket, prefix: 'progress', keys: [keyOf()], onProgress })
    await archive.put(capturedAs(t, 'a', randomBytes(20_000_000)))
    t.ok(told.length >= 3)
    for (const [i, { id, bytes, of }] of told.entries()) {
      t.equal(id, 'a')
      t.ok(bytes > (told[i - 1]?.bytes ?? 0) && bytes <= of)
    }
    t.ok((told.at(-1)?.bytes ?? 0) > 20_000_000)
  })

  await t.test('wrong arguments', async (t) => {
    const options = { client, bucket, keys: [keyOf()] }
    const make = (more: object) => () => new S3Archive({ ...options, ...more })
    t.throws(make({ client: {} }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.client/ })
    t.throws(make({ bucket: '' }), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.bucket/ })
    t.throws(make({ prefix: 5 }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.prefix/ })
    t.throws(make({ encryption: 'none' }), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.encryption/ })
    t.throws(make({ encryption: {} }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.encryption\.kms/ })
    t.throws(make({ onProgress: 5 }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.onProgress/ })
    t.throws(make({ keys: [] }), { code: 'ERR_INVALID_ARG_VALUE', message: /options\.keys/ })
    t.doesNotThrow(make({ prefix: '' }))
  })
})
