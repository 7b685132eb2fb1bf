// Whose error is it? Each in a process of its own: what nobody handles there, ends it or is printed.

import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { udpPackets } from '../support/generate.js'
import { type Ended, type HostApi, runHost } from '../support/host.js'
import { range, recordingOf, scratch, sequencesIn } from '../support/replay.js'

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

const sha256Of = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex')

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
      // One of each listener, and a turn in which one too many would come.
      while (unhandled.length < 7) await new Promise((resolve) => setImmediate(resolve))
      await new Promise((resolve) => setImmediate(resolve))
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
          void ring.close()
          void ring.close()
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

test('nor of start() and dump(), whatever they reject with', async (t) => {
  const { status, stdout, stderr } = await host(
    t,
    async ({ PcapRing }, { file, directory }) => {
      const settled = async (): Promise<void> => {
        for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve))
      }
      const missing = new PcapRing({ file: '/nonexistent/x.pcap', directory })
      void missing.start()
      void missing.start()
      void missing.start(5 as unknown as object)
      void missing.start({ signal: AbortSignal.abort() })
      void missing.start({ signal: AbortSignal.timeout(1) })
      void missing.dump(`${directory}/x.pcap`)
      void missing.dump(5 as unknown as string)
      await missing.start().catch(() => {})
      const ring = new PcapRing({ file, directory })
      void ring.start()
      await ring.close()
      void ring.start()
      void ring.dump(`${directory}/x.pcap`)
      const other = new PcapRing({ file, directory })
      await other.start()
      await other.dump(`${directory}/x.pcap`)
      void other.dump(`${directory}/x.pcap`)
      void other.dump(`${directory}/none/x.pcap`)
      await other.close()
      await settled()
      process.stdout.write('done')
    },
    strict,
  )
  t.strictSame({ status, stdout, stderr }, { status: 0, stdout: 'done', stderr: '' })
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

test('unref() before start(): who awaits start() and close() hears of them', async (t) => {
  const { status, stdout, stderr } = await host(t, async ({ PcapRing }, { file, directory }) => {
    const ring = new PcapRing({ file, directory }).unref()
    await ring.start()
    process.stdout.write('started ')
    ring.unref()
    const incident = ring.freeze()
    await ring.close()
    process.stdout.write('closed ')
    process.stdout.write((await incident.finished).error ?? 'whole')
  })
  t.strictSame({ status, stdout, stderr }, { status: 0, stdout: 'started closed whole', stderr: '' })
})

test('a start that fails although unref() was called is told, too', async (t) => {
  const { status, stdout } = await host(t, async ({ PcapRing }, { directory }) => {
    const ring = new PcapRing({ file: '/nonexistent/x.pcap', directory }).unref()
    await ring.start().catch(({ code }) => process.stdout.write(code))
  })
  t.strictSame({ status, stdout }, { status: 0, stdout: 'ERR_PCAP_BAD_FILE' })
})

test('abort(null) while the ring starts: start() rejects with null, and the ring can be started again', async (t) => {
  const { status, stdout, stderr } = await host(t, async ({ PcapRing }, { file, directory }) => {
    const ring = new PcapRing({ file, directory })
    let closes = 0
    ring.on('close', () => void closes++)
    const stop = new AbortController()
    const outcome = ring.start({ signal: stop.signal }).then(
      () => 'started',
      (reason) => reason,
    )
    stop.abort(null)
    const reason = await outcome
    const { mode } = ring
    await ring.start()
    process.stdout.write(JSON.stringify({ reason, mode, closes, after: ring.mode }))
    await ring.close()
  })
  t.equal(status, 0, stderr)
  t.strictSame(JSON.parse(stdout), { reason: null, mode: 'idle', closes: 0, after: 'capture' })
})

for (const how of ['process.exit()', 'an error that nobody catches'] as const) {
  test(`${how} with incidents open: whole files under their final names`, async (t) => {
    const all = given(t)
    const { status, stderr } = await runHost(
      t,
      {},
      async ({ PcapRing, once }, { file, directory, how }) => {
        const { readdirSync } = await import('node:fs')
        const rings = ['x', 'y'].map((id) => ({ id, ring: new PcapRing({ file, directory }) }))
        for (const { id, ring } of rings) {
          const end = once(ring, 'end')
          await ring.start()
          await end
          await ring.freeze({ id }).flushed
        }
        // After ours: what is there when the process goes.
        process.on('exit', () => {
          const names = readdirSync(directory).filter((name) => name.endsWith('.part'))
          if (names.length > 0) process.exitCode = 99
        })
        if (how === 'process.exit()') process.exit(7)
        setImmediate(() => {
          throw new Error('of the host')
        })
      },
      { ...all, how },
    ).ended
    t.equal(status, how === 'process.exit()' ? 7 : 1, stderr)
    t.strictSame(
      readdirSync(all.directory).sort(),
      ['x', 'y'].flatMap((id) => [`incident_${id}.json`, `incident_${id}.pcap`]),
    )
    for (const id of ['x', 'y']) {
      const stem = join(all.directory, `incident_${id}`)
      const report = JSON.parse(readFileSync(`${stem}.json`, 'utf8'))
      t.match(report, { id, packets: 500, error: null, recovered: false, sha256: sha256Of(`${stem}.pcap`) })
      t.strictSame(sequencesIn(`${stem}.pcap`), range(3_500, 500))
    }
  })
}

test('no listener of ours stays on the process: after close(), after a start that failed', async (t) => {
  const { status, stdout } = await host(t, async ({ PcapRing }, { file, directory }) => {
    const count = (): number => process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0)
    const before = count()
    const rings = Array.from({ length: 12 }, () => new PcapRing({ file, directory }))
    await Promise.all(rings.map((ring) => ring.start()))
    const during = count()
    await new PcapRing({ file: '/nonexistent/x.pcap', directory }).start().catch(() => {})
    await Promise.all(rings.map((ring) => ring.close()))
    process.stdout.write(JSON.stringify([during - before, count() - before]))
  })
  t.strictSame({ status, stdout }, { status: 0, stdout: '[1,0]' })
})
