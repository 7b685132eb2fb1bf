// The suite's traffic: test/support/sender.c, compiled when it is first needed.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'

import type { Namespace } from './netns.js'
import { noTool } from './netns.js'

/** Why nothing can be sent; false when it can. For tap's `skip`. */
export const noSender: string | false = noTool('cc')

let binary: string | undefined

/** Path of the compiled sender. */
function senderPath(): string {
  if (binary !== undefined) return binary
  const source = resolve(__dirname, 'sender.c')
  const directory = resolve(__dirname, '../../build/test')
  const path = join(directory, 'sender')
  if (!existsSync(path) || statSync(path).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(directory, { recursive: true })
    // Test files run side by side: each compiles for itself, and a rename is never half done.
    const own = `${path}-${process.pid}`
    const { status, stderr, error } = spawnSync('cc', ['-O2', '-o', own, source, '-lm'], { encoding: 'utf8' })
    if (status !== 0) throw new Error(`sender.c does not compile: ${error?.message ?? stderr}`)
    renameSync(own, path)
  }
  binary = path
  return path
}

export interface Traffic {
  /** Frames; at most 20 seconds' worth are sent. */
  count: number
  /** 0: as many as go. @default 1000 */
  pps?: number
  /** Spaced evenly, by a Poisson process, or in bursts that come by one. @default 'even' */
  pattern?: 'even' | 'poisson' | 'bursty'
  /** Frames in a burst, back to back. @default 20 */
  burst?: number
  /** `FROM:TO:MS`: packets a second that grow from one to the other within that time, and stay there. */
  ramp?: `${number}:${number}:${number}`
  /** Of a ramp. @default 'linear' */
  curve?: 'linear' | 'exponential'
  /** `N:MS` or `N:MS:MS`: N frames back to back all so many ms, or a random number of them between two. */
  pulse?: `${number}:${number}` | `${number}:${number}:${number}`
  /** Of what is random. @default 0 */
  seed?: number
  /** When the first is due, ms since the epoch. @default now */
  at?: number
  /** Within so many ms from the first on the last is sent. */
  for?: number
  /** Bytes of the whole frame. @default 64 */
  size?: number
  /** Sizes from `size` to this, in 32 steps. */
  upto?: number
  /** Number of the first. @default 0 */
  first?: number
  /** Tells senders on one cable apart. @default 0 */
  stream?: number
  /** Source MAC. @default 02:00:00:00:00:01, which is no device's */
  src?: string
  /** Source address. @default 10.99.0.1 */
  ip?: string
  /** What the IP header says that it carries; it is a UDP datagram all the same. @default 17 */
  proto?: number
  /** Destination port. @default 9 */
  port?: number
  /** With an 802.1Q tag in the frame's bytes. */
  vlan?: number
  /** File for when each was sent: see {@link readLog}. */
  log?: string
  /** The one core that it runs on. */
  cpu?: number
  /** 1: the device is a tun device, and the frames' IPv4 packets come in through it. */
  tun?: 1
}

export interface Sending {
  /** Fulfils with the number of frames sent. */
  sent: Promise<number>
  /** Ends it early. */
  stop(): Promise<number>
}

/** Sends numbered frames through a device of a namespace, outwards. */
export function send(
  t: { teardown(fn: () => unknown): void },
  { name, device }: Pick<Namespace, 'name' | 'device'>,
  traffic: Traffic,
): Sending {
  const options = Object.entries(traffic).map(([key, value]) => `${key}=${value}`)
  const child: ChildProcess = spawn('ip', ['netns', 'exec', name, senderPath(), device, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  const sent = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve((JSON.parse(out) as { sent: number }).sent)
      else reject(new Error(`the sender on ${device} ended with ${code}`))
    })
  })
  sent.catch(() => {})
  const stop = (): Promise<number> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    return sent
  }
  t.teardown(() => stop().catch(() => {}))
  return { sent, stop }
}

/** The number of a frame of the sender's, when it was sent (ns since the epoch), and its stream. */
export function frameOf(data: Buffer): { number: number; sentAt: bigint; stream: number } {
  // Behind an Ethernet header, a tagged one, or none.
  const at = data[0] === 0x45 ? 28 : data.readUInt16BE(12) === 0x8100 ? 46 : 42
  return {
    number: Number(data.readBigUInt64LE(at)),
    sentAt: data.length < at + 16 ? 0n : data.readBigUInt64LE(at + 8),
    stream: data.length < at + 18 ? 0 : data.readUInt16LE(at + 16),
  }
}
