// How long a freeze takes until everything from before it is on disk, with a calm machine and with one that is busy.

import { setTimeout as sleep } from 'node:timers/promises'

import { type Ground, settleMs, startSender, withPlace } from './measure.js'
import { Host } from './node-host.js'
import type { Pattern } from './options.js'
import { Process } from './processes.js'

/** In a round, so five rounds give 200. The sender ends after 20 s, whatever a busy machine makes of it. */
export const freezesInRound = 40
const longestMs = 17_000

/** Other work that takes all of both cores. */
function busyWork({ senderCore, receiverCore }: Ground): Process[] {
  return [senderCore, receiverCore].map(
    (core) => new Process({ netns: null, core }, ['sh', '-c', 'while :; do :; done']),
  )
}

/** Milliseconds of each, at 10,000 packets of 64 bytes a second. */
export function freezes(ground: Ground, pattern: Pattern, busy: boolean): Promise<number[]> {
  return withPlace(ground, async (where) => {
    const work = busy ? busyWork(ground) : []
    const host = await Host.start(where, 'pcap-ring').catch((error: unknown) => {
      for (const one of work) one.kill()
      throw error
    })
    try {
      const sender = await startSender(ground, { rate: 10_000, pattern, bytes: 64 })
      try {
        await sleep(settleMs)
        return await host.freeze(freezesInRound, longestMs)
      } finally {
        sender.kill()
      }
    } finally {
      host.kill()
      for (const one of work) one.kill()
    }
  })
}
