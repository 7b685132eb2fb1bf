// A line to a server on loopback that can be cut in the middle of what passes. Bytes pass as they are, so signatures hold.

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

interface Teardown {
  teardown(fn: () => unknown): void
}

type Way = 'up' | 'down'

export class Line {
  readonly endpoint: string
  /** How often it was cut. */
  cuts = 0
  readonly #sockets: Set<Socket>
  #due: { way: Way; left: number; forGood: boolean } | null = null
  #away = false
  #lost: RegExp | null = null

  private constructor(endpoint: string, sockets: Set<Socket>) {
    this.endpoint = endpoint
    this.#sockets = sockets
  }

  static async to(t: Teardown, endpoint: string): Promise<Line> {
    const { hostname, port } = new URL(endpoint)
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const line = new Line(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, new Set())
    server.on('connection', (near) => line.#connected(near, connect(Number(port), hostname)))
    t.teardown(() => {
      line.#cutAll()
      server.close()
    })
    return line
  }

  #connected(near: Socket, far: Socket): void {
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      // Whoever is at the other end sees it, too.
      socket.on('error', () => {})
      socket.on('close', () => {
        this.#sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    if (this.#away) return void near.resetAndDestroy()
    let losing = false
    near.on('data', (bytes: Buffer) => {
      losing ||= this.#isToBeLost(bytes)
      this.#passed('up', bytes.length)
    })
    far.on('data', (bytes: Buffer) => {
      this.#passed('down', bytes.length)
      if (!losing || bytes.toString('latin1', 0, 12) === 'HTTP/1.1 100') return
      this.cuts++
      near.destroy()
    })
    // Behind the listeners: what they destroy a connection for does not arrive.
    near.pipe(far)
    far.pipe(near)
  }

  #isToBeLost(bytes: Buffer): boolean {
    if (!this.#lost?.test(bytes.toString('latin1', 0, 512))) return false
    this.#lost = null
    return true
  }

  #passed(way: Way, bytes: number): void {
    if (this.#due?.way !== way) return
    this.#due.left -= bytes
    if (this.#due.left > 0) return
    this.#away = this.#due.forGood
    this.#due = null
    this.cuts++
    this.#cutAll()
  }

  #cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Every connection, once so many bytes more went that way; and each new one at once, if it is for good. */
  cut(way: Way, after: number, { forGood }: { forGood: boolean }): void {
    this.#due = { way, left: after, forGood }
  }

  /** The answer to the next request whose first line is such: the server has done it, and nobody is told. */
  loseAnswer(request: RegExp): void {
    this.#lost = request
  }

  mend(): void {
    this.#away = false
    this.#due = null
  }
}
