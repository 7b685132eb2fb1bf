// A disk that fails or is slow, for hosts: test/support/faulty-disk.c, compiled when it is first needed.

import { spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { join, resolve } from 'node:path'

import { noTool } from './netns.js'
import { scratch } from './replay.js'

/** Why there can be none; false when there can. For tap's `skip`. */
export const noFaultyDisk: string | false = noTool('cc')

const calls = { write: 1, fdatasync: 2, rename: 3, link: 4 } as const

export interface Fault {
  call: keyof typeof calls
  /** It fails with this. */
  error?: keyof typeof constants.errno
  /** It takes so long. */
  ms?: number
}

export interface FaultyDisk {
  /** For the host. */
  env: NodeJS.ProcessEnv
  /** From now on; null: all is well. */
  set(fault: Fault | null): void
}

function library(): string {
  const source = resolve(__dirname, 'faulty-disk.c')
  const directory = resolve(__dirname, '../../build/test')
  const path = join(directory, 'faulty-disk.so')
  if (existsSync(path) && statSync(path).mtimeMs >= statSync(source).mtimeMs) return path
  mkdirSync(directory, { recursive: true })
  const own = `${path}-${process.pid}`
  const { status, stderr } = spawnSync('cc', ['-O2', '-shared', '-fPIC', '-o', own, source], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`faulty-disk.c does not compile: ${stderr}`)
  renameSync(own, path)
  return path
}

export function makeFaultyDisk(t: { teardown(fn: () => unknown): void }): FaultyDisk {
  const file = join(scratch(t), 'fault')
  writeFileSync(file, Buffer.alloc(12))
  return {
    env: { LD_PRELOAD: library(), PCAP_RING_FAULTY_DISK: file },
    set(fault) {
      const { call, error, ms = 0 } = fault ?? {}
      const told = [call ? calls[call] : 0, error ? constants.errno[error] : 0, ms * 1_000]
      const fd = openSync(file, 'r+')
      writeSync(fd, Buffer.from(Int32Array.from(told).buffer))
      closeSync(fd)
    },
  }
}
