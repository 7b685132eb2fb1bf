// A Node process that is measured: it holds a capture, or none, and has a 10 ms timer when it is told to.
// Usage: node host.js CONFIG (JSON, see bench/protocol.ts), with an IPC channel.

import { setTimeout as sleep } from 'node:timers/promises'

import { type Capture, capture } from './captures.js'
import type { Answer, HostConfig, Order } from './protocol.js'

const now = (): number => Number(process.hrtime.bigint())

const periodNs = 10_000_000
let longestDelayMs: number | null = null
let ticking = false

function tick(due: number): void {
  const came = now()
  longestDelayMs = Math.max(longestDelayMs ?? 0, (came - due) / 1e6)
  if (ticking) arm(came + periodNs)
}
// One at a time: an interval would make up for what it missed, and a delay would be seen once only anyway.
const arm = (due: number): unknown => setTimeout(tick, periodNs / 1e6, due)

async function freezes(held: Capture, count: number, forMs: number): Promise<number[]> {
  const end = Date.now() + forMs
  const taken: number[] = []
  while (taken.length < count && Date.now() < end) {
    taken.push(await held.freeze())
    // At any phase of the blocks that the kernel hands over every 100 ms.
    await sleep(Math.random() * 100)
  }
  return taken
}

async function obey(held: Capture, order: Order): Promise<Answer | null> {
  switch (order.do) {
    case 'reach':
      await held.reach()
      return { done: null }
    case 'note':
      held.note()
      return null
    case 'timer':
      ticking = true
      arm(order.from + periodNs)
      return null
    case 'result':
      // What follows is no flood any more; the tick that is due is waited for.
      ticking = false
      return { done: { ...(await held.counted()), timerMs: longestDelayMs } }
    case 'freeze':
      return { done: await freezes(held, order.count, order.forMs) }
  }
}

async function main(): Promise<void> {
  const config = JSON.parse(process.argv[2] ?? '') as HostConfig
  const answer = (message: Answer): unknown => process.send?.(message)
  process.on('disconnect', () => process.exit())
  const failed = (error: unknown): unknown => answer({ failed: error instanceof Error ? error.message : String(error) })
  try {
    const held = await capture(config)
    process.on('message', (order: Order) => {
      obey(held, order).then((message) => message !== null && answer(message), failed)
    })
    answer({ ready: true })
  } catch (error) {
    failed(error)
  }
}

void main()
