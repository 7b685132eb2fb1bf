// Tests under a sanitizer: scripts/test-sanitized.cjs sets what is read here, and judges what was found.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const {
  PCAP_RING_SANITIZER: sanitizer,
  PCAP_RING_SANITIZER_PRELOAD: runtime,
  PCAP_RING_SANITIZER_LOG: log,
} = process.env

/** Loads the sanitizer's addon; beside the library in `root`, like all that it needs. */
const addon = 'test/support/sanitized-addon.cjs'

/** The command to run node with the library in `root`: under the sanitizer, if the tests are. */
export function nodeCommand(root: string): string[] {
  // tap makes every child process of a test load its bookkeeping, which starts a thread and writes files at exit.
  const plain = ['env', '-u', 'NODE_OPTIONS']
  if (sanitizer === undefined) return [...plain, process.execPath]
  // Here and not further out: commands that stand in front of node are not to run under it.
  return [...plain, `LD_PRELOAD=${runtime}`, process.execPath, `--require=${join(root, addon)}`]
}

/** What a copy of the library needs besides, to run under the sanitizer. */
export const sanitizerParts: string[] =
  sanitizer === undefined ? [] : [`build/native/${sanitizer}/pcap_ring.node`, addon]

/** What the sanitizer found in a process that ended; `''` is nothing. */
export function findingOf(pid: number | undefined): string {
  const file = `${log}.${pid}`
  return log !== undefined && existsSync(file) ? readFileSync(file, 'utf8') : ''
}

/** For tap's `skip`: why a test cannot run under a sanitizer; false when it runs without. */
export const notSanitized = (reason: string): string | false =>
  sanitizer === undefined ? false : `under ${sanitizer}: ${reason}`
