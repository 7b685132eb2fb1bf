// One and the same host for every runtime: what it does is judged here, and told as TAP.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import * as core from '@flowtriq/pcap-ring'
import * as archive from '@flowtriq/pcap-ring/archive'
import * as detect from '@flowtriq/pcap-ring/detect'
import * as report from '@flowtriq/pcap-ring/report'
import * as testing from '@flowtriq/pcap-ring/testing'
import { captured, judgeFile, threads } from './steps.mjs'

const { devices, PcapRing, PcapRingError } = core
let points = 0

async function step(name, body) {
  points++
  try {
    await body()
    console.log(`ok ${points} - ${name}`)
  } catch (error) {
    console.log(`not ok ${points} - ${name}\n  ---\n${`${error.stack}`.replace(/^/gm, '  ')}\n  ...`)
  }
}

await step('import and require() give the same', () => {
  const require = createRequire(import.meta.url)
  const entries = { '': core, '/testing': testing, '/detect': detect, '/archive': archive, '/report': report }
  for (const [entry, imported] of Object.entries(entries)) {
    const required = require(`@flowtriq/pcap-ring${entry}`)
    const names = Object.keys(required).sort()
    assert.ok(names.length > 0)
    for (const name of names) assert.equal(imported[name], required[name], `${name} of ${entry}`)
  }
  assert.equal(typeof PcapRing, 'function')
  assert.match(require('@flowtriq/pcap-ring/package.json').version, /^\d+\.\d+\.\d+$/)
})

await step('/archive/s3 says what it needs', async () => {
  await assert.rejects(import('@flowtriq/pcap-ring/archive/s3'), /npm install @aws-sdk\/client-s3/)
})

await step('devices()', () => {
  const loopback = devices().find(({ name }) => name === 'lo')
  assert.deepEqual([loopback.up, loopback.loopback], [true, true])
})

await step('errors have their class and their code', async () => {
  assert.throws(() => new PcapRing({ snaplen: 1 }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  const ring = new PcapRing({ device: 'none0' })
  await assert.rejects(ring.start(), (error) => {
    assert.ok(error instanceof PcapRingError)
    return error.code === 'ERR_PCAP_NO_SUCH_DEVICE'
  })
  assert.throws(() => ring.freeze(), { code: 'ERR_PCAP_NOT_STARTED' })
  await ring.close()
})

await step('a capture on loopback: incident, file, report', async () => {
  const report = await captured(9_001, 'captures')
  assert.deepEqual(
    report.sections.map(({ name, packets }) => [name, packets]),
    [
      ['pre-buffer', 50],
      ['attack', 20],
    ],
  )
  await judgeFile(report, 70)
})

await step('a replay in lock step: the very bytes of the recording', async () => {
  const recording = testing.encodePcap(
    Array.from({ length: 2_000 }, (_, i) => ({ time: i, data: Buffer.alloc(60 + (i % 900), i) })),
  )
  const ring = new PcapRing({ file: recording, directory: 'captures' })
  ring.once('stats', () => void ring.freeze({ id: 'replayed' }))
  await ring.start()
  await once(ring, 'end')
  const { file, packets, sections } = await ring.incidents[0].resolve()
  await ring.close()
  assert.equal(packets, 2_000)
  assert.deepEqual(
    sections.map(({ name, packets }) => [name, packets]),
    [
      ['pre-buffer', 250],
      ['attack', 1_750],
    ],
  )
  assert.ok(readFileSync(file).equals(recording))
})

await step('a detector, and the page of what it froze', async () => {
  const calm = Array.from({ length: 300 }, (_, i) => ({ time: i * 10, data: Buffer.alloc(60) }))
  const flood = Array.from({ length: 5_000 }, (_, i) => ({ time: 3_000 + i / 5, data: Buffer.alloc(60) }))
  const ring = new PcapRing({ file: testing.encodePcap([...calm, ...flood]), directory: 'captures' })
  const detector = new detect.FloodDetector({ pps: 1_000 })
  const attacked = once(detector, 'attack')
  const watching = detector.watch(ring)
  await ring.start()
  await once(ring, 'end')
  const [attack, incident] = await attacked
  assert.equal(attack.severity, 'medium')
  watching[Symbol.dispose]()
  const { file, attack: kept } = await incident.finished
  await ring.close()
  assert.deepEqual(kept, attack)
  const page = report.render(await report.summarize(file))
  assert.match(page, /^<!doctype html>/i)
  assert.ok(page.includes(incident.id))
})

await step('an archive: a capture in, a range of it out, the whole by a signed link', async () => {
  const server = createServer((request, response) => vault.handler()(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const vault = new archive.LocalArchive({
    directory: 'archive',
    keys: [{ id: 'first', secret: randomBytes(32) }],
    baseUrl: `http://127.0.0.1:${server.address().port}/captures`,
  })
  try {
    const file = join('captures', 'incident_replayed.pcap')
    const plain = readFileSync(file)
    const { id, sha256 } = await vault.put({ file, report: JSON.parse(readFileSync(file.replace('pcap', 'json'))) })
    assert.equal(sha256, createHash('sha256').update(plain).digest('hex'))
    const parts = []
    const range = { start: 70_000, end: 79_999 }
    for await (const part of await vault.open(id, { actor: 'host', range })) parts.push(part)
    assert.ok(Buffer.concat(parts).equals(plain.subarray(70_000, 80_000)))
    const { url } = await vault.sign(id, { actor: 'host' })
    const get = async (link) => {
      const answer = await fetch(link, { headers: { connection: 'close' } })
      return [answer.status, Buffer.from(await answer.arrayBuffer())]
    }
    const [status, body] = await get(url)
    assert.equal(status, 200)
    assert.ok(body.equals(plain))
    assert.equal((await get(`${url}0`))[0], 403)
    const trail = []
    for await (const { action, outcome } of vault.audit.entries()) trail.push(`${action} ${outcome}`)
    assert.deepEqual(trail, ['key ok', 'put ok', 'download ok', 'sign ok', 'download ok', 'download refused'])
    assert.deepEqual(await vault.audit.verify(), { ok: true, entries: trail.length, brokenAt: null })
  } finally {
    server.close()
  }
})

const inWorker = (workerData) => new Worker(new URL('worker.mjs', import.meta.url), { workerData })

await step('a worker with a ring of its own', async () => {
  const worker = inWorker({ port: 9_002, directory: 'in-worker' })
  const exited = once(worker, 'exit')
  const [report] = await once(worker, 'message')
  assert.deepEqual(await exited, [0])
  await judgeFile(report, 70)
})

await step('a worker that is terminated leaves a whole file', async () => {
  const worker = inWorker({ port: 9_003, directory: 'terminated', leaveOpen: true })
  await once(worker, 'message')
  await worker.terminate()
  const file = join('terminated', 'incident_open.json')
  for (let tries = 0; tries < 100 && !existsSync(file); tries++) await sleep(50)
  await judgeFile(JSON.parse(readFileSync(file, 'utf8')), 50)
})

await step('closed, it leaves no thread', async () => {
  for (let tries = 0; tries < 100 && threads().length > 0; tries++) await sleep(50)
  assert.deepEqual(threads(), [])
})

console.log(`1..${points}`)
