// A Node process that is measured: it holds a capture, or none, and may have a 10 ms timer whose delays it keeps.
// Usage: node host.js CONFIG (JSON, see bench/protocol.ts), with an IPC channel.

import { setTimeout as sleep } from 'node:timers/promises'

import { type Capture, capture } from './captures.js'
import type { Answer, HostConfig, Order, Window } from './protocol.js'

const now = (): number => Number(process.hrtime.bigint())

const periodNs = 10_000_000
/** When it was due and when it came, ns. */
const ticks: { due: number; came: number }[] = []

function tick(due: number): void {
  const came = now()
  ticks.push({ due, came })
  arm(came + periodNs)
}
// One at a time: an interval would make up for what it missed, and a delay would be seen once only anyway.
const arm = (due: number): unknown => setTimeout(tick, periodNs / 1e6, due)

/** Of the ticks that were due or came within the window: a tick that a flood holds back beyond its end is as late as it is. */
function longestDelay({ from, to }: Window): number | null {
  if (ticks.length === 0) return null
  const within = ticks.filter(({ due, came }) => came >= from && due <= to)
  return within.reduce((most, { due, came }) => Math.max(most, came - due), 0) / 1e6
}

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
    case 'result':
      return { done: { ...(await held.counted()), timerMs: longestDelay(order.window) } }
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
    if (config.timer) arm(now() + periodNs)
    answer({ ready: true })
  } catch (error) {
    failed(error)
  }
}

main()
