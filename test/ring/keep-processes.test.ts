// Two processes that keep within the same bytes of one directory.

import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'tap'

import { udpPackets } from '../support/generate.js'
import { Host, type HostApi } from '../support/host.js'
import { recordingOf, replay, ringOf, scratch } from '../support/replay.js'

interface Job {
  file: string
  directory: string
  bytes: number
  name: string
}

interface Done {
  expired: string[]
  open: string | null
}

/** One incident after the other, beside one that stays open until the end. */
const incidents = async ({ PcapRing, once }: HostApi<unknown>, { bytes, name, ...options }: Job): Promise<Done> => {
  const ring = new PcapRing({ ...options, keep: { bytes } })
  const expired: string[] = []
  ring.on('expire', (path) => expired.push(path))
  const end = once(ring, 'end')
  await ring.start()
  await end
  const open = ring.freeze({ id: `${name}open` })
  await open.flushed
  for (let i = 0; i < 12; ++i) await ring.freeze({ id: `${name}${i}` }).resolve()
  const { file } = await open.resolve()
  await ring.close()
  return { expired, open: file }
}

test('each is removed once, the oldest first, and none that is open in the other', async (t) => {
  const directory = scratch(t)
  const file = join(scratch(t), 'x.pcap')
  writeFileSync(file, recordingOf(udpPackets({ pps: 1_000, count: 600 })))
  const first = ringOf(t, { file, directory })
  await replay(first)
  await first.freeze({ id: 'first' }).resolve()
  await first.close()
  const sizeOf = (names: string[]): number => names.reduce((sum, name) => sum + statSync(join(directory, name)).size, 0)
  const bytes = Math.floor(sizeOf(readdirSync(directory)) * 5.5)

  const hosts = await Promise.all(['a', 'b'].map(() => Host.start(t)))
  const done = await Promise.all(
    hosts.map((host, i) =>
      host.call<unknown, Done, Job>(incidents, { file, directory, bytes, name: 'ab'[i] as string }),
    ),
  )
  const expired = done.flatMap((one) => one.expired.map((path) => basename(path)))
  t.equal(new Set(expired).size, expired.length, `${expired.length} are removed, each by one`)
  t.ok(expired.length >= 20 && expired.includes('incident_first.pcap'))
  t.ok(
    done.every(({ open }) => open !== null),
    'what was open was finished',
  )

  const left = readdirSync(directory)
  t.ok(sizeOf(left) <= bytes, `${sizeOf(left)} of ${bytes} bytes are left`)
  const kept = left.filter((name) => name.endsWith('.pcap'))
  t.equal(left.length, 2 * kept.length, 'captures and their reports')
  t.equal(kept.length + expired.length, 2 * 13 + 1, 'none is gone that nobody told of')
  for (const name of ['a', 'b']) {
    const numbers = (names: string[]): number[] => {
      const ids = names.map((one) => new RegExp(`^incident_${name}(\\d+)\\.pcap$`).exec(one)?.[1])
      return ids.filter((id) => id !== undefined).map(Number)
    }
    t.ok(Math.max(...numbers(expired)) < Math.min(...numbers(kept)), `the oldest of ${name}`)
  }
})
