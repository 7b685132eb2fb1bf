// What the programs of this directory share: a host of the library as it could stand anywhere, with the words of every
// runtime only. Run in a project that has the package installed, in a network namespace of its own.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { PcapRing } from '@flowtriq/pcap-ring'
import { readPackets } from '@flowtriq/pcap-ring/testing'

/** Each packet of a link that has Ethernet, IPv4 and UDP in front of it begins here. */
const payloadAt = 42

/** Numbered datagrams to a port of 127.0.0.1 that nobody listens at, a millisecond apart so that none is lost. */
export async function sendNumbered(port, from, to) {
  const socket = createSocket('udp4')
  for (let number = from; number < to; number++) {
    const data = Buffer.alloc(4)
    data.writeUInt32BE(number)
    // The one before was refused at its port; that is told with the next, and no matter.
    await new Promise((resolve) => socket.send(data, port, '127.0.0.1', () => resolve()))
    await sleep(1)
  }
  socket.close()
}

/** A started ring on loopback that has its first packets, numbered from 0. */
export async function ringWith(packets, port, directory) {
  const ring = new PcapRing({ device: 'lo', filter: `udp dst port ${port}`, directory, resolution: { packets: 0 } })
  ring.on('warning', (error) => ring.emit('error', error))
  await ring.start()
  assert.equal(ring.mode, 'capture')
  assert.equal(ring.device, 'lo')
  await sendNumbered(port, 0, packets)
  while (ring.stats().total.packets < packets) await once(ring, 'stats', { signal: AbortSignal.timeout(10_000) })
  return ring
}

/** An incident of 50 packets before the freeze and 20 behind it; its report. */
export async function captured(port, directory) {
  const ring = await ringWith(50, port, directory)
  const incident = ring.freeze({ reason: 'a test' })
  const flushed = await incident.flushed
  assert.deepEqual([flushed.length, flushed[0].name, flushed[0].packets], [1, 'pre-buffer', 50])
  await sendNumbered(port, 50, 70)
  const report = await incident.resolve()
  assert.equal(incident.state, 'resolved')
  // What `await using` does, where the runtime has it: Node from 20.5 on.
  await (Symbol.asyncDispose === undefined ? ring.close() : ring[Symbol.asyncDispose]())
  assert.equal(ring.mode, 'closed')
  return report
}

/** The file of an incident against its report, and its packets against the numbers that were sent. */
export async function judgeFile(report, numbers) {
  assert.equal(report.error, null)
  const bytes = readFileSync(report.file)
  assert.equal(bytes.length, report.bytes)
  assert.equal(createHash('sha256').update(bytes).digest('hex'), report.sha256)
  const seen = []
  for await (const { data } of readPackets(report.file)) seen.push(Buffer.from(data).readUInt32BE(payloadAt))
  assert.equal(seen.length, report.packets)
  assert.deepEqual(seen, [...Array(numbers).keys()])
  assert.deepEqual(report.loss, { kernel: 0, interface: 0, writer: 0 })
  assert.equal(report.coverage.complete, true)
  assert.deepEqual(JSON.parse(readFileSync(report.file.replace(/pcap$/, 'json'), 'utf8')), report)
}

/** The threads of the library that this process has. */
export function threads() {
  return readdirSync('/proc/self/task')
    .map((task) => readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim())
    .filter((name) => name.startsWith('pcap-ring'))
}
