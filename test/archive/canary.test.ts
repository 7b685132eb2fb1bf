// The host's key stands nowhere: not in what is written, not in what is said.

import { createSecretKey, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { run } from '../../src/cli/run.js'
import { udpPackets } from '../support/generate.js'
import { recordingOf, replay, ringOf, scratch } from '../support/replay.js'
import { allOf, bytesOf, captureOf } from './support.js'

const actor = 'tester'

test('a key is in no file, no error, no log, no link, and not in the archive when it is shown', async (t) => {
  const dir = scratch(t)
  const secret = randomBytes(32)
  const directory = join(dir, 'archive')
  const baseUrl = 'http://localhost/c'
  const said: unknown[] = []
  const failing = async (act: () => Promise<unknown>) =>
    said.push(
      await act().then(
        () => t.fail('it is to fail'),
        (error) => error,
      ),
    )
  for (const key of [secret, createSecretKey(secret)]) {
    const archive = new LocalArchive({ directory, keys: [{ id: 'k1', secret: key }], baseUrl })
    said.push(archive, archive.audit, archive.handler())
    await archive.put(captureOf(t, 'a'))
    said.push(await archive.sign('a', { actor }), await archive.audit.verify(), await allOf(archive.audit.entries()))
    said.push(await bytesOf(await archive.open('a', { actor })))
    await failing(() => archive.put(captureOf(t, 'a', 30)))
    await failing(() => archive.open('b', { actor }))
    writeFileSync(join(directory, 'c.sealed'), 'damaged')
    await failing(() => archive.open('c', { actor }))
    rmSync(join(directory, 'c.sealed'))
  }
  // In a place of another's, with a directory that is none, with a wrong length.
  const other = new LocalArchive({ directory: join(dir, 'other'), keys: [{ id: 'k2', secret: randomBytes(32) }] })
  await other.put(captureOf(t, 'a'))
  const stranger = new LocalArchive({ directory: join(dir, 'other'), keys: [{ id: 'k1', secret }] })
  await failing(() => stranger.open('a', { actor }))
  writeFileSync(join(dir, 'file'), '')
  await failing(() =>
    new LocalArchive({ directory: join(dir, 'file'), keys: [{ id: 'k1', secret }] }).put(captureOf(t, 'z')),
  )
  const text = secret.toString('base64')
  for (const keys of [
    [{ id: 'k1', secret: Buffer.concat([secret, secret]) }],
    [{ id: '/', secret }],
    { id: 'k1', secret },
    // As one does who forgets to decode it, or mistakes one for the other.
    [{ id: 'k1', secret: text }],
    [{ id: `${text}/`, secret: 'k1' }],
    [{ id: secret, secret: 'k1' }],
    [text],
    text,
  ]) {
    await failing(async () => new LocalArchive({ directory, keys: keys as never }))
  }
  // A ring that delivers, and one that cannot.
  const file = recordingOf(udpPackets({ pps: 1_000, count: 600 }))
  const archive = new LocalArchive({ directory, keys: [{ id: 'k1', secret }] })
  const ring = ringOf(t, { file, directory: join(dir, 'captures'), archive })
  const { warnings } = await replay(ring)
  const archived = new Promise((resolve) => ring.once('archive', (...all) => resolve(all)))
  await ring.freeze({ id: 'i' }).resolve()
  said.push(await archived, ring)
  writeFileSync(join(dir, 'captures', 'incident_j.undelivered'), '')
  const unable = ringOf(t, { file, directory: join(dir, 'captures'), archive: stranger })
  const told = new Promise((resolve) => unable.once('warning', resolve))
  await replay(unable)
  await unable.freeze({ id: 'k' }).resolve()
  said.push(await told, unable, warnings)
  // The command, with the key in a file and with a damaged one.
  const keys = join(dir, 'keys')
  const output = {
    out: (text: string) => said.push(text),
    err: (text: string) => said.push(text),
    status: () => {},
    color: false,
    width: 80,
  }
  for (const text of [`k1:${secret.toString('base64')}`, `k1;${secret.toString('base64')}`]) {
    writeFileSync(keys, text, { mode: 0o600 })
    await run(['archive', 'list', '--archive', directory, '--keys', keys], output, new AbortController().signal)
  }
  rmSync(keys)

  const forms = [
    secret.toString('latin1'),
    secret.toString('base64').slice(0, 12),
    ...(['hex', 'base64', 'base64url'] as const).map((form) => secret.toString(form).replace(/=+$/, '')),
  ]
  const holds = (text: string): boolean => forms.some((form) => text.toLowerCase().includes(form.toLowerCase()))
  t.ok(holds(`x${secret.toString('hex').toUpperCase()}x`), 'it would be found')
  const shown = said.map((one) =>
    typeof one === 'string'
      ? one
      : inspect(one, { depth: 20, showHidden: true, maxArrayLength: null, maxStringLength: null }),
  )
  for (const [i, text] of shown.entries()) t.notOk(holds(text), `what was said, ${i}`)
  const bytesShown = secret.toString('hex').replace(/../g, '$& ').trim()
  for (const text of shown) t.notOk(text.includes(bytesShown), 'as a Buffer shows itself')
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  t.ok(files.length > 10)
  for (const entry of files) t.notOk(holds(readFileSync(join(entry.parentPath, entry.name), 'latin1')), entry.name)
})
