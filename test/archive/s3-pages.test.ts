// More captures in a bucket than the store lists at once.

import { test } from 'tap'

import { S3Archive } from '../../src/archive/s3/index.js'
import { bucketOf, clientOf, rgwSkip, startGateway } from '../support/rgw.js'
import { allOf, captureOf, keyOf } from './support.js'

const full = process.env.PCAP_RING_FULL === '1'

test('page by page', { skip: rgwSkip }, async (t) => {
  const client = clientOf(t, await startGateway(t))
  const bucket = await bucketOf(client)
  const count = full ? 2_100 : 1_010
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
  t.match(await archive.audit.verify(), { ok: true, entries: count + 1 })
  const some: string[] = []
  for await (const { id } of archive.list()) if (some.push(id) === 10) break
  t.equal(some.length, 10, 'whoever wants no more may stop')
})
