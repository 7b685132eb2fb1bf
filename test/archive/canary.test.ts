// The host's key stands nowhere: not in what is written, not in what is said.

import { spawnSync } from 'node:child_process'
import { createSecretKey, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { run } from '../../src/cli/run.js'
import { holdsSecret, watchFor } from '../support/canary.js'
import { udpPackets } from '../support/generate.js'
import { recordingOf, replay, ringOf, scratch as unwatched } from '../support/replay.js'
import { allOf, bytesOf, captureOf, keyOf, scratch } from './support.js'

const actor = 'tester'

test('a key is in no file, no error, no log, no link, and not in the archive when it is shown', async (t) => {
  const dir = scratch(t)
  const { secret } = keyOf()
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
  const other = new LocalArchive({ directory: join(dir, 'other'), keys: [{ id: 'k2', secret: keyOf().secret }] })
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

  for (const [i, one] of said.entries()) t.notOk(holdsSecret(one), `what was said, ${i}`)
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  t.ok(files.length > 10)
  for (const entry of files) t.notOk(holdsSecret(readFileSync(join(entry.parentPath, entry.name))), entry.name)
})

test('any 16 bytes of a key are found, in each form', (t) => {
  const { secret } = keyOf()
  const shown: Record<string, (part: Buffer) => unknown> = {
    bytes: (part) => part,
    'text of 8 bits': (part) => part.toString('latin1'),
    UTF8: (part) => part.toString(),
    'a Buffer': (part) => inspect({ part }),
    'a typed array': (part) => ({ part: Uint8Array.from(part) }),
    JSON: (part) => JSON.stringify({ part }),
    'a fingerprint': (part) =>
      part
        .toString('hex')
        .toUpperCase()
        .replace(/..(?=.)/g, '$&:'),
    'an error': (part) => new Error('x', { cause: new Error(part.toString('hex')) }),
    'one of several errors': (part) => new AggregateError([new Error('x'), new Error(part.toString('base64'))]),
    'a map': (part) => new Map([[part.toString('base64'), 1]]),
  }
  for (const form of ['hex', 'base64', 'base64url'] as const) shown[form] = (part) => part.toString(form)
  for (const [form, show] of Object.entries(shown)) {
    for (let size = 16; size <= 32; size++) {
      for (let at = 0; at + size <= 32; at++) {
        const part = Buffer.concat([randomBytes(at % 5), secret.subarray(at, at + size), randomBytes(3)])
        if (!holdsSecret(show(part))) t.fail(`${size} bytes from ${at} on, ${form}`)
      }
    }
    t.notOk(holdsSecret(show(randomBytes(100_000))), `${form} of other bytes`)
  }
  t.end()
})

test('text is found in each form, once it is watched for', (t) => {
  const secret = randomBytes(30).toString('base64').replace(/^../, '+/')
  const bytes = Buffer.from(secret)
  const forms = {
    text: `no token for ${secret}`,
    'a URL': `https://localhost/?token=${encodeURIComponent(secret)}`,
    hex: bytes.toString('hex'),
    'base64 of more': Buffer.from(`user:${secret}:`).toString('base64'),
    'base64url of more': Buffer.from(`user-?>:${secret}`).toString('base64url'),
    'an object': { deep: [{ secret }] },
    'a Buffer': inspect({ bytes }),
    'a request that hangs on an error': Object.assign(new Error('x'), { request: { headers: { secret } } }),
    'one of several errors': new Error('x', { cause: new AggregateError([new Error(secret)]) }),
  }
  for (const [name, form] of Object.entries(forms)) t.notOk(holdsSecret(form), `${name}, before`)
  watchFor(secret)
  // Not with what it is: titles are watched, too.
  for (const [name, form] of Object.entries(forms)) t.ok(holdsSecret(form), name)
  t.notOk(holdsSecret(randomBytes(30).toString('base64')))
  t.end()
})

test('a key that is said, in a title or a warning, or left in a file, fails the file', async (t) => {
  const run = async (code: string) => {
    const program = `const { canaryKey, lookIn } = require('../support/canary.ts'); const key = canaryKey(); ${code}`
    const file = join(unwatched(t), 'x')
    const { status, stderr } = spawnSync(process.execPath, [...process.execArgv, '-e', program], {
      cwd: __dirname,
      encoding: 'utf8',
      env: { ...process.env, FILE: file },
    })
    return { status, stderr }
  }
  t.match(await run(''), { status: 0 })
  const file = "require('node:path').dirname(process.env.FILE)"
  for (const [where, code] of [
    ['stdout', "console.log('# Subtest: ' + key.toString('hex'))"],
    ['stdout', 'process.stdout.write(key.subarray(0, 20)); process.stdout.write(key.subarray(20))'],
    ['stderr', "process.emitWarning(key.toString('base64'))"],
    ['x', `require('node:fs').writeFileSync(process.env.FILE, key); lookIn(${file})`],
  ] as const) {
    const { status, stderr } = await run(code)
    t.equal(status, 1, code)
    t.ok(stderr.endsWith(`a secret, or a part of one, stands in: ${where}\n`), where)
  }
})
