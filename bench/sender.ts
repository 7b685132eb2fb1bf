// The traffic: the sender of the test suite, on a core of its own.

import type { Pattern, Rate } from './options.js'
import { framesOut } from './proc.js'
import { Process } from './processes.js'

export interface Cable {
  /** Namespace and device that frames leave through. */
  netns: string
  device: string
}

export interface Traffic {
  pattern: Pattern
  rate: Rate
  bytes: number
}

/**
 * In trains the sender sleeps between two of them. Were each frame sent for itself, waking up for it would take all of the core
 * at 100,000 a second, and what the kernel does for a receiver could not be seen beside it.
 */
export function pace({ rate, pattern }: Pick<Traffic, 'rate' | 'pattern'>): string {
  if (rate === 'flat') return 'pps=0'
  if (pattern === 'even') return `pps=${rate}`
  const train = Math.max(1, Math.round(rate / 1_000))
  return `pulse=${train}:${(train * 1_000) / rate}`
}

export class Sender {
  readonly #process: Process
  readonly #device: string

  private constructor(process: Process, device: string) {
    this.#process = process
    this.#device = device
  }

  static async start(program: string, { netns, device }: Cable, core: number, traffic: Traffic): Promise<Sender> {
    const options = [pace(traffic), `size=${traffic.bytes}`, `count=${10 ** 12}`]
    const process = new Process({ netns, core }, [program, device, ...options])
    await process.started()
    return new Sender(process, device)
  }

  get pid(): number {
    return this.#process.pid
  }

  /** Frames so far that arrived at the other end. */
  get passed(): number {
    if (!this.#process.running) throw this.#process.complaint('ended before the measurement did')
    return framesOut(this.pid, this.#device)
  }

  /** The number of frames sent. */
  async stop(): Promise<number> {
    const { status } = await this.#process.end('SIGTERM')
    if (status !== 0) throw this.#process.complaint(`ended with ${status}`)
    return (JSON.parse(this.#process.output) as { sent: number }).sent
  }

  kill(): void {
    this.#process.kill()
  }
}
