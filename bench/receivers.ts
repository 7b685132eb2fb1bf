// What a contestant is to the bench while it runs.

import type { Contestant } from './contestants.js'
import { Host } from './node-host.js'
import type { Place } from './processes.js'
import { native, tools } from './programs.js'

export interface Outcome {
  /** Of the frames sent. */
  lost: number | null
  timerMs: number | null
  sampling: number | null
}

export interface Receiver {
  pid: number
  /** Name of the thread whose time is told apart. */
  thread?: string
  /** What to say if it has ended by itself; null while it runs. */
  died(): Error | null
  /** Fulfils in the state that is to be measured; called when traffic flows. */
  reach(): Promise<void>
  /** Right at the end of the window, the sender still sending. */
  note(): void
  /** Starts a timer whose longest delay is told; only of a Node process. */
  timer?(): void
  /** Ends it, when no more frames come. */
  finish(sent: number): Promise<Outcome>
  kill(): void
}

export interface Where {
  place: Place & { netns: string }
  device: string
  /** An empty directory on disk, which the caller removes. */
  scratch: string
  /** Repository, and the compiled bench/receiver.cc. */
  root: string
  receiver: string
}

/** Starts a contestant at its end of the cable; fulfils when it captures. */
export function startReceiver({ kind, name }: Contestant, where: Where): Promise<Receiver> {
  if (kind === 'host') return Host.start(where, name)
  const start = kind === 'native' ? native(name) : tools[name]
  if (start === undefined) throw new Error(`nobody knows how to start ${name}`)
  return start(where)
}
