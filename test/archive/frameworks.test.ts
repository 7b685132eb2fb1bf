// The handler in Express and in Fastify, as docs/archive.md says.

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import express from 'express'
import fastify from 'fastify'
import { type Test, test } from 'tap'

import { LocalArchive } from '../../src/archive/index.js'
import { captureOf, keyOf, scratch } from './support.js'

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

async function judged(t: Test, archive: LocalArchive): Promise<void> {
  const { file, report, bytes } = captureOf(t, 'a', 2_000)
  await archive.put({ file, report })
  const { url } = await archive.sign('a', { actor: 'noc' })
  const whole = await fetch(url)
  t.equal(whole.status, 200)
  t.ok(Buffer.from(await whole.arrayBuffer()).equals(bytes))
  const part = await fetch(url, { headers: { range: 'bytes=100-199' } })
  t.equal(part.status, 206)
  t.ok(Buffer.from(await part.arrayBuffer()).equals(bytes.subarray(100, 200)))
  t.equal((await fetch(`${url}x`)).status, 403)
  t.equal((await fetch(url.replace('/captures/a?', '/captures/b?'))).status, 403)
  t.equal((await fetch(new URL('/other', url))).status, 404, 'what is not its own is the host’s')
}

test('Express, mounted', async (t) => {
  const app = express()
  const server = createServer(app)
  const port = await portOf(server)
  t.teardown(() => void server.close())
  const baseUrl = `http://127.0.0.1:${port}/captures`
  const archive = new LocalArchive({ directory: join(scratch(t), 'archive'), keys: [keyOf()], baseUrl })
  app.use('/captures', archive.handler())
  await judged(t, archive)
})

test('Fastify', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  let handler: ReturnType<LocalArchive['handler']> | undefined
  app.get('/captures/*', (request, reply) => {
    reply.hijack()
    handler?.(request.raw, reply.raw)
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const baseUrl = `http://127.0.0.1:${port}/captures`
  const archive = new LocalArchive({ directory: join(scratch(t), 'archive'), keys: [keyOf()], baseUrl })
  handler = archive.handler()
  await judged(t, archive)
})
