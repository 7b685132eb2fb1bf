import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { PcapRingError } from './errors.js'
import type { Device } from './types.js'

/** What a ring of the addon is made with. Durations in ms, sizes in bytes; `''` and `null` stand for "not given". */
export interface NativeConfig {
  replay: boolean
  path: string
  bytes: Uint8Array | null
  paced: boolean
  device: string
  filter: string
  direction: string
  /** 0 in a replay: the recording's. */
  snaplen: number
  promiscuous: boolean
  ringPackets: number
  ringBytes: number
  lookback: number
  onsetFactor: number
  onsetMinPps: number
  onsetMinBps: number
  kernelBuffer: number
  latency: number
  /** 0: none. */
  cpuBudget: number
  fallBack: boolean
  statsInterval: number
  precision: string
  format: string
  directory: string
  /** Bytes; below 0: the default. */
  minFree: number
  /** ms, bytes; below 0: no bound. */
  keepAge: number
  keepBytes: number
  /** Whether finished captures are handed to an archive. */
  delivers: boolean
  version: string
  nodeVersion: string
}

/** What the addon is asked to record. `reason`, `labels` and `attack` are JSON texts; `Infinity` is no bound. */
interface NativeRecording {
  handle: number
  kind: 'incident' | 'manual' | 'dump'
  id: string
  path: string
  reportPath: string
  reason: string
  labels: string
  attack: string
  /** Of the capture file itself, where its format has comments. */
  comment: string
  since: bigint | null
  capPackets: number
  capBytes: number
  capDuration: number
  resolutionPackets: number
  resolutionDuration: number
  resolutionReserve: boolean
  statsInterval: number
}

/**
 * The events of native/incident/session.h: `json` is the text of what goes with one, `boundary` the number to hand to
 * `continue()` when the listeners of a lock-step `stats` are done, else 0. Each comes in a turn of its own.
 */
export type NativeListener = (name: string, handle: number, json: string, boundary: number) => void

/** The `Ring` of native/binding/ring_wrap.h. After `closed` there are no more events, and `join()` must be called; before,
 * it waits. */
export interface NativeRing {
  start(): void
  open(recording: NativeRecording): void
  resolve(handle: number, withResolution: boolean): void
  continue(boundary: number): void
  begin(): void
  close(): void
  packets(handle: number): number
  forget(handle: number): void
  ref(): void
  unref(): void
  join(): void
}

/** What the kernel and libpcap tell; null: nothing. */
export interface HostFacts {
  libpcap: string
  clock: { synchronised: boolean | null; maxErrorUs: number | null }
  offloads: Record<'gro' | 'lro' | 'tso' | 'gso', boolean | null>
}

export interface Addon {
  Ring: new (config: NativeConfig, listener: NativeListener) => NativeRing
  devices(): Device[]
  host(device: string): HostFacts
  /** `pps` 0: as many as go. */
  sendToLoopback: (ms: number, pps: number, done: (error: Error | null, sent: number, tookMs: number) => void) => void
}

const packageName = '@flowtriq/pcap-ring'
/** Asked for late: in a bundle of ES modules there is no __dirname. */
const root = (): string => join(__dirname, '..')

/** Whether this file stands in another place than the package has it in. */
function isBundled(): boolean {
  try {
    const { name } = JSON.parse(readFileSync(join(root(), 'package.json'), 'utf8')) as { name?: unknown }
    return name !== packageName
  } catch {
    return true
  }
}

const remedy = (): string =>
  isBundled()
    ? `A bundle has no addon in it: tell your bundler that ${packageName} is external (esbuild: --external:${packageName}), and ` +
      'install it where the bundle runs.'
    : 'Capture is for Linux: the package brings addons for x64 and arm64 with glibc 2.31 or newer; elsewhere build one, ' +
      `with a C++20 compiler, make, python3 and libpcap-dev: npm rebuild ${packageName}`

let addon: Addon | undefined

/**
 * The addon, loaded when it is first needed: importing this library must work anywhere.
 * @throws {PcapRingError} `ERR_PCAP_NATIVE_MISSING`
 */
export function loadAddon(): Addon {
  if (addon !== undefined) return addon
  try {
    const load = require('node-gyp-build') as (directory: string) => Addon
    addon = load(root())
    return addon
  } catch (cause) {
    throw new PcapRingError(
      'ERR_PCAP_NATIVE_MISSING',
      `the native addon for ${process.platform}-${process.arch} cannot be loaded (${(cause as Error).message.split('\n')[0]}). ${remedy()}`,
      { cause },
    )
  }
}
