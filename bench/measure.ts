// One sample: a contestant, a rate and a size, from the start of the receiver to its account.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Namespace } from '../test/support/netns.js'
import type { Contestant } from './contestants.js'
import { cpuTimes, memory, softirqThread, threadTime } from './proc.js'
import { type Receiver, startReceiver, type Where } from './receivers.js'
import type { Sample } from './samples.js'
import { Sender, type Traffic } from './sender.js'

/** The bench's own ground. */
export interface Ground {
  root: string
  here: Namespace
  there: Namespace
  senderCore: number
  receiverCore: number
  /** Compiled programs. */
  sender: string
  receiver: string
  /** Directory on disk for what contestants write. */
  scratch: string
}

export const settleMs = 1_000

const now = (): number => Number(process.hrtime.bigint())

/** Runs something with a place for a receiver and an empty directory, which is removed whatever becomes of it. */
export async function withPlace<T>(ground: Ground, run: (where: Where) => Promise<T>): Promise<T> {
  mkdirSync(ground.scratch, { recursive: true })
  const scratch = mkdtempSync(join(ground.scratch, 'sample-'))
  try {
    return await run({
      place: { netns: ground.here.name, core: ground.receiverCore },
      device: ground.here.device,
      scratch,
      root: ground.root,
      receiver: ground.receiver,
    })
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

export const startSender = (ground: Ground, traffic: Traffic): Promise<Sender> =>
  Sender.start(ground.sender, { netns: ground.there.name, device: ground.there.device }, ground.senderCore, traffic)

interface Reading {
  at: number
  offered: number
  sender: number
  softirq: number
  receiver: number
  thread: number
}

const between = (begin: Reading, end: Reading, what: keyof Reading): number => end[what] - begin[what]

type Measured = Omit<Sample, 'bench' | 'round' | 'contestant' | 'rate' | 'pattern' | 'bytes'>

export interface Lengths {
  /** Of the window in which CPU time is measured. */
  seconds: number
  /** Of what follows for Node processes: a timer, which by itself takes more CPU time than a ring does. */
  timerSeconds: number
}

async function window(
  ground: Ground,
  receiver: Receiver,
  sender: Sender,
  { seconds, timerSeconds }: Lengths,
): Promise<Measured> {
  const softirq = softirqThread(ground.senderCore)
  const read = (): Reading => {
    const dead = receiver.died()
    if (dead !== null) throw dead
    const { all, named } = cpuTimes(receiver.pid, receiver.thread)
    return {
      at: now(),
      offered: sender.passed,
      sender: cpuTimes(sender.pid).all,
      softirq: threadTime(softirq),
      receiver: all,
      thread: named,
    }
  }
  await receiver.reach()
  await sleep(settleMs)
  const begin = read()
  await sleep(seconds * 1_000)
  const end = read()
  receiver.note()
  const { pssKib, kernelRingKib } = memory(receiver.pid)
  if (timerSeconds > 0 && receiver.timer !== undefined) {
    receiver.timer()
    await sleep(timerSeconds * 1_000)
  }
  const sent = await sender.stop()
  const outcome = await receiver.finish(sent)
  return {
    windowNs: between(begin, end, 'at'),
    offered: between(begin, end, 'offered'),
    senderNs: between(begin, end, 'sender'),
    softirqNs: between(begin, end, 'softirq'),
    receiverNs: between(begin, end, 'receiver'),
    // There is no capture thread in a process without a ring.
    threadNs: end.thread === 0 ? null : between(begin, end, 'thread'),
    sent,
    pssKib,
    kernelRingKib,
    ...outcome,
  }
}

export function measure(ground: Ground, contestant: Contestant, traffic: Traffic, lengths: Lengths): Promise<Measured> {
  return withPlace(ground, async (where) => {
    const receiver = await startReceiver(contestant, where)
    try {
      const sender = await startSender(ground, traffic)
      try {
        return await window(ground, receiver, sender, lengths)
      } finally {
        sender.kill()
      }
    } finally {
      receiver.kill()
    }
  })
}
