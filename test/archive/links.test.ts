// Signed links, served over HTTP.

import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, get, type IncomingMessage, type RequestOptions, request, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type Test, test } from 'tap'

import { handle } from '../../src/archive/handler.js'
import { LocalArchive } from '../../src/archive/index.js'
import { allOf, type Capture, capturedAs, captureOf, keyOf, listening, scratch } from './support.js'

const actor = 'tester & son'

interface Served {
  archive: LocalArchive
  server: Server
  directory: string
  keys: ReturnType<typeof keyOf>[]
  capture: Capture
}

/** An archive behind a server of node:http. */
async function served(t: Test, path = '/captures', size = 200_000): Promise<Served> {
  const directory = join(scratch(t), 'archive')
  const keys = [keyOf()]
  const { server, origin } = await listening(t)
  const archive = new LocalArchive({ directory, keys, baseUrl: `${origin}${path}` })
  server.on('request', archive.handler())
  const capture = capturedAs(t, 'a', randomBytes(size))
  await archive.put(capture)
  return { archive, server, directory, keys, capture }
}

interface Got {
  status: number | undefined
  headers: IncomingMessage['headers']
  body: Buffer
}

function fetched(url: string, options: RequestOptions = {}): Promise<Got> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { agent: false, ...options }, (res) => {
      const pieces: Buffer[] = []
      res.on('data', (piece) => void pieces.push(piece))
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, body: Buffer.concat(pieces) }))
      res.on('error', reject)
    })
    asked.on('error', reject)
    asked.end()
  })
}

/** The raw path, which no client has put in order. */
function raw(server: Server, path: string, method = 'GET'): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    let answer = ''
    socket.on('data', (data) => {
      answer += data.toString('latin1')
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', reject)
    socket.write(`${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`, 'latin1')
  })
}

const descriptors = (): number => readdirSync('/proc/self/fd').length

async function sameDescriptors(t: Test, before: number): Promise<void> {
  for (let i = 0; i < 200 && descriptors() > before; i++) await new Promise((resolve) => setTimeout(resolve, 25))
  t.ok(descriptors() <= before, 'no descriptor is left')
}

test('a link brings the capture, for 15 minutes unless said otherwise', async (t) => {
  const { archive, capture } = await served(t)
  const before = Date.now()
  const { url, expiresAt } = await archive.sign('a', { actor })
  const lifeMs = Date.parse(expiresAt) - before
  t.ok(lifeMs >= 900_000 && lifeMs < 905_000, `${lifeMs} ms`)
  const { status, headers, body } = await fetched(url)
  t.equal(status, 200)
  t.ok(body.equals(capture.bytes))
  t.match(headers, {
    'content-type': 'application/vnd.tcpdump.pcap',
    'content-disposition': 'attachment; filename="incident_a.pcap"',
    'content-length': '200000',
    'accept-ranges': 'bytes',
    'cache-control': 'private, no-store',
    'x-content-type-options': 'nosniff',
    etag: `"${capture.report.sha256}"`,
  })
  for (const expiresIn of ['500ms', '8d', 0, -1] as const) {
    await t.rejects(archive.sign('a', { actor, expiresIn }), { code: 'ERR_OUT_OF_RANGE', message: /expiresIn/ })
  }
  await t.rejects(archive.sign('b', { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
  const bare = new LocalArchive({ directory: scratch(t), keys: [keyOf()] })
  await t.rejects(bare.sign('a', { actor }), { code: 'ERR_INVALID_ARG_VALUE', message: /baseUrl/ })
  t.throws(() => bare.handler(), { code: 'ERR_INVALID_ARG_VALUE', message: /baseUrl/ })
})

test('HEAD, ranges, conditions', async (t) => {
  const { archive, capture } = await served(t)
  const { url } = await archive.sign('a', { actor })
  const head = await fetched(url, { method: 'HEAD' })
  t.match(head, { status: 200, headers: { 'content-length': '200000' }, body: Buffer.alloc(0) })
  const ask = (headers: Record<string, string>) => fetched(url, { headers })
  const part = async (range: string, start: number, end: number) => {
    const { status, headers, body } = await ask({ range })
    t.equal(status, 206, range)
    t.equal(headers['content-range'], `bytes ${start}-${end}/200000`)
    t.ok(body.equals(capture.bytes.subarray(start, end + 1)), range)
  }
  await part('bytes=0-0', 0, 0)
  await part('bytes=65530-131080', 65_530, 131_080)
  await part('bytes=199999-', 199_999, 199_999)
  await part('bytes=-5', 199_995, 199_999)
  await part('bytes=-999999999999999999999', 0, 199_999)
  await part('bytes=5-99999999999999999999', 5, 199_999)
  for (const range of ['bytes=200000-', 'bytes=-0', 'bytes=999999999999999999-']) {
    t.match(await ask({ range }), { status: 416, headers: { 'content-range': 'bytes */200000' } }, range)
  }
  const many = `bytes=${Array.from({ length: 1_000 }, (_, i) => `${i}-${i}`).join(',')}`
  for (const range of ['bytes=5-4', 'lines=1-2', 'bytes=a-b', 'bytes=0-1,3-4', 'bytes=-', many]) {
    const { status, body } = await ask({ range })
    t.equal(status, 200, range.slice(0, 20))
    t.equal(body.length, 200_000)
  }
  const etag = head.headers.etag as string
  const modified = head.headers['last-modified'] as string
  t.equal((await ask({ 'if-none-match': etag })).status, 304)
  t.equal((await ask({ 'if-none-match': `"x", W/${etag}` })).status, 304)
  t.equal((await ask({ 'if-none-match': '"x"' })).status, 200)
  t.equal((await ask({ 'if-modified-since': modified })).status, 304)
  t.equal((await ask({ 'if-modified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' })).status, 200)
  t.equal((await ask({ 'if-match': '"x"' })).status, 412)
  t.equal((await ask({ 'if-match': etag })).status, 200)
  t.equal((await ask({ 'if-unmodified-since': 'Mon, 01 Jan 2001 00:00:00 GMT' })).status, 412)
  t.equal((await ask({ range: 'bytes=0-1', 'if-range': etag })).status, 206)
  t.equal((await ask({ range: 'bytes=0-1', 'if-range': '"x"' })).status, 200)
  t.equal((await ask({ range: 'bytes=0-1', 'if-range': modified })).status, 206)
  t.match(await fetched(url, { method: 'POST' }), { status: 405, headers: { allow: 'GET, HEAD' } })
})

test('a link with any character changed is refused, and says nothing', async (t) => {
  const { archive, server } = await served(t)
  const { url } = await archive.sign('a', { actor })
  const { pathname, search } = new URL(url)
  const path = pathname + search
  const refused = await raw(server, '/captures/none')
  t.match(refused, /^HTTP\/1\.1 403 /)
  const silent = (answer: string) => answer.replace(/date: .*\r\n/i, '')
  for (let i = 1; i < path.length; i++) {
    for (const other of ['A', 'b', '1', '-', '%']) {
      if (path[i] === other) continue
      const changed = path.slice(0, i) + other + path.slice(i + 1)
      const answer = await raw(server, changed)
      if (silent(answer) !== silent(refused)) t.fail(`${changed}: ${answer}`)
    }
  }
  const percent = path.replace('/a?', '/%61?')
  for (const changed of [
    percent,
    `${path}&x=1`,
    `${path}#`,
    `/x/..${path}`,
    `/captures/../captures${path.slice(9)}`,
    `${path}${path}`,
  ]) {
    t.equal(silent(await raw(server, changed)), silent(refused), changed.slice(0, 40))
  }
  for (const hostile of [
    '/captures/../../etc/passwd',
    '/captures/%2e%2e%2fa',
    '/captures/',
    '/captures',
    '/',
    '*',
    `/captures/${'a'.repeat(8_000)}`,
  ]) {
    t.equal(silent(await raw(server, hostile)), silent(refused), hostile.slice(0, 40))
  }
  t.match(await raw(server, path), /^HTTP\/1\.1 200 /)
})

test('refused once it has expired, once the capture is gone, and with a key that is gone', async (t) => {
  const { archive, directory, server } = await served(t)
  const { url } = await archive.sign('a', { actor, expiresIn: '1s' })
  t.equal((await fetched(url)).status, 200)
  const real = Date.now
  try {
    Date.now = () => real() + 1_001
    t.equal((await fetched(url)).status, 403)
  } finally {
    Date.now = real
  }
  const lasting = await archive.sign('a', { actor })
  await archive.remove('a', { actor })
  t.equal((await fetched(lasting.url)).status, 403)
  await archive.put(captureOf(t, 'b'))
  const { url: damaged } = await archive.sign('b', { actor })
  rmSync(join(directory, 'b.sealed'))
  writeFileSync(join(directory, 'b.sealed'), 'damaged')
  t.match(await fetched(damaged), { status: 500, body: Buffer.alloc(0) })
  const other = new LocalArchive({ directory: scratch(t), keys: [keyOf('k9')], baseUrl: 'http://127.0.0.1/captures' })
  server.removeAllListeners('request')
  server.on('request', other.handler())
  t.equal((await fetched(lasting.url)).status, 403)
  const refusals = (await allOf(archive.audit.entries())).filter(({ outcome }) => outcome === 'refused')
  t.match(refusals, [
    { actor, action: 'download', capture: 'a' },
    { actor, action: 'download', capture: 'a' },
  ])
})

test('refused links: each is an entry, however many there are', async (t) => {
  const { archive } = await served(t)
  const url = `${(await archive.sign('a', { actor })).url}x`
  const agent = new Agent({ maxSockets: 50, keepAlive: true })
  t.teardown(() => agent.destroy())
  const all = await Promise.all(Array.from({ length: 1_500 }, () => fetched(url, { agent })))
  t.ok(all.every(({ status }) => status === 403))
  const refused = (await allOf(archive.audit.entries())).filter(({ outcome }) => outcome === 'refused')
  t.equal(refused.length, 1_500)
  t.ok((await archive.audit.verify()).ok)
})

test('a damaged capture: what was right, then the connection ends', async (t) => {
  const { archive, directory, capture } = await served(t)
  const { url } = await archive.sign('a', { actor })
  const path = join(directory, 'a.sealed')
  const sealed = readFileSync(path)
  sealed[sealed.length - 20] = (sealed[sealed.length - 20] as number) ^ 1
  rmSync(path)
  writeFileSync(path, sealed)
  const pieces: Buffer[] = []
  await t.rejects(
    new Promise((resolve, reject) => {
      get(url, { agent: false }, (res) => {
        res.on('data', (piece) => void pieces.push(piece))
        res.on('end', resolve)
        res.on('error', reject)
      }).on('error', reject)
    }),
    { code: 'ECONNRESET' },
  )
  const got = Buffer.concat(pieces)
  t.ok(got.length < capture.bytes.length && capture.bytes.subarray(0, got.length).equals(got))
  t.match((await allOf(archive.audit.entries())).slice(-2), [
    { action: 'download', outcome: 'ok' },
    { action: 'download', outcome: 'failed' },
  ])
})

test('a capture that is swept, or removed, while it is downloaded comes to its end', async (t) => {
  const { archive, capture } = await served(t, '/c', 20_000_000)
  const before = descriptors()
  const begun = async (): Promise<IncomingMessage> => {
    const { url } = await archive.sign('a', { actor })
    const [res] = (await once(get(url, { agent: false }), 'response')) as [IncomingMessage]
    return res
  }
  const rest = async (res: IncomingMessage): Promise<Buffer> => {
    const pieces: Buffer[] = []
    for await (const piece of res) pieces.push(piece)
    return Buffer.concat(pieces)
  }
  const swept = await begun()
  t.equal((await archive.sweep(new Date(Date.now() + 30 * 86_400_000))).length, 1)
  await t.rejects(archive.sign('a', { actor }), { code: 'ERR_PCAP_ARCHIVE_NOT_FOUND' })
  await archive.put(capture)
  const removed = await begun()
  await archive.remove('a', { actor })
  for (const res of [swept, removed]) t.ok((await rest(res)).equals(capture.bytes))
  await sameDescriptors(t, before)
})

test('a thousand at once, slow ones, ones that go away', async (t) => {
  const { archive, capture, server } = await served(t, '/c', 3_000_000)
  const { url } = await archive.sign('a', { actor })
  const first = await fetched(url)
  t.ok(first.body.equals(capture.bytes))
  const before = descriptors()
  const agent = new Agent({ maxSockets: 1_000, keepAlive: false })
  const ranges = Array.from({ length: 1_000 }, (_, i) => ({ range: `bytes=${i * 2_000}-${i * 2_000 + 999}` }))
  const all = await Promise.all(ranges.map((headers) => fetched(url, { headers, agent })))
  for (const [i, { status, body }] of all.entries()) {
    if (status !== 206 || !body.equals(capture.bytes.subarray(i * 2_000, i * 2_000 + 1_000)))
      t.fail(`request ${i}: ${status}`)
  }
  t.equal(all.length, 1_000)
  await sameDescriptors(t, before)

  // These read nothing, and then go.
  const { pathname, search } = new URL(url)
  const sockets = Array.from({ length: 50 }, () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.on('error', () => {})
    socket.pause()
    socket.write(`GET ${pathname}${search} HTTP/1.1\r\nhost: x\r\n\r\n`)
    return socket
  })
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.ok((await fetched(url)).body.equals(capture.bytes), 'others are served meanwhile')
  for (const socket of sockets) socket.destroy()
  await sameDescriptors(t, before)
  t.match(await archive.audit.verify(), { ok: true })
})

test('requests one behind another on a connection that goes away: nothing stays open', async (t) => {
  const { archive, capture, server } = await served(t, '/c', 3_000_000)
  const { url } = await archive.sign('a', { actor })
  t.ok((await fetched(url)).body.equals(capture.bytes))
  const before = descriptors()
  const { pathname, search } = new URL(url)
  const one = `GET ${pathname}${search} HTTP/1.1\r\nhost: x\r\nrange: bytes=0-2999990\r\n\r\n`
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  socket.write(one.repeat(50))
  await new Promise((resolve) => setTimeout(resolve, 300))
  socket.destroy()
  await sameDescriptors(t, before)
  const wanted = one.replace('0-2999990', '5-6').repeat(20) + one.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')
  const answers = await new Promise<string>((resolve) => {
    const pieces: Buffer[] = []
    const again = connect((server.address() as AddressInfo).port, '127.0.0.1')
    again.on('data', (piece) => void pieces.push(piece))
    again.on('close', () => resolve(Buffer.concat(pieces).toString('latin1')))
    again.write(wanted)
  })
  t.equal(answers.match(/HTTP\/1\.1 206 /g)?.length, 21, 'each is answered, in its turn')
  t.ok(answers.endsWith(capture.bytes.toString('latin1', 0, 2_999_991)))
  await sameDescriptors(t, before)
})

test('a client that takes nothing is let go of', async (t) => {
  const { archive, server, capture } = await served(t, '/c', 20_000_000)
  const { url } = await archive.sign('a', { actor })
  t.equal((await fetched(url, { method: 'HEAD' })).status, 200)
  const before = descriptors()
  const pieces = Array.from({ length: 20 }, (_, i) => capture.bytes.subarray(i * 1_000_000, (i + 1) * 1_000_000))
  const sent = Readable.from(pieces)
  const found = {
    id: 'a',
    format: 'pcap' as const,
    bytes: capture.bytes.length,
    etag: '"x"',
    modifiedMs: 0,
    send: async () => sent,
    close: async () => {},
  }
  server.removeAllListeners('request')
  const serving = { path: '/c', find: async () => found, broken: () => 500, stalledAfterMs: 100 }
  const handled = new Promise<void>((resolve) => {
    server.on('request', (req, res) => void handle(req, res, serving, undefined).then(resolve))
  })
  const { pathname, search } = new URL(url)
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  socket.write(`GET ${pathname}${search} HTTP/1.1\r\nhost: x\r\n\r\n`)
  await handled
  t.ok(sent.destroyed && !sent.readableEnded, 'what it did not take is not read any more')
  socket.destroy()
  await sameDescriptors(t, before)
})

test('a link holds whatever its actor is called, as clients write it', async (t) => {
  const { archive } = await served(t)
  for (const name of ["o'brien", 'a b+c', '(x)!*~', '100%', 'ä€𝄞', '<"`{}|^\\>', 'a/b?c#d&e=f', "'".repeat(256)]) {
    const { url } = await archive.sign('a', { actor: name })
    const answer = await fetch(url)
    t.equal(answer.status, 200, name.slice(0, 20))
    await answer.arrayBuffer()
  }
})

test('an empty capture', async (t) => {
  const { archive } = await served(t)
  await archive.put(capturedAs(t, 'empty', Buffer.alloc(0)))
  const { url } = await archive.sign('empty', { actor })
  t.match(await fetched(url), { status: 200, headers: { 'content-length': '0' }, body: Buffer.alloc(0) })
  for (const range of ['bytes=0-0', 'bytes=0-', 'bytes=-5']) {
    const answer = await fetched(url, { headers: { range } })
    t.match(answer, { status: 416, headers: { 'content-range': 'bytes */0' } }, range)
  }
})

test('as middleware: mounted, or beside other routes', async (t) => {
  const { archive, server, capture } = await served(t)
  const { url } = await archive.sign('a', { actor })
  const handler = archive.handler()
  server.removeAllListeners('request')
  // As Express hands on what is mounted at /captures.
  server.on('request', (req, res) => {
    const mounted = Object.assign(req, {
      originalUrl: req.url,
      url: (req.url as string).replace('/captures', '') || '/',
    })
    handler(mounted, res, () => res.writeHead(404).end())
  })
  t.ok((await fetched(url)).body.equals(capture.bytes))
  server.removeAllListeners('request')
  server.on('request', (req, res) => handler(req, res, () => res.writeHead(404).end('next')))
  t.ok((await fetched(url)).body.equals(capture.bytes))
  const elsewhere = await fetched(url.replace('/captures/', '/other/'))
  t.match(elsewhere, { status: 404, body: Buffer.from('next') }, 'what is not its own is handed on')
  t.equal((await fetched(url.replace('/a?', '/b?'))).status, 403)
})
