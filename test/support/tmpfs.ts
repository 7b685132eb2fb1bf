// A file system of a few MiB in memory, so that a disk that is full is one.

import { execFileSync } from 'node:child_process'
import { statfsSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { noTool } from './netns.js'
import { scratch } from './replay.js'

/** Why there can be none; false when there can. For tap's `skip`. */
export const noTmpfs: string | false =
  process.getuid?.() === 0 ? noTool('mount') || noTool('umount') : 'only root can mount a file system'

export interface Tmpfs {
  directory: string
  /** Leaves so many bytes free. */
  fill(free: number): void
  /** Undoes that. */
  empty(): void
}

export function makeTmpfs(t: { teardown(fn: () => unknown): void }, bytes: number): Tmpfs {
  const directory = scratch(t)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', directory])
  t.teardown(() => execFileSync('umount', [directory]))
  const filler = join(directory, 'filler')
  return {
    directory,
    fill(free) {
      const { bavail, bsize } = statfsSync(directory)
      try {
        writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - free)))
      } catch (error) {
        // Somebody else wrote meanwhile: then it is full.
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    },
    empty: () => unlinkSync(filler),
  }
}
