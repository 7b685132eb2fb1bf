// Hosts of the library: child processes, in a network namespace and with the privileges that the test wants.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

import type { PcapRing } from '../../src/index.js'
import { findingOf, nodeCommand } from './sanitizer.js'

/** What a function that runs in a host is given. It must not refer to anything else outside itself. */
export interface HostApi<S = Record<string, never>> {
  PcapRing: typeof PcapRing
  devices: typeof import('../../src/index.js').devices
  /** What the host keeps from one call to the next. */
  state: S
  require: NodeJS.Require
  /** The next such event, with its arguments. */
  once: (emitter: NodeJS.EventEmitter, event: string) => Promise<unknown[]>
  /** The names of the process's threads. */
  threads: () => string[]
  /** The same once it rests: a thread that was joined may be seen for a moment longer. */
  restingThreads: () => Promise<string[]>
  /** Fulfils when a `stats` event satisfies the condition. */
  untilStats: (ring: PcapRing, condition: (stats: import('../../src/index.js').Stats) => boolean) => Promise<unknown>
}

export interface HostOptions {
  /** Network namespace. @default the test's own */
  netns?: string
  /** Commands in front of node: `['setpriv', '--reuid', '65534', …]`. */
  wrap?: string[]
  /** Directory of the library. @default this repository */
  root?: string
  /** Arguments for node itself. */
  nodeArgs?: string[]
  env?: NodeJS.ProcessEnv
}

export interface Ended {
  status: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

interface Teardown {
  teardown(fn: () => unknown): void
}

export const repository = resolve(__dirname, '../..')

// Functions that are handed over as text call __name(), which the compiler of the tests puts into them.
const api = `
  globalThis.__name = (fn) => fn
  const api = {
    ...require(process.env.PCAP_RING_ROOT + '/lib/index.js'),
    state: {},
    require,
    threads: () => {
      const { readdirSync, readFileSync } = require('node:fs')
      return readdirSync('/proc/self/task').flatMap((task) => {
        try {
          return [readFileSync('/proc/self/task/' + task + '/comm', 'utf8').trimEnd()]
        } catch {
          return [] // it ended meanwhile
        }
      })
    },
    restingThreads: async () => {
      for (let names = '', same = 0; ;) {
        const now = api.threads()
        same = names === now.join() ? same + 1 : 0
        names = now.join()
        if (same === 3) return now
        await new Promise((resolve) => setTimeout(resolve, 2))
      }
    },
    once: (emitter, event) => new Promise((resolve) => emitter.once(event, (...args) => resolve(args))),
    untilStats: (ring, condition) => new Promise((resolve) => {
      const judge = (stats) => {
        if (!condition(stats)) return
        ring.off('stats', judge)
        resolve(stats)
      }
      ring.on('stats', judge)
    }),
  }`

const agent = `${api}
  process.on('message', async ({ id, source, arg }) => {
    let answer
    try {
      answer = { id, value: await (0, eval)('(' + source + ')')(api, arg) }
    } catch (error) {
      const { name, message, code, errno, syscall } = error
      answer = { id, error: { name, message, code, errno, syscall } }
    }
    if (process.connected) process.send(answer, () => {})
  })
  process.on('disconnect', () => process.exit())
  process.send('ready')`

interface Answer {
  id: number
  value?: unknown
  error?: { name: string; message: string; code?: string; errno?: number; syscall?: string }
}

function start(program: string, args: string[], options: HostOptions, ipc: boolean): ChildProcess {
  const { netns, wrap = [], root = repository, nodeArgs = [], env } = options
  const command = [
    ...(netns === undefined ? [] : ['ip', 'netns', 'exec', netns]),
    ...wrap,
    ...nodeCommand(root),
    ...nodeArgs,
    ...(program === '' ? [] : ['-e', program, '--']),
    ...args,
  ]
  return spawn(command[0] as string, command.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe', ...(ipc ? (['ipc'] as const) : [])],
    serialization: 'advanced',
    env: { ...process.env, PCAP_RING_ROOT: root, ...env },
    cwd: root,
  })
}

function ending(child: ChildProcess): Promise<Ended> {
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (more: string) => {
      text[name] += more
    })
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status, signal) => {
      text.stderr += findingOf(child.pid)
      resolve({ status, signal, ...text })
    })
  })
}

/** A host that is told what to do, step by step. */
export class Host {
  readonly #child: ChildProcess
  readonly #answers = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  #calls = 0
  readonly ended: Promise<Ended>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.ended = ending(child)
    child.on('message', (message: Answer | 'ready') => {
      if (message === 'ready') return
      const waiting = this.#answers.get(message.id)
      this.#answers.delete(message.id)
      if (message.error === undefined) waiting?.resolve(message.value)
      else waiting?.reject(Object.assign(new Error(message.error.message), message.error))
    })
    void this.ended.then(({ status, signal, stderr }) => {
      const error = new Error(`the host ended (${status ?? signal}): ${stderr}`)
      for (const { reject } of this.#answers.values()) reject(error)
      this.#answers.clear()
    })
  }

  static async start(t: Teardown, options: HostOptions = {}): Promise<Host> {
    const child = start(agent, [], options, true)
    const host = new Host(child)
    t.teardown(() => host.kill('SIGKILL'))
    const early = host.ended.then(({ stderr }) => Promise.reject(new Error(`the host did not start: ${stderr}`)))
    await Promise.race([once(child, 'message'), early])
    early.catch(() => {})
    return host
  }

  get pid(): number {
    return this.#child.pid as number
  }

  /** Runs a function in the host. It is handed over as text, so it sees its arguments only. */
  call<S, R, A = undefined>(fn: (api: HostApi<S>, arg: A) => R | Promise<R>, arg?: A): Promise<R> {
    const id = ++this.#calls
    return new Promise<R>((resolve, reject) => {
      this.#answers.set(id, { resolve: resolve, reject })
      this.#child.send({ id, source: fn.toString(), arg }, (error) => {
        if (error !== null) reject(error)
      })
    })
  }

  /** Ends it by process.exit(): a crash on the way out shows in how it ended. */
  async exit(): Promise<Ended> {
    this.call<unknown, void>(() => process.exit()).catch(() => {})
    return this.ended
  }

  async kill(signal: NodeJS.Signals): Promise<Ended> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal)
    return this.ended
  }
}

/** A running program. */
export interface Running {
  pid: number
  child: ChildProcess
  ended: Promise<Ended>
  kill(signal: NodeJS.Signals): void
  /** Fulfils once standard output or standard error matches. */
  until(text: RegExp): Promise<void>
}

function running(t: Teardown, child: ChildProcess): Running {
  const ended = ending(child)
  let seen = ''
  const waiting = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text: string) => {
      seen += text
      for (const look of [...waiting]) look()
    })
  }
  const kill = (signal: NodeJS.Signals): void => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
  }
  t.teardown(() => {
    kill('SIGKILL')
    return ended
  })
  const until = (text: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (!text.test(seen)) return
        waiting.delete(look)
        resolve()
      }
      waiting.add(look)
      look()
      void ended.then(({ status, signal }) => reject(new Error(`ended (${status ?? signal}) before ${text}: ${seen}`)))
    })
  return { pid: child.pid as number, child, ended, kill, until }
}

/** A host that runs one function and then ends by itself, if nothing keeps it. */
export function runHost<A = undefined>(
  t: Teardown,
  options: HostOptions,
  fn: (api: HostApi<Record<string, unknown>>, arg: A) => unknown,
  arg?: A,
): Running {
  const program = `${api}
    ;(${fn.toString()})(api, ${arg === undefined ? 'undefined' : JSON.stringify(arg)})`
  return running(t, start(program, [], options, false))
}

/** The command line tool. */
export function runCommand(t: Teardown, options: HostOptions, ...args: string[]): Running {
  return running(t, start('', [resolve(options.root ?? repository, 'lib/cli/main.js'), ...args], options, false))
}

/** A program of the project in `options.root`, which has a copy of the library in its node_modules. */
export function runProgram(t: Teardown, options: HostOptions & { root: string }, ...args: string[]): Running {
  return running(t, start('', args, options, false))
}
