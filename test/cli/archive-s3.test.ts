// `pcap-ring archive …` on a bucket: credentials come from where the SDK looks for them.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { captureOf } from '../archive/support.js'
import { type Ended, runCommand } from '../support/host.js'
import { installedCopy } from '../support/installed.js'
import { scratch } from '../support/replay.js'
import { bucketOf, clientOf, rgwSkip, startGateway } from '../support/rgw.js'

test('into a bucket, about in it, and back', { skip: rgwSkip }, async (t) => {
  const gateway = await startGateway(t)
  const bucket = await bucketOf(clientOf(t, gateway))
  const dir = scratch(t)
  const secret = Buffer.alloc(32, 5)
  const PCAP_RING_ARCHIVE_KEYS = `k1:${secret.toString('base64')}`
  const { accessKeyId, secretAccessKey } = gateway.credentials
  const store = {
    AWS_ENDPOINT_URL_S3: gateway.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    // Nothing of the machine's own.
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  }
  const cli = (env: NodeJS.ProcessEnv, ...argv: string[]): Promise<Ended> =>
    runCommand(t, { env: { ...store, PCAP_RING_ARCHIVE_KEYS, ...env } }, ...argv).ended
  const place = `s3://${bucket}/node-1`
  const local = join(dir, 'archive')
  const capture = captureOf(t, 'a')
  await new LocalArchive({ directory: local, keys: [{ id: 'k1', secret }] }).put(capture)

  const copied = await cli({}, 'archive', 'copy', 'a', place, '--archive', local, '--retention', '30d')
  t.match(copied, { status: 0, stdout: new RegExp(`^a .*${place}/captures/a\\n$`) })
  t.match(await cli({}, 'archive', 'list', '--archive', place), { status: 0, stdout: copied.stdout })
  const file = join(dir, 'out.pcap')
  t.match(await cli({}, 'archive', 'get', 'a', file, '--archive', place, '--actor', 'alice'), { status: 0 })
  t.ok(readFileSync(file).equals(capture.bytes))
  const link = await cli({}, 'archive', 'sign', 'a', '--archive', place, '--base-url', 'https://example.org/c')
  t.match(link, { status: 0, stdout: /^https:\/\/example\.org\/c\/a\?expires=/ })
  t.match(await cli({}, 'archive', 'sweep', '--archive', place), { status: 0, stdout: '' })
  const back = join(dir, 'back')
  t.match(await cli({}, 'archive', 'copy', 'a', back, '--archive', place), { status: 0 })
  const verified = await cli({}, 'archive', 'verify', '--archive', place)
  t.match(verified, { status: 0, stdout: /^entries {3}5\nhead {6}[0-9a-f]{64}\ncaptures {2}1\n$/ })

  // What records delivers there, too.
  const recording = join(dir, 'recording.pcap')
  writeFileSync(recording, captureOf(t, 'r', 3_000).bytes)
  const captures = join(dir, 'captures')
  const replayed = await cli(
    {},
    'replay',
    recording,
    '--pps',
    '500',
    '--dir',
    captures,
    '--archive',
    `s3://${bucket}/node-2`,
  )
  t.match(replayed, { status: 0, stderr: new RegExp(`archived until .*s3://${bucket}/node-2/captures/`) })
  t.match(replayed.stdout, new RegExp(`Upload .*s3://${bucket}/node-2`))

  for (const [name, env, said] of [
    ['a wrong secret', { AWS_SECRET_ACCESS_KEY: 'canary-canary' }, /SignatureDoesNotMatch/],
    ['no credentials', { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' }, /Credentials/],
    ['no region', { AWS_REGION: '' }, /set AWS_REGION/],
    ['no server', { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1' }, /ECONNREFUSED/],
  ] as const) {
    const { status, stdout, stderr } = await cli(env, 'archive', 'list', '--archive', place)
    t.match({ status, stdout }, { status: 1, stdout: '' }, name)
    t.match(stderr, said)
    t.notMatch(stderr, /canary-canary|\n +at /)
    t.notOk(stderr.includes(secretAccessKey))
  }
  t.match(await cli({}, 'archive', 'list', '--archive', 's3:///x'), {
    status: 1,
    stderr: /write s3:\/\/BUCKET\/PREFIX/,
  })
})

test('without the SDK it says what to install', async (t) => {
  const root = installedCopy(t)
  const env = { PCAP_RING_ARCHIVE_KEYS: `k1:${Buffer.alloc(32).toString('base64')}` }
  const { status, stdout, stderr } = await runCommand(t, { root, env }, 'archive', 'list', '--archive', 's3://b/p')
    .ended
  t.match({ status, stdout }, { status: 1, stdout: '' })
  t.match(stderr, /^pcap-ring: \S+\/archive\/s3 needs @aws-sdk\/client-s3, .*npm install @aws-sdk\/client-s3 .*\n$/)
  const local = await runCommand(t, { root, env }, 'archive', 'list', '--archive', join(scratch(t), 'a')).ended
  t.match(local, { status: 0, stdout: '', stderr: '' })
})
