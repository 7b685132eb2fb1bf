// A store that does not get done what it is asked for: every wait has an end.

import { randomBytes } from 'node:crypto'
import { ListMultipartUploadsCommand, PutObjectCommand, type ServiceOutputTypes } from '@aws-sdk/client-s3'
import { test } from 'tap'

import { S3Archive } from '../../src/archive/s3/index.js'
import { bucketOf, clientOf, refusal, rgwSkip, startGateway } from '../support/rgw.js'
import { namesIn } from './places.js'
import { capturedAs, captureOf, keyOf } from './support.js'

const unavailable = { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE' }

test('every wait has an end', { skip: rgwSkip }, async (t) => {
  const gateway = await startGateway(t)
  const direct = clientOf(t, gateway)
  const bucket = await bucketOf(direct)
  const client = clientOf(t, gateway)
  const archive = new S3Archive({ client, bucket, keys: [keyOf()] })
  const left = async () => {
    const { Uploads = [] } = await direct.send(new ListMultipartUploadsCommand({ Bucket: bucket }))
    return { objects: await namesIn(direct, bucket, 'captures/'), uploads: Uploads.length }
  }
  type Input = { Key?: string | undefined }
  let answer: (command: string, input: Input) => unknown = () => undefined
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const output = answer(commandName, args.input as Input)
        if (output instanceof Error) throw output
        return output === undefined ? next(args) : { output: output as ServiceOutputTypes, response: undefined }
      },
    { step: 'initialize' },
  )
  const isOf = (input: Input, id: string) => input.Key === `captures/${id}`

  answer = (command, input) =>
    command === 'PutObjectCommand' && input.Key?.startsWith('captures/')
      ? refusal('ConditionalRequestConflict', 409)
      : undefined
  for (const size of [1_000, 9_000_000]) {
    await t.rejects(archive.put(capturedAs(t, 'a', randomBytes(size))), unavailable, `two at once, for ever: ${size}`)
  }
  answer = (command) => {
    if (command === 'CompleteMultipartUploadCommand') return refusal('InternalError', 500)
    return command === 'ListPartsCommand' ? {} : undefined
  }
  await t.rejects(archive.put(capturedAs(t, 'a', randomBytes(9_000_000))), { message: /InternalError/ })
  answer = () => undefined
  await archive.sweep()
  t.strictSame(await left(), { objects: [], uploads: 0 }, 'an upload that would not go')

  const Metadata = { 'pcap-ring-writer': 'another', 'pcap-ring-upload': '2~there.is.none' }
  const Key = 'captures/a'
  await direct.send(new PutObjectCommand({ Bucket: bucket, Key, Body: '', ContentLength: 0, Metadata }))
  const stop = new AbortController()
  const asked = new Promise<void>((resolve) => {
    answer = (command, input) => void (command === 'HeadObjectCommand' && isOf(input, 'a') && resolve())
  })
  const put = archive.put(captureOf(t, 'a'), { signal: stop.signal })
  void asked.then(() => stop.abort(new Error('enough')))
  await t.rejects(put, { message: 'enough' }, 'who waits for a placeholder may be stopped')

  // It is told that it is gone, and it never is; each look at the clock takes half a minute.
  answer = (command, input) => (command === 'DeleteObjectCommand' && isOf(input, 'a') ? {} : undefined)
  const real = performance.now
  let ahead = 0
  performance.now = () => {
    ahead += 30_000
    return real.call(performance) + ahead
  }
  t.teardown(() => {
    performance.now = real
  })
  await t.rejects(archive.put(captureOf(t, 'a')), { ...unavailable, message: /nor goes away/ })
  performance.now = real
})
