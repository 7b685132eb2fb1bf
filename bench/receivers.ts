// Starts a contestant at its end of the cable, and asks it at the end what it lost.

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { Contestant } from './contestants.js'
import { packetSockets } from './proc.js'
import { type Place, Process } from './processes.js'
import type { Answer, HostConfig, HostResult, Order } from './protocol.js'

export interface Outcome {
  /** Of the frames sent. */
  lost: number | null
  timerMs: number | null
  sampling: number | null
}

export interface Receiver {
  pid: number
  /** Name of the thread whose time is told apart. */
  thread?: string
  /** What to say if it has ended by itself; null while it runs. */
  died(): Error | null
  /** Fulfils in the state that is to be measured; called when traffic flows. */
  reach(): Promise<void>
  /** Right at the end of the window, the sender still sending. */
  note(): void
  /** Starts a timer whose longest delay is told; only of a Node process. */
  timer?(): void
  /** Ends it, when no more frames come. */
  finish(sent: number): Promise<Outcome>
  kill(): void
}

export interface Where {
  place: Place & { netns: string }
  device: string
  /** An empty directory on disk, which the caller removes. */
  scratch: string
  /** Repository, and the compiled bench/receiver.cc. */
  root: string
  receiver: string
}

/** Every contestant that captures has a packet socket, in a namespace where there is no other. */
async function capturing(process: Process): Promise<void> {
  await process.started()
  for (let i = 0; i < 500; i++) {
    if (!process.running) throw process.complaint('ended at once')
    if (packetSockets(process.pid) > 0) {
      // A filter may be set, a file opened, behind it.
      await sleep(200)
      if (!process.running) throw process.complaint('ended at once')
      return
    }
    await sleep(10)
  }
  throw process.complaint('opened no packet socket within 5 s')
}

async function program(
  where: Where,
  command: readonly string[],
  signal: NodeJS.Signals,
  lostIn: RegExp,
  { every }: { every?: () => void } = {},
): Promise<Receiver> {
  const running = new Process(where.place, command, { cwd: where.scratch })
  const chore = every && setInterval(every, 500)
  const kill = (): void => {
    clearInterval(chore)
    running.kill()
  }
  try {
    await capturing(running)
  } catch (error) {
    kill()
    throw error
  }
  return {
    pid: running.pid,
    died: () => running.died(),
    reach: async () => {},
    note: () => {},
    finish: async () => {
      // What is on its way: the kernel hands a block over after 100 ms.
      await sleep(300)
      const { status } = await running.end(signal)
      clearInterval(chore)
      const lost = lostIn.exec(running.output)?.[1]
      if (status !== 0 || lost === undefined) throw running.complaint(`ended with ${status} and no account of its loss`)
      return { lost: Number(lost), timerMs: null, sampling: null }
    },
    kill,
  }
}

const byTcpdump = /(\d+) packets? dropped by kernel/

/** In the scratch directory; with the buffer and the snaplen that pcap-ring has by default. */
const tools: Record<string, (where: Where) => Promise<Receiver>> = {
  'tcpdump-disk': (where) => tcpdump(where, ['-w', 'all.pcap']),
  'tcpdump-null': (where) => tcpdump(where, ['-w', '/dev/null']),
  ftagent: (where) =>
    tcpdump(where, ['-G', '1', '-w', 'ring-%s.pcap'], () => {
      const files = readdirSync(where.scratch).sort()
      for (const old of files.slice(0, -2)) rmSync(join(where.scratch, old))
    }),
  dumpcap: (where) =>
    program(
      where,
      [
        'dumpcap',
        '-q',
        '-p',
        '-i',
        where.device,
        '-s',
        '2048',
        '-B',
        '2',
        '-b',
        'packets:500',
        '-b',
        'files:2',
        '-w',
        'ring',
      ],
      'SIGINT',
      /Packets received\/dropped on interface '[^']*': \d+\/(\d+)/,
    ),
  'netsniff-ng': (where) =>
    program(
      where,
      // Neither the machine's settings for sockets nor those for interrupts are touched (-A, -Q).
      ['netsniff-ng', '-i', where.device, '-o', 'all.pcap', '-s', '-M', '-A', '-Q', '-N', '-S', '2MiB'],
      'SIGINT',
      /(\d+) +packets failed filter \(out of space\)/,
    ),
}

const tcpdump = (where: Where, to: readonly string[], every?: () => void): Promise<Receiver> =>
  program(
    where,
    // Else it gives up root, and may then not write where it is told to.
    ['tcpdump', '-i', where.device, '-n', '-p', '-Z', 'root', '-s', '2048', '-B', '2048', ...to],
    'SIGINT',
    byTcpdump,
    every === undefined ? {} : { every },
  )

/** 10,000 packets at 1,000 a second, and a little. */
const longestReachMs = 11_000

/** A Node process, which takes orders. */
export class Host implements Receiver {
  readonly #process: Process
  readonly #kind: string
  readonly thread = 'pcap-ring'

  private constructor(process: Process, kind: string) {
    this.#process = process
    this.#kind = kind
  }

  static async start(where: Where, kind: string): Promise<Host> {
    const config: HostConfig = { kind, device: where.device, directory: where.scratch, root: where.root }
    const command = [process.execPath, join(__dirname, 'host.js'), JSON.stringify(config)]
    const host = new Host(new Process(where.place, command, { ipc: true, cwd: where.scratch }), kind)
    try {
      await host.#answer()
    } catch (error) {
      host.kill()
      throw error
    }
    return host
  }

  /** To the one order that is open, or that it is ready. */
  async #answer(): Promise<HostResult | number[] | null> {
    const { child, ended } = this.#process
    const answered = new Promise<Answer>((resolve) => child.once('message', resolve))
    const gone = ended.then(({ status, signal }) => {
      throw this.#process.complaint(`ended with ${status ?? signal}`)
    })
    const answer = await Promise.race([answered, gone])
    gone.catch(() => {})
    if ('failed' in answer) throw new Error(answer.failed)
    return 'done' in answer ? answer.done : null
  }

  #order<T>(order: Order): Promise<T> {
    this.#process.child.send(order)
    return this.#answer() as Promise<T>
  }

  get pid(): number {
    return this.#process.pid
  }

  died(): Error | null {
    return this.#process.died()
  }

  /** Only who has something to reach is asked: a listener that a flood keeps busy answers when the flood is over. */
  async reach(): Promise<void> {
    if (this.#kind !== 'pcap-ring-capped') return
    const patience = new AbortController()
    const late = sleep(longestReachMs, null, { signal: patience.signal }).then(() => {
      throw new Error(`the incident did not reach its cap within ${longestReachMs / 1_000} s: the rate is too low`)
    })
    // When it is called off.
    late.catch(() => {})
    try {
      await Promise.race([this.#order({ do: 'reach' }), late])
    } finally {
      patience.abort()
    }
  }

  note(): void {
    const order: Order = { do: 'note' }
    this.#process.child.send(order)
  }

  timer(): void {
    const order: Order = { do: 'timer', from: Number(process.hrtime.bigint()) }
    this.#process.child.send(order)
  }

  freeze(count: number, forMs: number): Promise<number[]> {
    return this.#order({ do: 'freeze', count, forMs })
  }

  async finish(sent: number): Promise<Outcome> {
    const { lost, received, sampling, timerMs } = await this.#order<HostResult>({ do: 'result' })
    this.kill()
    await this.#process.ended
    return { lost: received === null ? lost : sent - received, sampling, timerMs }
  }

  /** A capture of another's may not end by itself (npm cap's does not on an idle device). */
  kill(): void {
    this.#process.kill()
  }
}

export function startReceiver(contestant: Contestant, where: Where): Promise<Receiver> {
  const { kind, name } = contestant
  if (kind === 'native') {
    return program(where, [where.receiver, name, where.device], 'SIGTERM', /"drops":(\d+)/)
  }
  if (kind === 'host') return Host.start(where, name)
  const start = tools[name]
  if (start === undefined) throw new Error(`nobody knows how to start ${name}`)
  return start(where)
}
