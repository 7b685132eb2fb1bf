// Three processes that archive into one bucket at once.

import { createHash } from 'node:crypto'

import { type Test, test } from 'tap'

import { S3Archive } from '../../src/archive/s3/index.js'
import { Host, type HostApi } from '../support/host.js'
import { scratch } from '../support/replay.js'
import { bucketOf, clientOf, type Gateway, rgwSkip, startGateway } from '../support/rgw.js'
import { allOf, bytesOf, keyOf } from './support.js'

const seconds = process.env.PCAP_RING_FULL === '1' ? 60 : 2

interface Job {
  endpoint: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  bucket: string
  secret: Buffer
  node: string
  directory: string
  seconds: number
}

interface Put {
  prefix: string
  id: string
  sha256: string
  /** Of the error; null: it was stored. */
  code: string | null
}

/** Puts what is its own, and what the others put under the same name; some of it in several parts. */
async function archiving({ require }: HostApi<unknown>, job: Job): Promise<Put[]> {
  const { createHash, randomBytes } = require('node:crypto') as typeof import('node:crypto')
  const { rmSync, writeFileSync } = require('node:fs') as typeof import('node:fs')
  const root = process.env.PCAP_RING_ROOT
  const { S3Client } = require(`${root}/node_modules/@aws-sdk/client-s3`)
  const { S3Archive } = require(`${root}/lib/archive/s3/index.js`)
  const { endpoint, credentials, bucket, secret, node, directory } = job
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
  const keys = [{ id: 'k1', secret: Uint8Array.from(secret) }]
  const puts: Put[] = []
  const put = async (prefix: string, id: string, size: number): Promise<void> => {
    const bytes = randomBytes(size)
    const file = `${directory}/${node}-${id}.pcap`
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    writeFileSync(file, bytes)
    const report = { version: 1, id, format: 'pcap', file, bytes: size, sha256 }
    const code = await archives[prefix].put({ file, report }).then(
      () => null,
      (error: NodeJS.ErrnoException) => error.code,
    )
    puts.push({ prefix, id, sha256, code })
    rmSync(file)
  }
  const archives = Object.fromEntries(
    [node, 'all'].map((prefix) => [prefix, new S3Archive({ client, bucket, prefix, keys })]),
  )
  const end = performance.now() + job.seconds * 1_000
  for (let round = 0; round < 8 || performance.now() < end; round++) {
    // Never so small that two draw the same bytes: to put what is there already is no conflict.
    const size = round % 10 === 5 ? 9_000_000 : 32 + 7_919 * (round % 10)
    await Promise.all([put(node, `own-${round}`, size), put('all', `same-${round}`, size)])
  }
  return puts
}

test('three nodes, one bucket', { skip: rgwSkip, timeout: 400_000 }, async (t) => {
  const gateway = await startGateway(t)
  await t.test('without versions', async (t) => nodesInto(t, gateway, false))
  // This store puts another version, whatever the condition says.
  await t.test('with versions and object lock', async (t) => nodesInto(t, gateway, true))
})

async function nodesInto(t: Test, gateway: Gateway, locked: boolean): Promise<void> {
  const client = clientOf(t, gateway)
  const bucket = await bucketOf(client, { locked })
  const { endpoint, credentials } = gateway
  const { secret } = keyOf()
  const directory = scratch(t)
  const nodes = ['node-1', 'node-2', 'node-3']
  const hosts = await Promise.all(nodes.map(() => Host.start(t)))
  const job = { endpoint, credentials, bucket, secret, directory, seconds }
  const answers = await Promise.all(
    hosts.map((host, i) => host.call<unknown, Put[], Job>(archiving, { ...job, node: nodes[i] as string })),
  )
  const puts = answers.flat()
  const stored = puts.filter(({ code }) => code === null)
  t.comment(`${puts.length} captures in ${seconds} s, ${stored.length} stored`)
  for (const { code, prefix, id } of puts) {
    if (code !== null) t.equal(code, 'ERR_PCAP_FILE_EXISTS', `${prefix} ${id}`)
  }
  for (const prefix of [...nodes, 'all']) {
    const archive = new S3Archive({ client, bucket, prefix, keys: [{ id: 'k1', secret }] })
    const here = puts.filter((put) => put.prefix === prefix)
    const there = here.filter(({ code }) => code === null)
    const kept = (await allOf(archive.list())).map(({ id, sha256 }) => `${id} ${sha256}`)
    const told = there.map(({ id, sha256 }) => `${id} ${sha256}`)
    t.strictSame(kept.sort(), told.sort(), `${prefix}: what is there is just what was said to be stored`)
    // One in ten, and of those in several parts one at least.
    const large = there.filter(({ id }) => id.endsWith('5')).slice(0, 1)
    t.equal(large.length, 1)
    for (const { id, sha256 } of [...large, ...there.filter((_, i) => i % 10 === 0)]) {
      const bytes = await bytesOf(await archive.open(id, { actor: 'tester' }))
      t.equal(createHash('sha256').update(bytes).digest('hex'), sha256, `${prefix}: the bytes of ${id}`)
    }
    t.match(await archive.audit.verify(), { ok: true }, `${prefix}: one chain`)
    const entered = (await allOf(archive.audit.entries())).filter(({ action }) => action === 'put')
    const ok = new Set(entered.filter(({ outcome }) => outcome === 'ok').map(({ capture }) => capture))
    t.ok(
      here.every(({ id, code }) => code !== null || ok.has(id)),
      `${prefix}: the trail has them all`,
    )
    const refused = entered.filter(({ outcome }) => outcome === 'refused').length
    t.equal(refused, here.filter(({ code }) => code !== null).length, `${prefix}: and each that was refused`)
    if (prefix !== 'all') t.equal(refused, 0)
  }
}
