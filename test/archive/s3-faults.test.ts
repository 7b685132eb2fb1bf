// An archive in a bucket, when the store or the way to it fails: nothing half stays, nothing half is read, and the code says so.

import { randomBytes } from 'node:crypto'
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client,
  type S3ClientConfig,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { type Test, test } from 'tap'

import { S3Archive, type S3ArchiveOptions } from '../../src/archive/s3/index.js'
import { Host } from '../support/host.js'
import { Line } from '../support/line.js'
import { bucketOf, clientOf, refusal, rgwSkip, startOwnGateway } from '../support/rgw.js'
import { namesIn } from './places.js'
import { allOf, bytesOf, bytesUpToError, capturedAs, captureOf, keyOf } from './support.js'

const key = keyOf()

const actor = 'tester'
const unavailable = { name: 'PcapRingError', code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE' }
/** In several parts. */
const large = 20_000_000

/** Of the bucket: what is there beside trails, and what was begun. */
async function left(client: S3Client, bucket: string): Promise<{ objects: string[]; uploads: number }> {
  const names = await namesIn(client, bucket)
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
  return { objects: names.filter((name) => !name.includes('audit/')), uploads: Uploads.length }
}

test('faults', { skip: rgwSkip }, async (t) => {
  const gateway = await startOwnGateway(t)
  const direct = clientOf(t, gateway)

  /** A bucket of its own, and an archive at the other end of a line. */
  async function overLine(t: Test, client: S3ClientConfig = {}, options: Partial<S3ArchiveOptions> = {}) {
    const bucket = await bucketOf(direct)
    const line = await Line.to(t, gateway.endpoint)
    const archive = new S3Archive({
      client: clientOf(t, gateway, { endpoint: line.endpoint, ...client }),
      bucket,
      keys: [key],
      ...options,
    })
    return { bucket, line, archive }
  }

  await t.test('the connection is cut amid a part, once: the part is sent again', async (t) => {
    const { bucket, line, archive } = await overLine(t)
    const capture = capturedAs(t, 'a', randomBytes(large))
    line.cut('up', 12_000_000, { forGood: false })
    await archive.put(capture)
    t.equal(line.cuts, 1)
    t.ok((await bytesOf(await archive.open('a', { actor }))).equals(capture.bytes))
    t.strictSame(await left(direct, bucket), { objects: ['captures/a'], uploads: 0 })
  })

  for (const encryption of ['client', { kms: gateway.kmsKey }] as const) {
    const name = typeof encryption === 'string' ? encryption : 'kms'
    await t.test(`it stays cut (${name}): no object; and no upload once the store is there again`, async (t) => {
      const { bucket, line, archive } = await overLine(t, {}, { encryption })
      const capture = capturedAs(t, 'a', randomBytes(large))
      line.cut('up', 12_000_000, { forGood: true })
      await t.rejects(archive.put(capture), { ...unavailable, message: new RegExp(bucket) })
      const { objects, uploads } = await left(direct, bucket)
      t.strictSame(
        objects.filter((key) => key.startsWith('captures/')),
        [],
        'no object',
      )
      t.equal(uploads, 1, 'nobody could tell the store to drop what it has')
      await t.rejects(archive.put(capture), unavailable, 'it is away still')
      line.mend()
      await archive.put(captureOf(t, 'b'))
      t.equal((await left(direct, bucket)).uploads, 0, 'the next put does')
      await archive.put(capture)
      t.ok((await bytesOf(await archive.open('a', { actor }))).equals(capture.bytes))
      t.match(await archive.audit.verify(), { ok: true })
    })
  }

  await t.test(
    'there is no such key, says a gateway of what is being completed: it is asked again, and believed at last',
    async (t) => {
      const bucket = await bucketOf(direct)
      const client = clientOf(t, gateway)
      let refusals = 0
      let completions = 0
      client.middlewareStack.add(
        (next, { commandName }) =>
          async (args) => {
            if (commandName !== 'CompleteMultipartUploadCommand') return next(args)
            completions++
            if (refusals-- > 0) throw refusal('NoSuchKey', 404)
            return next(args)
          },
        { step: 'initialize' },
      )
      const archive = new S3Archive({ client, bucket, keys: [key] })
      const capture = capturedAs(t, 'a', randomBytes(large))
      refusals = 2
      await archive.put(capture)
      t.equal(completions, 3)
      t.ok((await bytesOf(await archive.open('a', { actor }))).equals(capture.bytes))

      refusals = Infinity
      completions = 0
      await t.rejects(archive.put(capturedAs(t, 'b', randomBytes(large))), { ...unavailable, message: /NoSuchKey/ })
      t.equal(completions, 5)
      t.strictSame(await left(direct, bucket), { objects: ['captures/a'], uploads: 0 })
      const deeds = (await allOf(archive.audit.entries())).filter(({ capture }) => capture === 'b')
      t.equal(deeds.at(-1)?.outcome, 'failed')
    },
  )

  await t.test('an answer is lost: what was done is not taken for failed, nor done twice', async (t) => {
    const { bucket, line, archive } = await overLine(t)
    await archive.put(captureOf(t, 'first'))
    for (const [id, size, request] of [
      ['small', 1_000, /^PUT \S+\/captures\/small/],
      ['large', large, /^POST \S+\/captures\/large\?uploadId=/],
      ['placeheld', large, /^PUT \S+\/captures\/placeheld(\?x-id=PutObject)? /],
      ['entered', 1_000, /^PUT \S+\/audit\//],
    ] as const) {
      const capture = capturedAs(t, id, randomBytes(size))
      const cuts = line.cuts
      line.loseAnswer(request)
      await archive.put(capture)
      t.equal(line.cuts, cuts + 1, id)
      t.ok((await bytesOf(await archive.open(id, { actor }))).equals(capture.bytes))
    }
    const { objects, uploads } = await left(direct, bucket)
    t.equal(objects.length, 5)
    t.equal(uploads, 0)
    const deeds = (await allOf(archive.audit.entries())).map(({ action, outcome }) => `${action} ${outcome}`)
    t.strictSame(deeds, ['key ok', 'put ok', ...Array.from({ length: 4 }, () => ['put ok', 'download ok']).flat()])
    t.match(await archive.audit.verify(), { ok: true })
  })

  await t.test('stopped by its signal amid an upload: nothing stays', async (t) => {
    const stop = new AbortController()
    const { bucket, archive } = await overLine(t, {}, { onProgress: () => stop.abort(new Error('enough')) })
    const put = archive.put(capturedAs(t, 'a', randomBytes(large)), { signal: stop.signal })
    await t.rejects(put, { message: 'enough' })
    t.strictSame(await left(direct, bucket), { objects: [], uploads: 0 })
  })

  await t.test('cut amid a download: it goes on where it was, or ends in the error', async (t) => {
    const { line, archive } = await overLine(t)
    const { file, report, bytes } = capturedAs(t, 'a', randomBytes(large))
    await archive.put({ file, report })
    line.cut('down', 9_000_000, { forGood: false })
    t.ok((await bytesOf(await archive.open('a', { actor }))).equals(bytes))
    t.equal(line.cuts, 1)
    line.cut('down', 9_000_000, { forGood: true })
    const read = await bytesUpToError(await archive.open('a', { actor }))
    t.match(read.error, unavailable)
    t.ok(read.bytes.length > 0 && bytes.subarray(0, read.bytes.length).equals(read.bytes), 'what came is right')
  })

  for (const encryption of ['client', { kms: gateway.kmsKey }] as const) {
    const name = typeof encryption === 'string' ? encryption : 'kms'
    await t.test(
      `a process is killed amid an upload (${name}): a sweep an hour later drops what is left`,
      async (t) => {
        const { bucket, archive } = await overLine(t, {}, { encryption })
        const { file, report } = capturedAs(t, 'a', randomBytes(large))
        const host = await Host.start(t)
        const { endpoint, credentials } = gateway
        const { secret } = key
        const job = { endpoint, credentials, bucket, encryption, secret, file, report: report as unknown }
        const died = host.call<unknown, void, typeof job>(
          async ({ require }, { endpoint, credentials, secret, file, report, ...options }) => {
            const root = process.env.PCAP_RING_ROOT
            const { S3Client } = require(`${root}/node_modules/@aws-sdk/client-s3`)
            const { S3Archive } = require(`${root}/lib/archive/s3/index.js`)
            const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
            // It may have entered what it was about to store.
            const keys = [{ id: 'k1', secret: Uint8Array.from(secret) }]
            const onProgress = () => process.kill(process.pid, 'SIGKILL')
            await new S3Archive({ client, keys, onProgress, ...options }).put({ file, report })
          },
          job,
        )
        await t.rejects(died)
        t.match(await host.ended, { signal: 'SIGKILL' })
        const orphans = name === 'kms' ? [/^reports\/a\./] : []
        t.match(await left(direct, bucket), { objects: orphans, uploads: 1 })
        await archive.sweep()
        t.match(await left(direct, bucket), { objects: orphans, uploads: 1 }, 'it might still be at work')
        await hoursLater(2, () => archive.sweep())
        t.strictSame(await left(direct, bucket), { objects: [], uploads: 0 })
      },
    )
  }

  await t.test('an empty object holds the name of an upload that is being completed', async (t) => {
    const { bucket, archive } = await overLine(t, {}, { prefix: 'one' })
    const { archive: other } = await overLine(t, {}, { bucket, prefix: 'two' })
    const capture = capturedAs(t, 'a', randomBytes(large))
    const stored = await archive.put(capture)
    const { Body } = await direct.send(new GetObjectCommand({ Bucket: bucket, Key: 'one/captures/a' }))
    const sealed = (await Body?.transformToByteArray()) ?? new Uint8Array()
    const begin = async (Key: string) => {
      const what = { Bucket: bucket, Key }
      const { UploadId } = await direct.send(new CreateMultipartUploadCommand(what))
      const part = { ...what, UploadId, PartNumber: 1 }
      const { ETag } = await direct.send(new UploadPartCommand({ ...part, Body: sealed }))
      const Metadata = { 'pcap-ring-writer': 'another', 'pcap-ring-upload': UploadId as string }
      await direct.send(new PutObjectCommand({ ...what, Body: '', ContentLength: 0, Metadata }))
      const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] }
      return { complete: () => direct.send(new CompleteMultipartUploadCommand({ ...what, UploadId, MultipartUpload })) }
    }
    const { complete } = await begin('two/captures/a')
    t.strictSame(await allOf(other.list()), [], 'it is no capture')
    await t.rejects(other.open('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
    let waits = true
    const put = other.put(capture).finally(() => {
      waits = false
    })
    // More than a put takes.
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    t.ok(waits, 'whoever finds it waits')
    await complete()
    t.match(await put, { sha256: stored.sha256, storedAt: stored.storedAt }, 'and then has what the other one stored')

    const { complete: tooLate } = await begin('two/captures/b')
    await hoursLater(2, () => other.sweep())
    t.strictSame((await left(direct, bucket)).objects, ['one/captures/a', 'two/captures/a'], 'its writer died')
    await t.rejects(tooLate())
    t.strictSame(await left(direct, bucket), { objects: ['one/captures/a', 'two/captures/a'], uploads: 0 })
  })

  await t.test('wrong credentials, no such bucket, no server: every call says so, and nothing is left', async (t) => {
    const { bucket } = await overLine(t)
    const { credentials } = gateway
    const at = (client: S3ClientConfig, options: Partial<S3ArchiveOptions> = {}) =>
      new S3Archive({
        client: clientOf(t, gateway, client),
        bucket,
        keys: [keyOf()],
        baseUrl: 'http://x/c',
        ...options,
      })
    const wrong = {
      'a wrong secret': [at({ credentials: { ...credentials, secretAccessKey: 'wrong' } }), /SignatureDoesNotMatch/],
      'an unknown key': [at({ credentials: { ...credentials, accessKeyId: 'nobody' } }), /InvalidAccessKeyId/],
      'none at all': [at({ credentials: () => Promise.reject(new Error('none')) }), /./],
      'no bucket': [at({}, { bucket: 'there-is-none' }), /NoSuchBucket/],
      'no server': [at({ endpoint: 'http://127.0.0.1:1' }), /ECONNREFUSED/],
    } as const
    for (const [name, [archive, said]] of Object.entries(wrong)) {
      const calls: Record<string, () => Promise<unknown>> = {
        put: () => archive.put(captureOf(t, 'a')),
        'put of a large one': () => archive.put(capturedAs(t, 'a', randomBytes(large))),
        list: () => allOf(archive.list()),
        open: () => archive.open('a', { actor }),
        sign: () => archive.sign('a', { actor }),
        remove: () => archive.remove('a', { actor }),
        sweep: () => archive.sweep(),
        copyTo: () => archive.copyTo('a', archive, { actor }),
        entries: () => allOf(archive.audit.entries()),
        head: () => archive.audit.head(),
        verify: () => archive.audit.verify(),
      }
      for (const [call, act] of Object.entries(calls)) {
        await t.rejects(act(), { ...unavailable, message: said }, `${name}: ${call}`)
      }
    }
    t.strictSame(await namesIn(direct, bucket), [])
    t.equal((await left(direct, bucket)).uploads, 0)
  })

  // The last one: for half a minute the new gateway tells the killed one of each new bucket.
  await t.test('the server is stopped amid an upload and started again', async (t) => {
    const pauses: Promise<void>[] = []
    const onProgress = () => {
      if (pauses.length === 0) pauses.push(gateway.pause())
    }
    const bucket = await bucketOf(direct)
    const options = { bucket, keys: [key], onProgress }
    const capture = capturedAs(t, 'a', randomBytes(large))
    const archive = new S3Archive({ ...options, client: clientOf(t, gateway) })
    await t.rejects(archive.put(capture), { ...unavailable, errno: Number, syscall: 'connect' })
    await pauses[0]
    await t.rejects(archive.open('a', { actor }), unavailable)
    await t.rejects(allOf(archive.list()), unavailable)
    await gateway.resume()
    t.strictSame((await left(direct, bucket)).objects, [])
    await archive.put(capture)
    t.strictSame(await left(direct, bucket), { objects: ['captures/a'], uploads: 0 })

    // A client that is told to be patient carries the upload over.
    pauses.length = 0
    const patient = new S3Archive({ ...options, client: clientOf(t, gateway, { maxAttempts: 12 }) })
    const other = capturedAs(t, 'b', randomBytes(large))
    const put = patient.put(other)
    while (pauses.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await pauses[0]
    await gateway.resume()
    await put
    t.ok((await bytesOf(await patient.open('b', { actor }))).equals(other.bytes))
    t.strictSame(await left(direct, bucket), { objects: ['captures/a', 'captures/b'], uploads: 0 })
    t.match(await patient.audit.verify(), { ok: true })
  })
})

/** By the clock that uploads are judged by. The SDK takes it from the store's answers, once for each client. */
async function hoursLater<T>(hours: number, act: () => Promise<T>): Promise<T> {
  const real = Date.now
  Date.now = () => real() + hours * 3_600_000
  try {
    return await act()
  } finally {
    Date.now = real
  }
}
