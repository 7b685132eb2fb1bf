// Contestants that are programs: how each is started, and how it tells what it lost.

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { packetSockets } from './proc.js'
import { Process } from './processes.js'
import type { Receiver, Where } from './receivers.js'

type Start = (where: Where) => Promise<Receiver>

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
export const tools: Record<string, Start> = {
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
      `dumpcap -q -p -i ${where.device} -s 2048 -B 2 -b packets:500 -b files:2 -w ring`.split(' '),
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

/** A kind of bench/receiver.cc. */
export const native =
  (kind: string): Start =>
  (where) =>
    program(where, [where.receiver, kind, where.device], 'SIGTERM', /"drops":(\d+)/)
