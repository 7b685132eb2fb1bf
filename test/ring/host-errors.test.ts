// Whose error is it? Each in a process of its own: what nobody handles there, ends it or is printed.

import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { PcapRing } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { type Ended, type HostApi, runHost } from '../support/host.js'
import { recordingOf, scratch } from '../support/replay.js'

const bytes = recordingOf(udpPackets({ pps: 4_000, count: 4_000 }))

interface Given {
  file: string
  /** The same, cut in its last packet. */
  damaged: string
  directory: string
}

function given(t: Test): Given {
  const dir = scratch(t)
  writeFileSync(join(dir, 'x.pcap'), bytes)
  writeFileSync(join(dir, 'cut.pcap'), bytes.subarray(0, -5))
  return { file: join(dir, 'x.pcap'), damaged: join(dir, 'cut.pcap'), directory: join(dir, 'captures') }
}

const strict = ['--unhandled-rejections=strict']
const host = (
  t: Test,
  fn: (api: HostApi<Record<string, unknown>>, given: Given) => unknown,
  nodeArgs: string[] = [],
): Promise<Ended> => runHost(t, { nodeArgs }, fn, given(t)).ended

test('a listener that throws: an uncaught exception, and the ring goes on', async (t) => {
  const { status, stdout } = await host(t, async ({ PcapRing, once }, { file, directory }) => {
    const uncaught: string[] = []
    process.on('uncaughtException', ({ message }, origin) => void uncaught.push(`${origin}: ${message}`))
    const ring = new PcapRing({ file, directory })
    let errors = 0
    ring.on('error', () => void errors++)
    let stats = 0
    for (const name of ['start', 'freeze', 'flush', 'resolve', 'end'] as const) {
      ring.on(name, () => {
        throw new Error(name)
      })
    }
    ring.once('stats', () => {
      ring.freeze().resolve()
      throw new Error('stats')
    })
    ring.on('stats', () => void stats++)
    const end = once(ring, 'close')
    ring.on('stats', () => {
      if (stats === 4) setImmediate(() => ring.close())
    })
    await ring.start()
    await end
    process.stdout.write(JSON.stringify({ uncaught, stats, errors }))
  })
  t.equal(status, 0)
  const { uncaught, stats, errors } = JSON.parse(stdout)
  t.equal(stats, 4)
  t.equal(errors, 0)
  for (const name of ['start', 'stats', 'freeze', 'flush', 'resolve']) {
    t.ok(uncaught.includes(`uncaughtException: ${name}`), name)
  }
})

for (const capture of [false, true]) {
  test(`a listener that rejects: an unhandled rejection${capture ? ', captureRejections on' : ''}`, async (t) => {
    const body = async (
      { PcapRing, once, require }: HostApi<Record<string, unknown>>,
      { file, directory, capture }: Given & { capture: boolean },
    ): Promise<void> => {
      require('node:events').captureRejections = capture
      const unhandled: string[] = []
      process.on('unhandledRejection', (reason) => void unhandled.push((reason as Error).message))
      const ring = new PcapRing({ file, directory })
      let errors = 0
      ring.on('error', () => void errors++)
      for (const name of ['start', 'freeze', 'flush', 'resolve', 'end', 'close'] as const) {
        ring.on(name, async () => {
          throw new Error(name)
        })
      }
      let stats = 0
      ring.on('stats', async () => {
        if (++stats > 1) return
        ring.freeze().resolve()
        throw new Error('stats')
      })
      const end = once(ring, 'end')
      await ring.start()
      await end
      await ring.close()
      await new Promise((resolve) => setTimeout(resolve, 20))
      process.stdout.write(JSON.stringify({ unhandled: unhandled.sort(), stats, errors }))
    }
    const { status, stdout, stderr } = await runHost(t, {}, body, { ...given(t), capture }).ended
    t.equal(status, 0, stderr)
    t.strictSame(JSON.parse(stdout), {
      unhandled: ['close', 'end', 'flush', 'freeze', 'resolve', 'start', 'stats'],
      stats: 4,
      errors: 0,
    })
  })
}

test('without a handler either ends the process, as any other error of the host', async (t) => {
  const thrown = await host(t, async ({ PcapRing }, { file, directory }) => {
    const ring = new PcapRing({ file, directory })
    ring.on('stats', () => {
      throw new Error('of the host')
    })
    await ring.start()
  })
  t.equal(thrown.status, 1)
  t.match(thrown.stderr, /of the host/)
  const rejected = await host(t, async ({ PcapRing }, { file, directory }) => {
    const ring = new PcapRing({ file, directory })
    ring.on('stats', async () => {
      throw new Error('of the host')
    })
    await ring.start()
  })
  t.equal(rejected.status, 1)
  t.match(rejected.stderr, /of the host/)
})

test('a warning nobody listens to goes to process.emitWarning', async (t) => {
  const { status, stdout, stderr } = await host(t, async ({ PcapRing, once }, { damaged, directory }) => {
    const ring = new PcapRing({ file: damaged, directory })
    const warning = once(process, 'warning')
    const end = once(ring, 'end')
    await ring.start()
    await end
    const [{ name, code }] = (await warning) as [Error & { code: string }]
    process.stdout.write(JSON.stringify({ name, code }))
    await ring.close()
  })
  t.equal(status, 0)
  t.strictSame(JSON.parse(stdout), { name: 'PcapRingError', code: 'ERR_PCAP_BAD_FILE' })
  t.match(stderr, /PcapRingError/)
})

test('one that is listened to does not', async (t) => {
  const { status, stderr } = await host(t, async ({ PcapRing, once }, { damaged, directory }) => {
    const ring = new PcapRing({ file: damaged, directory })
    const warned = once(ring, 'warning')
    await ring.start()
    await warned
    await ring.close()
  })
  t.equal(status, 0)
  t.equal(stderr, '')
})

test('no promise is read, whatever goes wrong: no unhandled rejection', async (t) => {
  const { status, stdout, stderr } = await host(
    t,
    async ({ PcapRing, once, require }, { file, directory }) => {
      const { mkdirSync, writeFileSync } = require('node:fs') as typeof import('node:fs')
      mkdirSync(directory)
      for (const id of ['taken', 'taken2', 'taken3']) writeFileSync(`${directory}/incident_${id}.pcap`, '')
      const ring = new PcapRing({ file, directory })
      let warnings = 0
      let failed = 0
      ring.on('warning', () => void warnings++)
      let boundaries = 0
      ring.on('stats', () => {
        boundaries++
        if (boundaries === 1) {
          const taken = ring.freeze({ id: 'taken' })
          taken.resolve()
          taken.resolve()
          ring.freeze({ id: 'a' })
          ring.freeze({ id: 'b', cap: { packets: 3 } }).resolve()
          ring.capture({ id: 'taken2', signal: AbortSignal.timeout(1) })
          ring.capture({ id: 'c', cap: { packets: 3 } })
          void ring.freeze({ id: 'taken3' })[Symbol.asyncDispose]()
        }
        if (boundaries === 2) for (const { state } of ring.incidents) failed += state === 'failed' ? 1 : 0
        if (boundaries === 3) {
          ring.freeze({ id: 'd' })
          ring.close()
          ring.close()
        }
      })
      const close = once(ring, 'close')
      await ring.start()
      await close
      for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
      process.stdout.write(JSON.stringify({ warnings, failed }))
    },
    strict,
  )
  t.equal(status, 0, stderr)
  t.strictSame(JSON.parse(stdout), { warnings: 3, failed: 0 })
})

test('a started ring keeps the process alive; unref() lets it go', async (t) => {
  const { status, stdout } = await host(t, async ({ PcapRing, once }, { file, directory }) => {
    const ring = new PcapRing({ file, directory }).unref()
    const end = once(ring, 'end')
    ring.ref()
    await ring.start()
    // Nothing but the ring keeps the process until here.
    await end
    process.on('exit', () => void process.stdout.write(ring.mode))
    ring.unref()
  })
  t.equal(status, 0)
  t.equal(stdout, 'capture')
})

test('a process that just exits leaves a file that can be recovered, or none', async (t) => {
  const all = given(t)
  const { status } = await runHost(
    t,
    {},
    async ({ PcapRing }, { file, directory }) => {
      const ring = new PcapRing({ file, directory })
      ring.once('stats', async () => {
        await ring.freeze({ id: 'x' }).flushed
        process.exit(7)
      })
      await ring.start()
    },
    all,
  ).ended
  t.equal(status, 7)
  const ring = new PcapRing({ file: all.file, directory: all.directory })
  await ring.start()
  await ring.close()
  t.strictSame(readdirSync(all.directory).sort(), ['incident_x.json', 'incident_x.pcap'])
})
