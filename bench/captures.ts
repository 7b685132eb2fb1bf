// What captures inside a Node process: this library in three states, and two modules from npm. Runs in bench/host.ts.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { PcapRing, PcapRingOptions } from '../src/index.js'
import { baseline } from './contestants.js'
import type { HostConfig } from './protocol.js'

interface Counted {
  lost: number | null
  received: number | null
  sampling: number | null
}

export interface Capture {
  /** Fulfils in the state that is to be measured. */
  reach(): Promise<void>
  /** At the end of the measured window. */
  note(): void
  /** After the sender's last frame, when nothing is on its way any more. */
  counted(): Promise<Counted>
  /** Milliseconds from freeze() to `flushed`, of one incident. */
  freeze(): Promise<number>
}

const buffer = 2 << 20
const snaplen = 2_048

/** Modules from npm hand packets to a listener; what they did not hand over is lost. */
async function settled(count: () => number): Promise<Counted> {
  for (let before = -1; before !== count(); ) {
    before = count()
    await sleep(500)
  }
  return { lost: null, received: count(), sampling: null }
}

const without: Capture = {
  reach: async () => {},
  note: () => {},
  counted: async () => ({ lost: null, received: null, sampling: null }),
  freeze: async () => {
    throw new Error('nothing to freeze')
  },
}

async function ring({ kind, device, directory, root }: HostConfig): Promise<Capture> {
  const { PcapRing: Ring } = require(join(root, 'lib')) as { PcapRing: typeof PcapRing }
  const options: PcapRingOptions = { device, directory, fallback: false }
  const ring = new Ring(kind === 'pcap-ring-null' ? { ...options, cpuBudget: null } : options)
  await ring.start()
  const incident = kind === 'pcap-ring-capped' ? ring.freeze() : null
  let sampling = 1
  return {
    reach: async () => {
      if (incident === null || incident.state === 'capped') return
      await new Promise((resolve) => ring.once('cap', resolve))
    },
    note: () => {
      sampling = ring.stats().sampling
    },
    counted: async () => {
      // Beyond the latency, and a whole interval.
      for (let i = 0; i < 3; i++) await new Promise((resolve) => ring.once('stats', resolve))
      const lost = ring.stats().total.kernelLoss
      await ring.close()
      return { lost, received: null, sampling }
    },
    freeze: async () => {
      const begun = performance.now()
      const frozen = ring.freeze({ resolution: { packets: 0 } })
      await frozen.flushed
      const took = performance.now() - begun
      await frozen.resolve()
      return took
    },
  }
}

/** npm cap writes packets into a buffer without a reference to it: collected, it would be the end of the process. */
const held: Buffer[] = []

function cap({ device }: HostConfig): Capture {
  interface Cap extends NodeJS.EventEmitter {
    open(device: string, filter: string, bufferSize: number, packet: Buffer): string
  }
  const { Cap } = require('cap') as { Cap: new () => Cap }
  const session = new Cap()
  const packet = Buffer.alloc(65_535)
  held.push(packet)
  let count = 0
  session.on('packet', () => {
    count++
  })
  session.open(device, '', buffer, packet)
  return { ...without, counted: () => settled(() => count) }
}

function pcap({ device }: HostConfig): Capture {
  interface Options {
    buffer_size: number
    snap_length: number
    buffer_timeout: number
    promiscuous: boolean
  }
  const { createSession } = require('pcap') as {
    createSession: (device: string, options: Options) => NodeJS.EventEmitter
  }
  const session = createSession(device, {
    buffer_size: buffer,
    snap_length: snaplen,
    buffer_timeout: 100,
    promiscuous: false,
  })
  let count = 0
  session.on('packet', () => {
    count++
  })
  return { ...without, counted: () => settled(() => count) }
}

export async function capture(config: HostConfig): Promise<Capture> {
  switch (config.kind) {
    case baseline:
      return without
    case 'cap':
      return cap(config)
    case 'pcap':
      return pcap(config)
    default:
      return ring(config)
  }
}
