// What the kernel tells of processes: CPU time to the nanosecond, memory, and what passed a cable.

import { readdirSync, readFileSync } from 'node:fs'

const read = (path: string): string => readFileSync(path, 'utf8')

function ran(path: string): number {
  return Number(read(path).split(' ')[0])
}

export interface CpuTimes {
  /** Of all threads, ns. */
  all: number
  /** Of those of this name. */
  named: number
}

/** A thread that ends takes its time along: none of those that are measured do within the window. */
export function cpuTimes(pid: number, name?: string): CpuTimes {
  const times: CpuTimes = { all: 0, named: 0 }
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      const ns = ran(`/proc/${pid}/task/${task}/schedstat`)
      times.all += ns
      if (name !== undefined && read(`/proc/${pid}/task/${task}/comm`) === `${name}\n`) times.named += ns
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    }
  }
  return times
}

/** The kernel thread that soft interrupts of a core are left to when they come too thick; null where it cannot be seen. */
export function softirqThread(core: number): number | null {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    try {
      if (read(`/proc/${pid}/comm`) === `ksoftirqd/${core}\n`) return Number(pid)
    } catch {
      // It ended meanwhile.
    }
  }
  return null
}

export const threadTime = (pid: number | null): number => (pid === null ? 0 : ran(`/proc/${pid}/schedstat`))

/** Frames that left through a device of the process's network namespace and arrived. */
export function framesOut(pid: number, device: string): number {
  for (const line of read(`/proc/${pid}/net/dev`).split('\n')) {
    const [name, counters] = line.trim().split(':')
    if (name === device) return Number(counters?.trim().split(/\s+/)[9])
  }
  throw new Error(`process ${pid} has no device ${device}`)
}

/** Packet sockets of the process's network namespace that receive. */
export const packetSockets = (pid: number): number =>
  read(`/proc/${pid}/net/packet`)
    .split('\n')
    .slice(1)
    .filter((line) => line.trim().split(/\s+/)[5] === '1').length

export interface Memory {
  pssKib: number
  kernelRingKib: number
}

const kib = (text: string, field: string): number =>
  Number(new RegExp(`^${field}: +(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0)

/** A packet socket's buffer is mapped into the process; what the process is charged for it is said apart. */
export function memory(pid: number): Memory {
  let ring = 0
  let within = false
  for (const line of read(`/proc/${pid}/smaps`).split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) within = line.includes('socket:[')
    else if (within && line.startsWith('Size:')) ring += kib(line, 'Size')
  }
  return { pssKib: kib(read(`/proc/${pid}/smaps_rollup`), 'Pss'), kernelRingKib: ring }
}

/** Cores that this process may run on. */
export function cores(): number[] {
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(read('/proc/self/status'))?.[1] ?? '0'
  return list.split(',').flatMap((part) => {
    const [from, to] = part.split('-').map(Number) as [number, number | undefined]
    return Array.from({ length: (to ?? from) - from + 1 }, (_, i) => from + i)
  })
}
