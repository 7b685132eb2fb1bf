// What close() does not wait for, and what is told no more once it was called.

import { closeSync, mkdirSync, openSync, readdirSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { udpPackets } from '../support/generate.js'
import { Host, runHost } from '../support/host.js'
import { pcapBytes, words } from '../support/recording.js'
import { recordingOf, scratch } from '../support/replay.js'

test('a listener that freezes never hears of figures after close()', async (t) => {
  const directory = scratch(t)
  const file = join(directory, 'x.pcap')
  writeFileSync(file, recordingOf(udpPackets({ pps: 1_000, count: 20_000 })))
  const { ended } = runHost(
    t,
    {},
    async ({ PcapRing, once }, options) => {
      const told: string[] = []
      process.on('uncaughtException', (error) => void told.push(error.message))
      for (let round = 0; round < 20; round++) {
        const ring = new PcapRing(options)
        let closing = false
        ring.on('stats', () => {
          if (closing) told.push('figures after close()')
          ring.freeze()
        })
        await ring.start()
        await once(ring, 'stats')
        const [incident] = ring.incidents
        // Nothing is heard while this thread is busy: figures of two more intervals are waiting at the close.
        const until = (incident?.packets ?? 0) + 150
        while ((incident?.packets ?? until) < until);
        closing = true
        await ring.close()
      }
      console.log(JSON.stringify(told))
    },
    {
      file,
      pace: 'recorded',
      directory: join(directory, 'captures'),
      statsInterval: 50,
      ring: { packets: 10 },
    } as const,
  )
  t.strictSame(await ended, { status: 0, signal: null, stdout: '[]\n', stderr: '' })
})

test('close() while a large part is being recovered: soon, and the part is left', async (t) => {
  const directory = join(scratch(t), 'captures')
  mkdirSync(directory)
  const part = join(directory, 'incident_large.pcap.part')
  // 4 GB of valid records, of which only the headers take room on the disk.
  const size = 262_144
  const count = 16_000
  writeFileSync(part, pcapBytes([]))
  const fd = openSync(part, 'r+')
  for (let i = 0; i < count; i++)
    writeSync(fd, words('LE', 1_700_000_000 + i, 0, size, size), 0, 16, 24 + i * (16 + size))
  closeSync(fd)
  const bytes = 24 + count * (16 + size)
  truncateSync(part, bytes)
  const host = await Host.start(t)
  const { took, outcome } = await host.call(
    async ({ PcapRing, require }, [directory, part]) => {
      const { readdirSync, readlinkSync } = require('node:fs') as typeof import('node:fs')
      const open = (): boolean =>
        readdirSync('/proc/self/fd').some((fd) => {
          try {
            return readlinkSync(`/proc/self/fd/${fd}`) === part
          } catch {
            return false
          }
        })
      const ring = new PcapRing({ file: Buffer.alloc(0), directory })
      const outcome = ring.start().then(
        () => 'started',
        ({ code }) => code as string,
      )
      while (!open()) await new Promise((resolve) => setImmediate(resolve))
      const start = process.hrtime.bigint()
      await ring.close()
      return { took: Number(process.hrtime.bigint() - start) / 1e6, outcome: await outcome }
    },
    [directory, part] as [string, string],
  )
  t.equal(outcome, 'ERR_PCAP_CLOSED')
  // latency + 1 s, threefold.
  t.ok(took < 3_300, `close() took ${took} ms`)
  t.strictSame(readdirSync(directory), ['incident_large.pcap.part'])
  t.equal(statSync(part).size, bytes, 'as it was')
})
