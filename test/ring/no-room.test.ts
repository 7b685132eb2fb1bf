// A process that may have no more threads or descriptors: start() tells of it, and works once there are some again.

import { execFileSync } from 'node:child_process'
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { type Test, test } from 'tap'

import type { PcapRing } from '../../src/index.js'
import { udpPackets } from '../support/generate.js'
import { Host } from '../support/host.js'
import { installedCopy } from '../support/installed.js'
import { noTool } from '../support/netns.js'
import { recordingOf, scratch } from '../support/replay.js'

const skip =
  process.getuid?.() === 0 ? noTool('prlimit') || noTool('setpriv') : 'only root can bound another process and lift it'

const bytes = recordingOf(udpPackets({ pps: 1_000, count: 600 }))

interface State {
  ring: PcapRing
  held: number[]
}

interface Told {
  code: string
  errno: number
  syscall: string
}

/** The outcome of start() on the host's one ring. */
const start = (host: Host): Promise<Told | null> =>
  host.call<State, Told | null>(({ state }) =>
    state.ring.start().then(
      () => null,
      ({ code, errno, syscall }) => ({ code, errno, syscall }),
    ),
  )

async function hostWithRing(t: Test, options: Parameters<typeof Host.start>[1]): Promise<Host> {
  const directory = scratch(t)
  chmodSync(directory, 0o777)
  const host = await Host.start(t, options)
  await host.call<State, void, object>(
    ({ PcapRing, state }, options) => {
      state.ring = new PcapRing(options)
      state.held = []
    },
    { file: bytes, directory },
  )
  return host
}

/** Sets a bound of the host, as its own user: others may not. */
const bound = (host: Host, what: string, wrap: string[] = []): void => {
  const [command, ...args] = [...wrap, 'prlimit', '--pid', String(host.pid), what]
  execFileSync(command, args)
}

/** All is well again: the same ring replays and records. */
const works = (host: Host): Promise<string> =>
  host.call<State, string>(async ({ state, once }) => {
    const end = once(state.ring, 'end')
    await state.ring.start()
    await end
    const { packets, error } = await state.ring.freeze().resolve()
    await state.ring.close()
    return `${packets} ${error} ${state.ring.mode}`
  })

for (const threads of [0, 1]) {
  test(`${threads} more threads`, { skip }, async (t) => {
    // A user that nobody else is: the bound is on all of a user's threads.
    const user = String(700_000 + process.pid * 2 + threads)
    const wrap = [
      'setpriv',
      '--reuid',
      user,
      '--regid',
      user,
      '--clear-groups',
      '--inh-caps=-all',
      '--bounding-set=-all',
    ]
    const host = await hostWithRing(t, { wrap, root: installedCopy(t) })
    const most = /Max processes +\S+ +(\S+)/.exec(readFileSync(`/proc/${host.pid}/limits`, 'utf8'))?.[1]
    bound(host, `--nproc=${readdirSync(`/proc/${host.pid}/task`).length + threads}:`, wrap)
    for (const _ of [1, 2]) t.match(await start(host), { code: 'ERR_PCAP_KERNEL', errno: -11 })
    bound(host, `--nproc=${most}:`, wrap)
    t.equal(await works(host), '500 null closed')
  })
}

test('none to a few more descriptors', { skip }, async (t) => {
  const host = await hostWithRing(t, {})
  const outcomes: (Told | null)[] = []
  bound(host, '--nofile=128:')
  for (let free = 0; free < 2; free++) {
    await host.call<State, void, number>(({ state, require }, free) => {
      const { openSync, closeSync } = require('node:fs') as typeof import('node:fs')
      try {
        for (;;) state.held.push(openSync('/dev/null', 'r'))
      } catch {
        // There are no more.
      }
      for (let i = 0; i < free; i++) closeSync(state.held.pop() as number)
    }, free)
    outcomes.push(await start(host))
  }
  // Two doorbells; with them there is none left for the directory.
  t.match(outcomes, Array(2).fill({ code: 'ERR_PCAP_KERNEL', errno: -24, syscall: 'eventfd' }))
  await host.call<State, void>(({ state, require }) => {
    const { closeSync } = require('node:fs') as typeof import('node:fs')
    for (const fd of state.held.splice(0, 1)) closeSync(fd)
  })
  t.match(await start(host), { code: 'ERR_PCAP_WRITE', errno: -24 })
  await host.call<State, void>(({ state, require }) => {
    const { closeSync } = require('node:fs') as typeof import('node:fs')
    for (const fd of state.held) closeSync(fd)
  })
  t.equal(await works(host), '500 null closed')
})
