// The host's keys and the store's credentials stand nowhere: not in what is kept, not in what is said.

import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, type S3ClientConfig } from '@aws-sdk/client-s3'
import { test } from 'tap'

import { S3Archive, type S3ArchiveOptions } from '../../src/archive/s3/index.js'
import { holdsSecret, watchFor } from '../support/canary.js'
import { udpPackets } from '../support/generate.js'
import { recordingOf, replay, ringOf } from '../support/replay.js'
import { bucketOf, clientOf, rgwSkip, startGateway } from '../support/rgw.js'
import { allOf, bytesOf, capturedAs, captureOf, keyOf, scratch } from './support.js'

const actor = 'tester'

test('neither a key nor the credentials', { skip: rgwSkip }, async (t) => {
  const gateway = await startGateway(t)
  const bucket = await bucketOf(clientOf(t, gateway))
  const key = keyOf()
  // What fails has credentials of its own to tell of.
  const text = () => randomBytes(30).toString('base64')
  const wrong = { accessKeyId: gateway.credentials.accessKeyId, secretAccessKey: text(), sessionToken: text() }
  const texts = [gateway.credentials.secretAccessKey, wrong.secretAccessKey, wrong.sessionToken]
  for (const secret of texts) watchFor(secret)
  const archiveOf = (options: Partial<S3ArchiveOptions> = {}, client: S3ClientConfig = {}) =>
    new S3Archive({
      client: clientOf(t, gateway, client),
      bucket,
      keys: [key],
      baseUrl: 'http://localhost/c',
      ...options,
    })
  const said: unknown[] = []
  const say = (...all: unknown[]) => void said.push(...all)
  const failing = async (act: () => unknown) =>
    say(
      await Promise.resolve()
        .then(act)
        .then(
          () => t.fail('it is to fail'),
          (error) => error,
        ),
    )
  process.on('warning', say)
  t.teardown(() => process.off('warning', say))
  for (const name of ['log', 'info', 'warn', 'error', 'debug'] as const) t.capture(console, name, say)

  for (const encryption of ['client', { kms: gateway.kmsKey }] as const) {
    const archive = archiveOf({ encryption, prefix: typeof encryption === 'string' ? 'client' : 'kms' })
    say(archive, archive.audit, archive.handler(), archive.lifecycle())
    say(await archive.put(captureOf(t, 'a')), await archive.sign('a', { actor }))
    await archive.put(capturedAs(t, 'large', randomBytes(9_000_000)))
    say(await archive.audit.verify(), await allOf(archive.audit.entries()), await allOf(archive.list()))
    say(await bytesOf(await archive.open('a', { actor })))
    await failing(() => archive.put(captureOf(t, 'a', 30)))
    await failing(() => archive.open('b', { actor }))
    await failing(() => archive.put(captureOf(t, 'c'), { signal: AbortSignal.abort() }))
  }
  const throwing = () => Promise.reject(new Error(`no token for ${wrong.secretAccessKey} ${wrong.sessionToken}`))
  const unfit = [
    archiveOf({}, { credentials: wrong }),
    archiveOf({}, { credentials: { ...wrong, accessKeyId: 'nobody' } }),
    archiveOf({}, { credentials: throwing }),
    archiveOf({}, { credentials: wrong, endpoint: 'http://127.0.0.1:1' }),
    archiveOf({ bucket: 'there-is-none' }),
    archiveOf({ prefix: 'client', keys: [keyOf()] }),
    archiveOf({ prefix: 'refused', encryption: 'sse-s3' }),
  ]
  for (const archive of unfit) {
    say(archive)
    await failing(() => archive.put(captureOf(t, 'a')))
    await failing(() => archive.sign('a', { actor }))
  }
  // As one does who mistakes one for the other.
  for (const options of [{ client: wrong }, { bucket: wrong }, { prefix: wrong }, { encryption: wrong }]) {
    await failing(() => archiveOf(options as never))
  }

  // A ring that delivers, and one that cannot.
  const dir = scratch(t)
  const file = recordingOf(udpPackets({ pps: 1_000, count: 600 }))
  const ring = ringOf(t, { file, directory: join(dir, 'able'), archive: archiveOf({ prefix: 'ring' }) })
  say((await replay(ring)).warnings)
  const archived = new Promise((resolve) => ring.once('archive', (...all) => resolve(all)))
  await ring.freeze({ id: 'i' }).resolve()
  say(await archived, ring)
  const unable = ringOf(t, { file, directory: join(dir, 'unable'), archive: unfit[0] })
  const told = new Promise((resolve) => unable.once('warning', resolve))
  await replay(unable)
  await unable.freeze({ id: 'k' }).resolve()
  const warning = await told
  t.match(warning, { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE' })
  say(warning, unable)

  const client = clientOf(t, gateway)
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }))
  t.ok(Contents.length > 10)
  for (const { Key } of Contents) {
    const { Body } = await client.send(new GetObjectCommand({ Bucket: bucket, Key }))
    say(Buffer.from((await Body?.transformToByteArray()) ?? []).toString('latin1'))
    const { Metadata, ContentType } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key }))
    say(`${Key} ${ContentType} ${JSON.stringify(Metadata)}`)
  }
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  t.ok(files.length >= 4)
  for (const entry of files) say(readFileSync(join(entry.parentPath, entry.name), 'latin1'))

  for (const secret of [key.secret, ...texts]) t.ok(holdsSecret({ deep: [{ secret }] }), 'it would be found')
  for (const [i, one] of said.entries()) t.notOk(holdsSecret(one), `what was said, ${i}`)
})
