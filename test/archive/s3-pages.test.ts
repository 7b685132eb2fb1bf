// More in a bucket than the store lists at once, captures and what others put there.

import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { test } from 'tap'

import { S3Archive } from '../../src/archive/s3/index.js'
import { bucketOf, clientOf, rgwSkip, startGateway } from '../support/rgw.js'
import { allOf, captureOf, keyOf } from './support.js'

// A page of a store has a thousand; by default the client asks for pages of a hundred, which takes a tenth of the time.
const [page, count] = process.env.PCAP_RING_FULL === '1' ? [1_000, 2_100] : [100, 210]

test('page by page', { skip: rgwSkip }, async (t) => {
  const gateway = await startGateway(t)
  const client = clientOf(t, gateway)
  let pages = 0
  client.middlewareStack.add(
    (next, { commandName }) =>
      async (args) => {
        if (commandName === 'ListObjectsV2Command') {
          Object.assign(args.input, { MaxKeys: page })
          pages++
        }
        return next(args)
      },
    { step: 'initialize' },
  )
  const bucket = await bucketOf(client)
  const archive = new S3Archive({ client, bucket, prefix: 'many', keys: [keyOf()] })
  const { file, report } = captureOf(t, 'a', 1)
  const ids = Array.from({ length: count }, (_, i) => `c${i}`)
  const left = [...ids]
  const putting = async () => {
    for (let id = left.pop(); id !== undefined; id = left.pop()) {
      await archive.put({ file, report: { ...report, id } })
    }
  }
  await Promise.all(Array.from({ length: 16 }, putting))
  const listed = (await allOf(archive.list())).map(({ id }) => id)
  t.strictSame(listed.sort(), ids.sort())
  t.ok(pages >= count / page, `${pages} pages`)
  t.match(await archive.audit.verify(), { ok: true, entries: count + 1 })
  const some: string[] = []
  for await (const { id } of archive.list()) if (some.push(id) === 10) break
  t.equal(some.length, 10, 'whoever wants no more may stop')

  await t.test('objects of others among the entries of the trail: more of them than are listed at once', async (t) => {
    const paged = clientOf(t, gateway)
    let pages = 0
    paged.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          if (commandName === 'ListObjectsV2Command') {
            Object.assign(args.input, { MaxKeys: 2 })
            pages++
          }
          return next(args)
        },
      { step: 'initialize' },
    )
    const prefix = 'shared/'
    const keys = [keyOf()]
    const archiveOf = () => new S3Archive({ client: paged, bucket, prefix, keys })
    const entered = archiveOf()
    for (let i = 0; i < 9; i++) await entered.remove('nothing', { actor: 'tester' }).catch(() => {})
    const head = await entered.audit.head()
    const batch = (number: number) => `${prefix}audit/${String(number).padStart(15, '0')}.jsonl`
    const foreign = [3, 4, 10].flatMap((number) => [0, 1, 2, 3, 4].map((i) => `${batch(number)}.${i}`))
    const first = `${prefix}audit/!/000000000000002.jsonl`
    const elsewhere = [first, ...[1, 2, 3, 99].map((number) => batch(number).replace('audit/', 'audit/x/'))]
    for (const Key of [...foreign, ...elsewhere])
      await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: '' }))
    const whole = { ok: true, entries: 10, brokenAt: null }
    t.strictSame(await archiveOf().audit.verify({ since: head }), whole)
    t.equal(await archiveOf().audit.head(), head)
    t.equal((await allOf(archiveOf().audit.entries())).length, 10)
    t.ok(pages > 20, `${pages} pages`)
    await archiveOf()
      .remove('nothing', { actor: 'tester' })
      .catch(() => {})
    t.strictSame(
      await archiveOf().audit.verify({ since: head }),
      { ...whole, entries: 11 },
      'it goes on behind the newest',
    )
    t.strictSame(await entered.audit.verify(), { ...whole, entries: 11 })
    await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: batch(11) }))
    t.strictSame(await entered.audit.verify(), { ok: false, entries: 10, brokenAt: 11 }, 'who has seen it misses it')
  })
})
