// What a sweep makes of uploads that were begun long ago: those that somebody is at work on stay.

import { randomBytes } from 'node:crypto'
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { test } from 'tap'

import { S3Archive } from '../../src/archive/s3/index.js'
import { agedClient, bucketOf, clientOf, rgwSkip, startGateway } from '../support/rgw.js'
import { namesIn } from './places.js'
import { bytesOf, capturedAs, keyOf } from './support.js'

test('a sweep while others upload', { skip: rgwSkip }, async (t) => {
  const gateway = await startGateway(t)
  const direct = clientOf(t, gateway)
  const Bucket = await bucketOf(direct)
  const keys = [keyOf()]
  const encryption = { kms: gateway.kmsKey }
  const archiveOf = (client = direct) => new S3Archive({ client, bucket: Bucket, keys, encryption })
  const left = async () => {
    const { Uploads = [] } = await direct.send(new ListMultipartUploadsCommand({ Bucket }))
    const reports = (await namesIn(direct, Bucket)).filter((name) => name.startsWith('reports/'))
    return { uploads: Uploads.map(({ Key }) => Key).sort(), reports }
  }
  // As other processes leave them amid an upload.
  const begin = async (id: string, parts: number) => {
    await direct.send(new PutObjectCommand({ Bucket, Key: `reports/${id}.00`, Body: 'x' }))
    const what = { Bucket, Key: `captures/${id}` }
    const { UploadId } = await direct.send(new CreateMultipartUploadCommand(what))
    for (let PartNumber = 1; PartNumber <= parts; PartNumber++) {
      await direct.send(new UploadPartCommand({ ...what, UploadId, PartNumber, Body: 'x' }))
    }
  }

  await t.test('one with a fresh part stays, and so does its report; one without goes', async (t) => {
    await begin('dead', 0)
    await begin('live', 3)
    await archiveOf().sweep()
    t.match(await left(), { uploads: ['captures/dead', 'captures/live'] }, 'both are young')
    await archiveOf(agedClient(t, gateway, { freshParts: true })).sweep()
    t.strictSame(await left(), { uploads: ['captures/live'], reports: ['reports/live.00'] })
    await archiveOf(agedClient(t, gateway)).sweep()
    t.strictSame(await left(), { uploads: [], reports: [] })
  })

  await t.test("the process's own stay, however old their parts are", async (t) => {
    const sweeper = archiveOf(agedClient(t, gateway))
    const client = clientOf(t, gateway)
    let sweeps = 0
    client.middlewareStack.add(
      (next, context) => async (args) => {
        // All parts are there, and it is not completed yet.
        if (context.commandName === 'CompleteMultipartUploadCommand') {
          await sweeper.sweep()
          sweeps++
        }
        return next(args)
      },
      { step: 'initialize' },
    )
    const capture = capturedAs(t, 'own', randomBytes(9_000_000))
    await archiveOf(client).put(capture)
    t.equal(sweeps, 1)
    t.ok((await bytesOf(await archiveOf().open('own', { actor: 'tester' }))).equals(capture.bytes))
    t.match(await left(), { uploads: [], reports: [/^reports\/own\./] })
  })
})
