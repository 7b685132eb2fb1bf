// Listeners that throw or reject, of each kind: the error is the host's own, and the capture goes on.

import { test } from 'tap'

import type { IncidentReport, PcapRingEvents, PcapRingOptions } from '../../src/index.js'
import { readEvidence, sizes } from '../support/evidence.js'
import { type HostApi, runHost } from '../support/host.js'
import { judgeFiles, reportsIn } from '../support/incident-files.js'
import { comeBackAsTunnel, down, makePair, noNamespaces, removeDevice, up } from '../support/netns.js'
import { range } from '../support/replay.js'
import { frameOf, noSender, send } from '../support/sender.js'

const skip = noNamespaces || noSender

type Api = HostApi<Record<string, unknown>>

const origins = { throws: 'uncaughtException', rejects: 'unhandledRejection' } as const

interface Failing {
  how: keyof typeof origins
  /** `events.captureRejections`, as a host may have set it for all its emitters. */
  captureRejections: boolean
}

interface Given extends Failing {
  options: PcapRingOptions
}

const ways: Failing[] = [false, true].flatMap((captureRejections) =>
  (['throws', 'rejects'] as const).map((how) => ({ how, captureRejections })),
)
const nameOf = ({ how, captureRejections }: Failing): string =>
  `${how}${captureRejections ? ', captureRejections set by the host' : ''}`

const optionsOf = (device: string, directory: string): PcapRingOptions => ({
  device,
  directory,
  statsInterval: 50,
  ring: { packets: 50 },
  kernelBuffer: 8 * 1024 * 1024,
  resolution: { packets: 0 },
})

const numbersOf = (report: IncidentReport): number[] =>
  readEvidence(report).frames.map(({ data }) => frameOf(data).number)

/** All but `end`, which is a replay's (test/ring/host-errors.test.ts), and `error`, which ends the ring (below). */
const kinds = ['start', 'stats', 'warning', 'freeze', 'flush', 'cap', 'resolve', 'down', 'up', 'close'] as const

for (const way of ways) {
  test(`every listener ${nameOf(way)}, and the host survives it`, { skip }, async (t) => {
    const pair = makePair(t)
    const directory = t.testdir({ 'incident_taken.pcap': '' })
    const running = runHost(
      t,
      { netns: pair.here.name },
      async (
        { PcapRing, untilStats, require }: Api,
        { how, captureRejections, options, kinds }: Given & { kinds: readonly (keyof PcapRingEvents)[] },
      ) => {
        require('node:events').captureRejections = captureRejections
        const told: Record<string, string[]> = {}
        const tell = (origin: string, { message }: Error): void => {
          told[origin] ??= []
          if (!told[origin].includes(message)) told[origin].push(message)
        }
        process.on('uncaughtException', (error, origin) => tell(origin, error))
        process.on('unhandledRejection', (reason) => tell('unhandledRejection', reason as Error))
        const ring = new PcapRing(options)
        ring.on('error', (error) => tell('error of the ring', error))
        for (const kind of kinds) {
          const fail = (): never => {
            if (kind !== 'stats') console.log(kind)
            throw new Error(kind)
          }
          ring.on(kind, how === 'throws' ? fail : async () => fail())
        }
        await ring.start()
        await untilStats(ring, ({ total }) => total.packets >= 200)
        const open = ring.freeze({ id: 'open' })
        await open.flushed
        ring.freeze({ id: 'taken' })
        const capped = ring.freeze({ id: 'capped', cap: { packets: 60 } })
        console.log('recording')
        await untilStats(ring, () => capped.state === 'capped' && open.packets >= 450)
        await capped.resolve()
        console.log('take it down')
        await untilStats(ring, () => open.packets >= 700)
        await open.resolve()
        await ring.close()
        // A rejection is told of after the turn that it came in.
        for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
        console.log(JSON.stringify(told))
      },
      { ...way, options: optionsOf(pair.here.device, directory), kinds },
    )
    await running.until(/^start$/m)
    await send(t, pair.there, { count: 200, pps: 4_000 }).sent
    await running.until(/^recording$/m)
    await send(t, pair.there, { count: 400, first: 200, pps: 4_000 }).sent
    await running.until(/^take it down$/m)
    down(pair.here)
    await running.until(/^down$/m)
    up(pair.here)
    await running.until(/^up$/m)
    await send(t, pair.there, { count: 250, first: 600, pps: 4_000 }).sent
    const { stdout, ...how } = await running.ended
    t.same(how, { status: 0, signal: null, stderr: '' })
    const told = JSON.parse(stdout.trimEnd().split('\n').at(-1) as string)
    t.same(Object.keys(told), [origins[way.how]], 'told of as the host own, and in one way')
    t.same(told[origins[way.how]]?.sort(), [...kinds].sort())

    const reports = reportsIn(t, directory, ['incident_taken.pcap'])
    t.same(
      reports.map(({ id, error }) => [id, error]),
      [
        ['capped', null],
        ['open', null],
      ],
    )
    judgeFiles(t, reports)
    const [capped, open] = reports as [IncidentReport, IncidentReport]
    t.equal(capped.packets, 60)
    t.same(numbersOf(open), range(150, 700))
    t.same(sizes(open), { 'pre-buffer': 50, attack: 650 })
  })

  for (const kind of ['stats', 'flush'] as const) {
    test(`a listener of ${kind} that ${nameOf(way)}, and the host does not survive it`, { skip }, async (t) => {
      const pair = makePair(t)
      const directory = t.testdir({})
      const running = runHost(
        t,
        { netns: pair.here.name },
        async (
          { PcapRing, untilStats, require }: Api,
          { how, captureRejections, options, kind }: Given & { kind: 'stats' | 'flush' },
        ) => {
          require('node:events').captureRejections = captureRejections
          const ring = new PcapRing(options)
          ring.on('error', () => console.log('error of the ring'))
          await ring.start()
          await untilStats(ring, (stats) => stats.ring?.packets === 50)
          const open = ring.freeze({ id: 'open' })
          await open.flushed
          const fail = (): never => {
            throw new Error('of the host')
          }
          ring.on(kind, how === 'throws' ? fail : async () => fail())
          if (kind === 'flush') ring.freeze({ id: 'other' })
        },
        { ...way, options: optionsOf(pair.here.device, directory), kind },
      )
      const sending = send(t, pair.there, { count: 20_000 })
      const { stderr, ...how } = await running.ended
      await sending.stop()
      t.same(how, { status: 1, signal: null, stdout: '' })
      t.match(stderr, /^Error: of the host$/m)
      const reports = reportsIn(t, directory)
      t.same(
        reports.map(({ id, error }) => [id, error]),
        (kind === 'flush' ? ['open', 'other'] : ['open']).map((id) => [id, null]),
      )
      judgeFiles(t, reports)
    })
  }
}

// The device comes back with another link type: the one way for a ring to die.

for (const way of ways) {
  test(`a listener of error that ${nameOf(way)}`, { skip }, async (t) => {
    const pair = makePair(t)
    const directory = t.testdir({})
    const running = runHost(
      t,
      { netns: pair.here.name },
      async ({ PcapRing, once, untilStats, require }: Api, { how, captureRejections, options }: Given) => {
        require('node:events').captureRejections = captureRejections
        const told: string[] = []
        process.on('uncaughtException', ({ message }, origin) => void told.push(`${origin}: ${message}`))
        process.on('unhandledRejection', (reason) => void told.push(`unhandledRejection: ${(reason as Error).message}`))
        const ring = new PcapRing(options)
        const fail = ({ code }: { code: string }): never => {
          throw new Error(code)
        }
        ring.on('error', how === 'throws' ? fail : async (error) => fail(error))
        const closed = once(ring, 'close')
        await ring.start()
        await untilStats(ring, (stats) => stats.ring?.packets === 50)
        const open = ring.freeze({ id: 'open' })
        await open.flushed
        console.log('recording')
        await closed
        await ring.close()
        await new Promise((resolve) => setImmediate(resolve))
        console.log(JSON.stringify({ told, mode: ring.mode, state: open.state }))
      },
      { ...way, options: optionsOf(pair.here.device, directory) },
    )
    const sending = send(t, pair.there, { count: 20_000 })
    await running.until(/^recording$/m)
    removeDevice(pair.here)
    comeBackAsTunnel(pair.here)
    const { stdout, ...how } = await running.ended
    await sending.stop()
    t.same(how, { status: 0, signal: null, stderr: '' })
    t.same(JSON.parse(stdout.replace('recording\n', '')), {
      told: [`${origins[way.how]}: ERR_PCAP_DEVICE_GONE`],
      mode: 'closed',
      state: 'failed',
    })
    const reports = reportsIn(t, directory)
    t.same(
      reports.map(({ id, error }) => [id, error]),
      [['open', 'ERR_PCAP_DEVICE_GONE']],
    )
    judgeFiles(t, reports)
  })
}

test('close() of a ring that died is told of, although unref() was called', { skip }, async (t) => {
  const pair = makePair(t)
  const directory = t.testdir({})
  const running = runHost(
    t,
    { netns: pair.here.name },
    async ({ PcapRing, once, untilStats }: Api, options: PcapRingOptions) => {
      const other = setInterval(() => {}, 1_000)
      const ring = new PcapRing(options).unref()
      const died = once(ring, 'error')
      await ring.start()
      await untilStats(ring, (stats) => stats.ring?.packets === 50)
      await ring.freeze({ id: 'open' }).flushed
      console.log('recording')
      const [{ code }] = (await died) as [NodeJS.ErrnoException]
      clearInterval(other)
      await ring.close()
      console.log(code, ring.mode)
    },
    optionsOf(pair.here.device, directory),
  )
  const sending = send(t, pair.there, { count: 20_000 })
  await running.until(/^recording$/m)
  removeDevice(pair.here)
  comeBackAsTunnel(pair.here)
  const ended = await running.ended
  await sending.stop()
  t.same(ended, { status: 0, signal: null, stdout: 'recording\nERR_PCAP_DEVICE_GONE closed\n', stderr: '' })
  judgeFiles(t, reportsIn(t, directory))
})

test('an error that nobody listens to is an uncaught exception, as of every emitter', { skip }, async (t) => {
  const pair = makePair(t)
  const directory = t.testdir({})
  const running = runHost(
    t,
    { netns: pair.here.name },
    async ({ PcapRing, untilStats }: Api, options: PcapRingOptions) => {
      const ring = new PcapRing(options)
      await ring.start()
      await untilStats(ring, (stats) => stats.ring?.packets === 50)
      await ring.freeze({ id: 'open' }).flushed
      console.log('recording')
    },
    optionsOf(pair.here.device, directory),
  )
  const sending = send(t, pair.there, { count: 20_000 })
  await running.until(/^recording$/m)
  removeDevice(pair.here)
  comeBackAsTunnel(pair.here)
  const { stderr, status, signal } = await running.ended
  await sending.stop()
  t.same({ status, signal }, { status: 1, signal: null })
  t.match(stderr, /code: 'ERR_PCAP_DEVICE_GONE'/)
  const reports = reportsIn(t, directory)
  t.same(
    reports.map(({ id, error }) => [id, error]),
    [['open', 'ERR_PCAP_DEVICE_GONE']],
  )
  judgeFiles(t, reports)
})
