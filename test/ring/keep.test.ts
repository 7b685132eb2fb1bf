// Finished incidents beyond `keep` are removed, told of by `expire`.

import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'tap'

import { udpPackets } from '../support/generate.js'
import { recordingOf, replay, ringOf, scratch } from '../support/replay.js'

const file = recordingOf(udpPackets({ pps: 1_000, count: 600 }))

test('beyond bytes, after each incident and at the start, the oldest first', async (t) => {
  const directory = scratch(t)
  const first = ringOf(t, { file, directory })
  await replay(first)
  for (const id of ['a', 'b', 'c']) await first.freeze({ id }).resolve()
  await first.close()
  const all = readdirSync(directory).reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
  writeFileSync(join(directory, 'mine.pcap'), 'kept')

  // Room for two with their reports, not for three.
  const bytes = Math.floor((all * 5) / 6)
  const ring = ringOf(t, { file, directory, keep: { bytes } })
  const expired: string[] = []
  ring.on('expire', (path) => {
    t.notOk(existsSync(path), 'it is gone by then')
    expired.push(basename(path))
  })
  await replay(ring)
  t.strictSame(expired, ['incident_a.pcap'])
  await ring.freeze({ id: 'd' }).resolve()
  await ring.close()
  t.strictSame(expired, ['incident_a.pcap', 'incident_b.pcap'])
  t.strictSame(readdirSync(directory).sort(), [
    ...['c', 'd'].flatMap((id) => [`incident_${id}.json`, `incident_${id}.pcap`]),
    'mine.pcap',
  ])
})

test('beyond age, as they grow old, and never an open one', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory, keep: { age: '1s' } })
  await replay(ring)
  const open = ring.freeze({ id: 'open' })
  await open.flushed
  const expired = new Promise<string>((resolve) => ring.once('expire', resolve))
  const { file: path } = await ring.freeze({ id: 'done' }).resolve()
  t.ok(existsSync(path as string))
  t.equal(await expired, path)
  t.strictSame(readdirSync(directory).sort(), ['incident_open.json.part', 'incident_open.pcap.part'])
  t.match(await open.resolve(), { error: null })
})
