// Standard output on a full disk.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { udpPackets } from '../support/generate.js'
import { runCommand } from '../support/host.js'
import { recordingOf, scratch } from '../support/replay.js'

const commands = [
  ['--version'],
  ['--help'],
  ['devices'],
  ['report', 'FILE'],
  ['replay', 'FILE', '--pps', '500', '--dir', 'DIR', '--json'],
]

for (const command of commands) {
  test(command.join(' '), async (t) => {
    const directory = scratch(t)
    const file = join(directory, 'x.pcap')
    writeFileSync(file, recordingOf(udpPackets({ pps: 1_000, count: 3_000 })))
    const paths: Record<string, string> = { FILE: file, DIR: join(directory, 'captures') }
    const wrap = ['sh', '-c', 'exec "$@" >/dev/full', 'sh']
    const { status, signal, stderr } = await runCommand(t, { wrap }, ...command.map((word) => paths[word] ?? word))
      .ended
    t.strictSame({ status, signal }, { status: 1, signal: null })
    t.match(stderr, /^pcap-ring: cannot write to standard output: .*ENOSPC.*\n$/)
    t.equal(stderr.trimEnd().split('\n').length, 1, stderr)
  })
}
