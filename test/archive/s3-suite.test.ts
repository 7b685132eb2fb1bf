// An archive in a bucket: what holds of every archive.

import { randomBytes } from 'node:crypto'
import { test } from 'tap'

import { bucketOf, clientOf, rgwSkip, startGateway } from '../support/rgw.js'
import { localBackend, s3Backend } from './places.js'
import { archiveSuite } from './suite.js'
import { bytesOf, capturedAs } from './support.js'

const actor = 'tester'

test('an archive in a bucket', { skip: rgwSkip }, async (t) => {
  const gateway = await startGateway(t)
  const backend = s3Backend(gateway, await bucketOf(clientOf(t, gateway)))

  await t.test('the suite', async (t) => archiveSuite(t, backend))

  await t.test('from a directory into a bucket and back: the same digest', async (t) => {
    const local = (await localBackend.place(t)).archive()
    const s3 = (await backend.place(t)).archive()
    const back = (await localBackend.place(t)).archive()
    const { file, report, bytes } = capturedAs(t, 'a', randomBytes(12_000_000))
    const { sha256 } = await local.put({ file, report })
    t.equal((await local.copyTo('a', s3, { actor })).sha256, sha256)
    t.equal((await s3.copyTo('a', back, { actor })).sha256, sha256)
    t.ok((await bytesOf(await back.open('a', { actor }))).equals(bytes))
  })
})
