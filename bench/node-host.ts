// Contestants inside a Node process: bench/host.ts, which takes orders.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { Process } from './processes.js'
import type { Answer, HostConfig, HostResult, Order } from './protocol.js'
import type { Outcome, Receiver, Where } from './receivers.js'

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
