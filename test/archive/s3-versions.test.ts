// An archive in a bucket that keeps versions, and locks them.

import { createHash, randomBytes } from 'node:crypto'
import {
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectLockConfigurationCommand,
} from '@aws-sdk/client-s3'
import { test } from 'tap'

import { Bucket } from '../../src/archive/s3/bucket.js'
import { S3Archive } from '../../src/archive/s3/index.js'
import { Objects } from '../../src/archive/s3/objects.js'
import { agedClient, bucketOf, clientOf, refusal, rgwSkip, startGateway } from '../support/rgw.js'
import { allOf, bytesOf, capturedAs, captureOf, keyOf } from './support.js'

const actor = 'tester'
const day = 86_400_000

test('versions and locks', { skip: rgwSkip }, async (t) => {
  const gateway = await startGateway(t)
  const client = clientOf(t, gateway)

  await t.test('object lock, where the bucket has it: nothing goes before its time', async (t) => {
    const locked = await bucketOf(client, { locked: true })
    for (const encryption of ['client', { kms: gateway.kmsKey }] as const) {
      const prefix = typeof encryption === 'string' ? 'client/' : 'kms/'
      const archive = new S3Archive({ client, bucket: locked, prefix, keys: [keyOf()], encryption })
      for (const size of [1_000, 9_000_000]) {
        const id = `c${size}`
        const capture = capturedAs(t, id, randomBytes(size))
        const { retainedUntil } = await archive.put(capture)
        const head = new HeadObjectCommand({ Bucket: locked, Key: `${prefix}captures/${id}` })
        const { ObjectLockRetainUntilDate: until } = await client.send(head)
        t.equal(until?.getTime(), Date.parse(retainedUntil), `${prefix}${id}`)
        const refused = { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message: /locked .* until/ }
        await t.rejects(archive.remove(id, { actor }), refused)
        await t.rejects(archive.sweep(new Date(Date.now() + 8 * day)), refused)
        t.ok((await bytesOf(await archive.open(id, { actor }))).equals(capture.bytes))
      }
      const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: locked, Prefix: prefix }))
      for (const { Key, VersionId } of Versions) {
        const one = await client.send(new HeadObjectCommand({ Bucket: locked, Key, VersionId }))
        t.ok(one.ObjectLockRetainUntilDate, `${Key} is locked; no placeholder stays`)
      }
      t.match(await archive.audit.verify(), { ok: true })
    }
  })

  await t.test('whoever may not ask whether the bucket has it puts nothing', async (t) => {
    const locked = await bucketOf(client, { locked: true })
    const options = { bucket: locked, keys: [keyOf()] }
    for (const [name, status] of [
      ['AccessDenied', 403],
      ['InternalError', 500],
    ] as const) {
      const failing = clientOf(t, gateway)
      failing.middlewareStack.add(
        (next, { commandName }) =>
          async (args) => {
            if (commandName === 'GetObjectLockConfigurationCommand') throw refusal(name, status)
            return next(args)
          },
        { step: 'initialize' },
      )
      const message = status === 403 ? /allow s3:GetBucketObjectLockConfiguration/ : /InternalError/
      const put = new S3Archive({ ...options, client: failing }).put(captureOf(t, 'a'))
      await t.rejects(put, { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message })
    }
    const { Versions } = await client.send(new ListObjectVersionsCommand({ Bucket: locked }))
    t.equal(Versions, undefined, 'nor an entry')
  })

  await t.test('a report that cannot be locked: its capture is not stored, and nothing of either stays', async (t) => {
    const locked = await bucketOf(client, { locked: true })
    const failing = clientOf(t, gateway)
    let refusals = 0
    failing.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          if (commandName !== 'PutObjectRetentionCommand' || ++refusals > 1) return next(args)
          throw refusal('AccessDenied', 403)
        },
      { step: 'initialize' },
    )
    const encryption = { kms: gateway.kmsKey }
    const archive = new S3Archive({ client: failing, bucket: locked, keys: [keyOf()], encryption })
    const put = () => archive.put(captureOf(t, 'a'))
    const versions = async () => {
      const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket: locked }))
      return Versions.filter(({ Key }) => !Key?.startsWith('audit/'))
    }
    await t.rejects(put(), { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message: /AccessDenied/ })
    t.strictSame(await versions(), [])
    await put()
    t.equal((await versions()).length, 2)
    for (const { Key, VersionId } of await versions()) {
      const one = await client.send(new HeadObjectCommand({ Bucket: locked, Key, VersionId }))
      t.ok(one.ObjectLockRetainUntilDate, `${Key} is locked`)
    }
  })

  await t.test('the report of a capture that failed, locked: a sweep leaves it until its lock is over', async (t) => {
    const locked = await bucketOf(client, { locked: true })
    const Key = 'reports/a.00'
    const lock = { ObjectLockMode: 'GOVERNANCE', ChecksumAlgorithm: 'CRC32' } as const
    const until = new Date(Date.now() + 5_000)
    const put = new PutObjectCommand({ Bucket: locked, Key, Body: 'x', ...lock, ObjectLockRetainUntilDate: until })
    await client.send(put)
    const archive = new S3Archive({ client: agedClient(t, gateway), bucket: locked, keys: [keyOf()] })
    await archive.sweep()
    t.ok(await client.send(new HeadObjectCommand({ Bucket: locked, Key })), 'it stays')
    await new Promise((resolve) => setTimeout(resolve, until.getTime() + 1_000 - Date.now()))
    await archive.sweep()
    await t.rejects(client.send(new HeadObjectCommand({ Bucket: locked, Key })), { name: 'NotFound' })
  })

  await t.test('a bucket that locks by default locks placeholders, too: they do not stand', async (t) => {
    const name = await bucketOf(client, { locked: true })
    const DefaultRetention = { Mode: 'COMPLIANCE', Days: 1 } as const
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention } } as const
    await client.send(new PutObjectLockConfigurationCommand({ Bucket: name, ObjectLockConfiguration }))
    const archive = new S3Archive({ client, bucket: name, keys: [keyOf()] })
    const capture = capturedAs(t, 'a', randomBytes(9_000_000))
    const stored = await archive.put(capture)
    t.strictSame(await archive.put(capture), stored)
    await t.rejects(archive.put(captureOf(t, 'a')), { code: 'ERR_PCAP_FILE_EXISTS' })
    t.ok((await bytesOf(await archive.open('a', { actor }))).equals(capture.bytes))
    t.strictSame(await allOf(archive.list()), [stored])
    const found = await client.send(new HeadObjectCommand({ Bucket: name, Key: 'captures/a' }))
    t.equal(found.ObjectLockMode, 'COMPLIANCE', "the bucket's own mode")
    t.equal(found.ObjectLockRetainUntilDate?.getTime(), Date.parse(stored.retainedUntil))
  })

  await t.test('a placeholder that its writer died over and such a rule keeps is no obstacle', async (t) => {
    const Bucket = await bucketOf(client, { locked: true })
    const DefaultRetention = { Mode: 'COMPLIANCE', Days: 1 } as const
    const ObjectLockConfiguration = { ObjectLockEnabled: 'Enabled', Rule: { DefaultRetention } } as const
    await client.send(new PutObjectLockConfigurationCommand({ Bucket, ObjectLockConfiguration }))
    const options = { bucket: Bucket, keys: [keyOf()] }
    const archive = new S3Archive({ ...options, client })
    const leave = async (id: string) => {
      const what = { Bucket, Key: `captures/${id}` }
      const { UploadId = '' } = await client.send(new CreateMultipartUploadCommand(what))
      const Metadata = { 'pcap-ring-writer': 'another', 'pcap-ring-upload': UploadId }
      await client.send(new PutObjectCommand({ ...what, Body: '', ContentLength: 0, Metadata }))
    }
    for (const size of [1_000, 9_000_000]) {
      const id = `c${size}`
      await leave(id)
      await new S3Archive({ ...options, client: agedClient(t, gateway) }).sweep()
      const head = new HeadObjectCommand({ Bucket, Key: `captures/${id}` })
      await t.rejects(client.send(head), { name: 'NotFound' }, 'nothing has the name')
      const capture = capturedAs(t, id, randomBytes(size))
      const stored = await archive.put(capture)
      t.ok((await bytesOf(await archive.open(id, { actor }))).equals(capture.bytes))
      t.strictSame(await archive.put(capture), stored)
    }
    t.equal((await allOf(archive.list())).length, 2)

    // This store takes a capture in the very moment before the marker, whatever the condition says.
    await leave('late')
    const late = captureOf(t, 'late')
    const sweeping = agedClient(t, gateway)
    let markers = 0
    sweeping.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          const { VersionId } = args.input as { VersionId?: string }
          if (commandName === 'DeleteObjectCommand' && VersionId === undefined && ++markers) await archive.put(late)
          return next(args)
        },
      { step: 'initialize' },
    )
    await new S3Archive({ ...options, client: sweeping }).sweep()
    t.equal(markers, 1)
    t.ok((await bytesOf(await archive.open('late', { actor }))).equals(late.bytes))
  })

  await t.test('in a bucket with versions the first one stands, whoever puts another', async (t) => {
    const Bucket = await bucketOf(client)
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
    const versions = async (Prefix: string) =>
      (await client.send(new ListObjectVersionsCommand({ Bucket, Prefix }))).Versions?.length ?? 0
    const keys = [keyOf()]
    for (const encryption of ['client', { kms: gateway.kmsKey }] as const) {
      const prefix = typeof encryption === 'string' ? 'client/' : 'kms/'
      const archive = () => new S3Archive({ client, bucket: Bucket, prefix, keys, encryption })
      for (const size of [1_000, 9_000_000]) {
        const id = `c${size}`
        const Key = `${prefix}captures/${id}`
        const race = await Promise.allSettled(
          [1, 2, 3].map((fill) => archive().put(capturedAs(t, id, Buffer.alloc(size, fill)))),
        )
        const [stored] = race.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
        for (const one of race) if (one.status === 'rejected') t.match(one.reason, { code: 'ERR_PCAP_FILE_EXISTS' })
        t.equal(race.filter(({ status }) => status === 'fulfilled').length, 1, `${Key}: one of three`)
        t.equal(await versions(Key), 1, 'the others are gone')
        // More than are listed at once.
        for (let i = 0; i < 12; i++) await client.send(new PutObjectCommand({ Bucket, Key, Body: 'another' }))
        await client.send(new PutObjectCommand({ Bucket, Key, Body: '', ContentLength: 0 }))
        const bytes = await bytesOf(await archive().open(id, { actor }))
        t.equal(createHash('sha256').update(bytes).digest('hex'), stored?.sha256)
        t.strictSame(
          (await allOf(archive().list())).find((one) => one.id === id),
          stored,
        )
        // Hidden by a marker it is gone, and may be stored anew.
        await client.send(new DeleteObjectCommand({ Bucket, Key }))
        await t.rejects(archive().open(id, { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
        const anew = capturedAs(t, id, randomBytes(size))
        await archive().put(anew)
        t.ok((await bytesOf(await archive().open(id, { actor }))).equals(anew.bytes))
        await archive().remove(id, { actor })
        await t.rejects(archive().open(id, { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
      }
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: `${prefix}audit/` }))
      for (const { Key } of Contents) await client.send(new PutObjectCommand({ Bucket, Key, Body: 'edited' }))
      const { ok, entries } = await archive().audit.verify()
      t.ok(ok && entries > 20, `${entries} entries`)
    }
  })

  await t.test('whoever may not list versions puts nothing into a bucket that has them', async (t) => {
    const name = await bucketOf(client)
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await client.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration }))
    const failing = clientOf(t, gateway)
    /** Entries are put all the same where it begins so. */
    let unless = 'none'
    failing.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          const { Prefix = '' } = args.input as { Prefix?: string }
          if (commandName !== 'ListObjectVersionsCommand' || Prefix.startsWith(unless)) return next(args)
          throw refusal('AccessDenied', 403)
        },
      { step: 'initialize' },
    )
    const options = { bucket: name, keys: [keyOf()] }
    const archive = new S3Archive({ ...options, client: failing })
    const message = /allow s3:ListBucketVersions/
    const refused = { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message }
    const versions = async () => (await client.send(new ListObjectVersionsCommand({ Bucket: name }))).Versions ?? []
    await t.rejects(archive.put(captureOf(t, 'a')), refused)
    t.strictSame(await versions(), [], 'not even an entry')
    unless = 'audit/'
    for (const size of [1_000, 9_000_000]) {
      await t.rejects(archive.put(capturedAs(t, `c${size}`, randomBytes(size))), refused)
      t.notOk(
        (await versions()).some(({ Key }) => Key?.startsWith('captures/')),
        `nothing of ${size} bytes`,
      )
    }
    const stored = await new S3Archive({ ...options, client }).put(captureOf(t, 'a'))
    unless = 'none'
    t.strictSame(await allOf(archive.list()), [stored], 'what asks only sees the newest')
    t.match(await archive.audit.verify(), { ok: true })
  })

  await t.test('in a bucket with versions a sweep takes nothing that was put anew', async (t) => {
    const name = await bucketOf(client)
    const VersioningConfiguration = { Status: 'Enabled' } as const
    await client.send(new PutBucketVersioningCommand({ Bucket: name, VersioningConfiguration }))
    const options = { bucket: name, keys: [keyOf()], retention: '1d' } as const
    const capture = captureOf(t, 'a')
    const real = Date.now
    t.teardown(() => {
      Date.now = real
    })
    for (let round = 0; round < 5; round++) {
      const ahead = 2 * round * day
      Date.now = () => real() + ahead
      // Requests have the store's time.
      const client = () => clientOf(t, gateway, { systemClockOffset: -ahead })
      const archives = [1, 2, 3, 4].map(() => new S3Archive({ ...options, client: client() }))
      const [a, b, c, d] = archives as [S3Archive, S3Archive, S3Archive, S3Archive]
      const [, , stored] = await Promise.all([a.sweep(), b.sweep(), c.put(capture), d.put(capture), c.sweep()])
      t.strictSame(await allOf(a.list()), [stored])
    }
    Date.now = real
    t.match(await new S3Archive({ ...options, client }).audit.verify(), { ok: true })

    // In the very moment between looking and removing.
    const objects = new Objects(new Bucket(client, name), {})
    const put = () => client.send(new PutObjectCommand({ Bucket: name, Key: 'x', Body: 'x' }))
    await put()
    const old = await objects.head('x')
    await objects.remove('x')
    const { VersionId } = await put()
    t.notOk(await objects.remove('x', old))
    t.equal((await objects.head('x'))?.VersionId, VersionId)
    t.ok(await objects.remove('x'))
    t.equal(await objects.head('x'), null)
  })
})
