// From the core's event to the host's and to the command's lines, without a core: what makes an onset is judged elsewhere.

import type { Test } from 'tap'
import { test } from 'tap'

import type { captureCommand, watchCommand } from '../../src/cli/live-command.js'
import type { Onset, PcapRing, PcapRingOptions } from '../../src/index.js'
import type { Addon, NativeConfig, NativeListener, NativeRing } from '../../src/native.js'

const onset: Onset = {
  at: '2024-01-01T00:00:03.000000Z',
  pps: 52_100,
  bps: 26_675_200,
  baselinePps: 1_000,
  baselineBps: 512_000,
}

/** A core that captures nothing; `tell` speaks in its place. */
class SilentCore implements NativeRing {
  static last: SilentCore
  readonly config: NativeConfig
  readonly tell: (name: string, data?: unknown, handle?: number) => void

  constructor(config: NativeConfig, listener: NativeListener) {
    SilentCore.last = this
    this.config = config
    this.tell = (name, data, handle = 0) => listener(name, handle, data === undefined ? '' : JSON.stringify(data), 0)
  }
  start(): void {
    setImmediate(() => this.tell('started', { mode: 'capture', device: 'eth0' }))
  }
  close(): void {
    setImmediate(() => {
      this.tell('onset', onset)
      this.tell('closed')
    })
  }
  resolve(handle: number): void {
    setImmediate(() => this.tell('failed', { code: 'ERR_PCAP_WRITE', message: 'no file' }, handle))
  }
  packets(): number {
    return 0
  }
  open(): void {}
  continue(): void {}
  begin(): void {}
  forget(): void {}
  ref(): void {}
  unref(): void {}
  join(): void {}
}

const addon: Pick<Addon, 'Ring'> = { Ring: SilentCore }
const overCore = <T>(t: Test, module: string): T =>
  t.mockRequire<T>(`../../src/${module}`, { '../../src/native.js': { loadAddon: () => addon } })

const ringOver = (t: Test, options?: PcapRingOptions): PcapRing => {
  const sources = overCore<typeof import('../../src/index.js')>(t, 'index.js')
  return new sources.PcapRing(options)
}

test('the core is told of lookback and of what counts as an onset', async (t) => {
  const told = async (options?: PcapRingOptions): Promise<unknown[]> => {
    const ring = ringOver(t, options)
    await ring.start()
    await ring.close()
    const { lookback, onsetFactor, onsetMinPps, onsetMinBps } = SilentCore.last.config
    return [lookback, onsetFactor, onsetMinPps, onsetMinBps]
  }
  t.strictSame(await told(), [10_000, 8, 1_000, 10_000_000])
  t.strictSame(await told({ lookback: 0, onset: { minPps: 50 } }), [0, 8, 50, 10_000_000])
  t.strictSame(await told({ lookback: '2m', onset: { factor: 2.5, minBps: 0 } }), [120_000, 2.5, 1_000, 0])
})

test('an onset is an event, and none after close()', async (t) => {
  const ring = ringOver(t)
  const heard: Onset[] = []
  ring.on('onset', (each) => heard.push(each))
  await ring.start()
  SilentCore.last.tell('onset', onset)
  t.strictSame(heard, [onset])
  await ring.close()
  t.strictSame(heard, [onset])
})

interface Written {
  out: string[]
  err: string[]
}

async function run(t: Test, command: 'watch' | 'capture', json: boolean): Promise<Written> {
  const live = overCore<{ watchCommand: typeof watchCommand; captureCommand: typeof captureCommand }>(
    t,
    'cli/live-command.js',
  )
  const written: Written = { out: [], err: [] }
  const output = {
    out: (text: string) => void written.out.push(text),
    err: (line: string) => void written.err.push(line),
    status: () => {},
    color: false,
    width: 80,
  }
  const args = {
    device: 'eth0',
    directory: 'captures',
    filter: undefined,
    format: 'pcap',
    archive: undefined,
    json,
  } as const
  const stop = new AbortController()
  const ended =
    command === 'watch'
      ? live.watchCommand(
          { ...args, command, keep: undefined, pps: 1_000, bps: undefined, baseline: null },
          output,
          stop.signal,
        )
      : live.captureCommand({ ...args, command, packets: 1, duration: 1 }, output, stop.signal)
  // The core says `started` in the turn after.
  setImmediate(() =>
    setImmediate(() => {
      SilentCore.last.tell('onset', onset)
      stop.abort()
    }),
  )
  await ended.catch(() => {})
  return written
}

test('the command says so in a line', async (t) => {
  const { out, err } = await run(t, 'watch', false)
  t.strictSame(out, [])
  t.equal(err.at(-1), `onset at ${onset.at} kept: 52.1 kpps, 26.7 Mbit/s (before: 1.0 kpps, 512.0 kbit/s)`)
})

test('as JSON: the onset, at its own time', async (t) => {
  const { out, err } = await run(t, 'watch', true)
  t.strictSame(err, [])
  const events = out.map((line) => JSON.parse(line))
  t.strictSame(
    events.filter(({ event }) => event === 'onset'),
    [{ v: 1, event: 'onset', time: onset.at, data: onset }],
  )
})

test('a manual capture shows none, so nothing is said of it', async (t) => {
  const { err } = await run(t, 'capture', false)
  t.strictSame(err, ['capturing on eth0 for 1 ms'])
})
