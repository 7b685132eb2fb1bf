// What a host's process has open and runs: the same before something befell it and after.

import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'

import type { Host } from './host.js'
import { notSanitized } from './sanitizer.js'

export interface Census {
  /** What each descriptor leads to, without numbers. */
  descriptors: string[]
  threads: string[]
}

export const census = (host: Host): Promise<Census> =>
  host.call(async ({ require, restingThreads }) => {
    const { readdirSync, readlinkSync } = require('node:fs') as typeof import('node:fs')
    const descriptors = readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`).replace(/\d+/g, 'N')]
      } catch {
        return [] // the one that this was read through
      }
    })
    return { descriptors: descriptors.sort(), threads: (await restingThreads()).sort() }
  })

/** The census to compare others with: once it stays the same, as the writer closes what an incident had open just behind its end. */
export async function censusAtRest(host: Host): Promise<Census> {
  let now = await census(host)
  for (let same = 0; same < 3; ) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    const next = await census(host)
    same = isDeepStrictEqual(next, now) ? same + 1 : 0
    now = next
  }
  return now
}

/** The census once it is the same. */
export async function sameAsBefore(t: Test, host: Host, before: Census): Promise<void> {
  let now = await census(host)
  for (let tries = 0; tries < 40 && !isDeepStrictEqual(now, before); ++tries) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    now = await census(host)
  }
  t.same(now, before, 'nothing is left')
}

/** KiB that are no file's, of a host that was started with --expose-gc. */
export const memory = (host: Host): Promise<number> =>
  host.call(({ require }) => {
    const { readFileSync } = require('node:fs') as typeof import('node:fs')
    gc?.()
    return Number(/^RssAnon:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
  })

/** What was used is given back: all but what Node’s heap and the allocator may have come to hold meanwhile, of which 2 MiB was seen. */
export async function memoryGivenBack(t: Test, host: Host, before: number): Promise<void> {
  // A sanitizer holds back what was freed.
  if (notSanitized('memory')) return
  const most = before + 3 * 1024
  let now = await memory(host)
  for (let tries = 0; tries < 40 && !(now <= most); ++tries) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    now = await memory(host)
  }
  t.ok(now <= most, `memory: ${before} KiB before, ${now} KiB after`)
}
