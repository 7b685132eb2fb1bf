// Child processes in a network namespace and on one core, which end when the bench does.

import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Place {
  /** Network namespace; null: this process's own. */
  netns: string | null
  /** The one core that it runs on. */
  core: number
}

export interface Ended {
  status: number | null
  signal: NodeJS.Signals | null
}

const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** Of what a program says, so much is kept: the end, where it gives its account. */
const kept = 64 << 10

/** A program and what it says. */
export class Process {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  readonly #name: string
  #output = ''

  constructor(place: Place, command: readonly string[], { ipc = false, cwd }: { ipc?: boolean; cwd?: string } = {}) {
    this.#name = command[0] as string
    // Both replace themselves by the program that they start, so its pid is the child's.
    const within = place.netns === null ? [] : ['ip', 'netns', 'exec', place.netns]
    const [program, ...args] = [...within, 'taskset', '-c', String(place.core), ...command] as [string, ...string[]]
    const env: NodeJS.ProcessEnv = { ...process.env, LC_ALL: 'C' }
    // What a test runner or an editor makes of every node process would be measured, too.
    delete env.NODE_OPTIONS
    this.child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
      env,
      ...(cwd === undefined ? {} : { cwd }),
    })
    alive.add(this.child)
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output = (this.#output + text).slice(-kept)
      })
    }
    this.ended = new Promise((resolve, reject) => {
      this.child.on('error', reject)
      this.child.on('close', (status, signal) => {
        alive.delete(this.child)
        resolve({ status, signal })
      })
    })
    this.ended.catch(() => {})
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`${this.#name} did not start`)
    return this.child.pid
  }

  get output(): string {
    return this.#output
  }

  get running(): boolean {
    return this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null
  }

  /** What to say when it is not as it should be. */
  complaint(what: string): Error {
    const said = this.#output.trim().split('\n').slice(-5).join('\n')
    return new Error(`${this.#name} ${what}${said === '' ? '' : `: ${said}`}`)
  }

  died(): Error | null {
    const { exitCode, signalCode } = this.child
    return this.running ? null : this.complaint(`ended by itself (${exitCode ?? signalCode})`)
  }

  /** Until `ip` and `taskset` have become the program itself. */
  async started(): Promise<void> {
    for (let i = 0; i < 500; i++) {
      if (!this.running) throw this.complaint('ended at once')
      const [name] = readFileSync(`/proc/${this.pid}/cmdline`, 'utf8').split('\0')
      if (name === this.#name) return
      await sleep(10)
    }
    throw this.complaint('did not start within 5 s')
  }

  /** Ends it by a signal; by SIGKILL if it takes longer than 10 s, which is an error. */
  async end(signal: NodeJS.Signals): Promise<Ended> {
    if (this.running) this.child.kill(signal)
    const patience = new AbortController()
    const late = sleep(10_000, true, { signal: patience.signal }).catch(() => false)
    const ended = await Promise.race([this.ended, late])
    patience.abort()
    if (typeof ended === 'object') return ended
    this.child.kill('SIGKILL')
    await this.ended
    throw this.complaint(`did not end within 10 s of ${signal}`)
  }

  kill(): void {
    if (this.running) this.child.kill('SIGKILL')
  }
}
