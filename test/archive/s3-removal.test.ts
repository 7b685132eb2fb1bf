// What is put in a bucket without versions while another one removes what had its name before.

import { createHash, randomBytes } from 'node:crypto'
import { HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { type Test, test } from 'tap'

import { KeyRing } from '../../src/archive/keys.js'
import { Bucket } from '../../src/archive/s3/bucket.js'
import { Lock } from '../../src/archive/s3/lock.js'
import { S3Vault } from '../../src/archive/s3/s3-vault.js'
import { bucketOf, clientOf, refusal, rgwSkip, startGateway } from '../support/rgw.js'
import { namesIn } from './places.js'
import { bytesOf, keyOf } from './support.js'

test('removing beside putting', { skip: rgwSkip }, async (t) => {
  const gateway = await startGateway(t)
  const direct = clientOf(t, gateway)
  const name = await bucketOf(direct)
  const keys = new KeyRing([keyOf()])
  const capture = randomBytes(1_000)
  const known = {
    id: 'a',
    format: 'pcap',
    report: 2,
    bytes: capture.length,
    sha256: createHash('sha256').update(capture).digest('hex'),
    storedAt: '2026-11-22T08:00:00.000000Z',
    retainedUntil: '2026-11-29T08:00:00.000000Z',
  } as const
  const vaultOf = (client: S3Client, prefix: string, encryption: 'client' | { kms: string }) => {
    const bucket = new Bucket(client, name)
    return new S3Vault({ bucket, prefix, lock: new Lock(bucket), encryption, onProgress: undefined })
  }
  /** Even its times are the same: a trail whose clock was ahead once gives out one time until that has come. */
  const put = (vault: S3Vault) => {
    const pieces = (async function* () {
      yield capture
    })()
    const incoming = { known, key: keys.first, report: Buffer.from('{}'), capture: pieces, enter: async () => {} }
    return vault.create(incoming, undefined)
  }
  const isThere = async (t: Test, vault: S3Vault) => {
    const kept = await vault.open('a', keys)
    t.ok(kept && (await bytesOf(kept.stream(0, capture.length))).equals(capture))
    t.equal(await kept?.report(), '{}')
  }

  for (const encryption of ['client', { kms: gateway.kmsKey }] as const) {
    const form = typeof encryption === 'string' ? encryption : 'kms'
    await t.test(`${form}: the same, put anew, is not what was looked at`, async (t) => {
      const vault = vaultOf(direct, `${form}/`, encryption)
      await put(vault)
      const kept = await vault.open('a', keys)
      const found = await vault.find('a')
      if (kept === null || found === null) throw new Error('it is to be there')
      t.ok(await vault.remove('a', kept))
      t.notOk(await vault.remove('a', kept), 'it is gone')
      await put(vault)
      t.notOk(await vault.remove('a', kept))
      t.notOk(await vault.remove('a', found))
      await isThere(t, vault)
      const again = await vault.find('a')
      t.ok(again && (await vault.remove('a', again)))
      t.strictSame(await namesIn(direct, name, `${form}/`), [], 'nor its report')
    })
  }

  await t.test('between looking and removing: the store is asked to remove just that one', async (t) => {
    const vault = vaultOf(direct, 'between/', 'client')
    const Key = 'between/captures/a'
    const client = clientOf(t, gateway)
    let asked = 0
    client.middlewareStack.add(
      (next, { commandName }) =>
        async (args) => {
          if (commandName !== 'DeleteObjectCommand') return next(args)
          asked++
          const kept = await vault.open('a', keys)
          if (kept !== null) await vault.remove('a', kept)
          await put(vault)
          // This server does not look at the condition.
          const { ETag } = await direct.send(new HeadObjectCommand({ Bucket: name, Key }))
          if ((args.input as { IfMatch?: string }).IfMatch !== ETag) throw refusal('PreconditionFailed', 412)
          return next(args)
        },
      { step: 'initialize' },
    )
    await put(vault)
    const sweeper = vaultOf(client, 'between/', 'client')
    const kept = await sweeper.open('a', keys)
    t.notOk(kept && (await sweeper.remove('a', kept)))
    t.equal(asked, 1)
    await isThere(t, vault)
  })

  await t.test('a store that knows no such condition removes without', async (t) => {
    const client = clientOf(t, gateway)
    client.middlewareStack.add(
      (next) => async (args) => {
        if ((args.input as { IfMatch?: string }).IfMatch !== undefined) throw refusal('NotImplemented', 501)
        return next(args)
      },
      { step: 'initialize' },
    )
    const vault = vaultOf(client, 'without/', 'client')
    await put(vault)
    const kept = await vault.find('a')
    t.ok(kept && (await vault.remove('a', kept)))
    t.strictSame(await namesIn(direct, name, 'without/'), [])
  })
})
