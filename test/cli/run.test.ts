import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { run } from '../../src/cli/run.js'
import { encodePcap } from '../../src/testing.js'
import { udpPackets } from '../support/generate.js'

async function pcapRing(...argv: string[]): Promise<{ status: number; out: string; err: string[] }> {
  const written = { out: '', err: [] as string[] }
  const output = {
    out: (text: string) => {
      written.out += text
    },
    err: (line: string) => {
      written.err.push(line)
    },
    status: () => {},
    color: false,
    width: 80,
  }
  const status = await run(argv, output, new AbortController().signal)
  return { status, ...written }
}

test('0: done', async (t) => {
  const file = join(t.testdir({}), 'x.pcap')
  writeFileSync(file, encodePcap(udpPackets({ pps: 10, count: 3 })))
  t.match(await pcapRing('report', file), { status: 0, out: /PKTS {6}3\n/, err: [] })
  t.match(await pcapRing('--version'), { status: 0, out: /^\d+\.\d+\.\d+\n$/, err: [] })
  t.match(await pcapRing('--help'), { status: 0, out: /^Usage: pcap-ring/, err: [] })
  t.match(await pcapRing('replay', '--help'), { status: 0, out: /^Usage: pcap-ring replay FILE/, err: [] })
})

test('0: a damaged recording is shown as far as it goes', async (t) => {
  const file = join(t.testdir({}), 'x.pcap')
  writeFileSync(file, encodePcap(udpPackets({ pps: 10, count: 3 })).subarray(0, -1))
  t.match(await pcapRing('report', file), { status: 0, out: /PKTS {6}2\n[\s\S]*Damaged/, err: [] })
})

test('1: failed, with a line', async (t) => {
  t.strictSame(await pcapRing('report', '/nonexistent/x.pcap'), {
    status: 1,
    out: '',
    err: ["pcap-ring: there is no file '/nonexistent/x.pcap'"],
  })
  t.strictSame(await pcapRing('report', 'two\nlines'), {
    status: 1,
    out: '',
    err: ["pcap-ring: there is no file 'two\\u000alines'"],
  })
})

test('2: wrong usage, with a line', async (t) => {
  for (const argv of [[], ['frobnicate'], ['report'], ['watch', '--pps'], ['replay', 'x', '--pps', 'many']]) {
    const { status, out, err } = await pcapRing(...argv)
    t.equal(status, 2)
    t.equal(out, '')
    t.equal(err.length, 1)
    t.match(err[0], /^pcap-ring: .*(write|name) /)
  }
})
