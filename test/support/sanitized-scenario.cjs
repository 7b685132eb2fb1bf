// Run by test/sanitized.test.ts with the sanitizers' addon: the life of rings, ended in every way, on the main thread and in
// a worker. Prints "done" last; a sanitizer's finding ends the process before.
'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads')
const { PcapRing } = require('../../lib/index.js')
const { encodePcap } = require('../../lib/testing.js')

const directory = isMainThread ? process.argv[2] : workerData

function recording(packets) {
  const calm = packets / 2
  return encodePcap(
    Array.from({ length: packets }, (_, i) => {
      const data = new Uint8Array(60 + (i % 1400))
      new DataView(data.buffer).setUint32(42, i)
      return { time: 1_700_000_000_000 + (i < calm ? i : calm + (i - calm) / 50), data }
    }),
  )
}

async function incidents(prefix) {
  const ring = new PcapRing({ file: recording(8_000), directory, resolution: { packets: 20 } })
  const opened = []
  ring.on('stats', async () => {
    if (opened.length >= 6) return
    const id = `${prefix}${opened.length}`
    opened.push(opened.length % 3 === 2 ? ring.capture({ id, cap: { packets: 50 } }) : ring.freeze({ id }))
    await opened.at(-1).flushed
  })
  const ended = new Promise((resolve) => ring.once('end', resolve))
  await ring.start()
  await ended
  await ring.dump(path.join(directory, `${prefix}dump.pcap`))
  const reports = await Promise.all(opened.map((incident) => incident.resolve()))
  for (const report of reports) assert.equal(fs.statSync(report.file).size, report.bytes)
  assert.equal(reports.length, 6)
  await ring.close()
}

async function failures() {
  for (const options of [{ file: '/nonexistent' }, { file: new Uint8Array(3) }, { device: 'no-such-device' }]) {
    const ring = new PcapRing({ ...options, directory })
    await assert.rejects(ring.start())
    await ring.close()
  }
  const ring = new PcapRing({ file: recording(100), filter: 'nonsense(', directory })
  await assert.rejects(ring.start(), { code: 'ERR_PCAP_BAD_FILTER' })
  global.gc()
}

async function endings() {
  await new PcapRing({ directory }).close()
  for (let i = 0; i < 10; i++) {
    const ring = new PcapRing({ file: recording(2_000), directory })
    const starting = ring.start().catch(() => {})
    if (i % 2 === 0) await starting
    if (ring.mode === 'capture') ring.freeze().finished.catch(() => {})
    await ring.close()
    global.gc()
  }
}

async function main() {
  await incidents('main-')
  await failures()
  await endings()
  const worker = new Worker(__filename, { workerData: directory })
  await new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', resolve)
  })
  await worker.terminate()
  global.gc()
  console.log('done')
}

async function inWorker() {
  await incidents('worker-')
  // Left open: the worker is terminated with an incident in progress.
  const ring = new PcapRing({ file: recording(2_000), directory })
  await ring.start()
  ring.freeze()
  parentPort.postMessage('open')
  setInterval(() => {}, 1_000)
}

void (isMainThread ? main() : inWorker())
