import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { run } from '../../src/cli/run.js'
import { encodePcap } from '../../src/testing.js'
import { defaultStart, sequenceOf, udpPackets } from '../support/generate.js'
import { parsePcap } from '../support/pcap-file.js'
import { parsePcapng } from '../support/pcapng-file.js'
import { nodeCommand } from '../support/sanitizer.js'

// Three calm seconds, two of a flood, and twelve calm ones, in which it clears. Fewer packets in the flood's first half second, which
// it has to last for, than the ring holds: nothing is missing from the file.
const calm = { pps: 20, count: 60 }
const flood = { pps: 900, count: 1_800, start: defaultStart + 3_000, firstSequence: 60 }
const after = { pps: 20, count: 240, start: defaultStart + 5_000, firstSequence: 1_860 }
const recording = encodePcap([calm, flood, after].flatMap((timing) => udpPackets(timing)))

interface Event {
  v: number
  event: string
  time: string
  data: Record<string, unknown>
}

async function replay(dir: string, ...options: string[]) {
  const file = join(dir, 'x.pcap')
  writeFileSync(file, recording)
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
  const argv = ['replay', file, '--pps', '500', '--dir', join(dir, 'captures'), ...options]
  return { status: await run(argv, output, new AbortController().signal), ...written }
}

test('a flood in a recording becomes one incident, its events JSON lines in packet time', async (t) => {
  const dir = t.testdir({})
  const { status, out, err } = await replay(dir, '--json')
  t.equal(status, 0)
  t.strictSame(err, [])
  const events = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event)
  t.ok(events.every(({ v }) => v === 1))
  const names = events.map(({ event }) => event).filter((name) => name !== 'stats')
  t.strictSame([...new Set(names)].sort(), ['attack', 'clear', 'close', 'end', 'flush', 'freeze', 'resolve', 'start'])
  t.equal(names[0], 'start')
  t.equal(names.at(-1), 'close')
  t.equal(names.filter((name) => name === 'resolve').length, 1)

  const resolved = events.find(({ event }) => event === 'resolve') as Event
  t.match(resolved.data, { kind: 'incident', source: 'file', error: null, frozenAt: /^2024-01-01T00:00:03\./ })
  t.equal(resolved.time, resolved.data.resolvedAt)
  const { records } = parsePcap(readFileSync(String(resolved.data.file)))
  t.equal(records.length, resolved.data.packets)
  const sequences = records.map(({ data }) => sequenceOf(data))
  t.strictSame(
    sequences,
    sequences.map((_, i) => (sequences[0] ?? 0) + i),
    'nothing is missing, nothing twice',
  )
})

test('without --json the finished incident is a card on standard output', async (t) => {
  const { status, out, err } = await replay(t.testdir({}))
  t.equal(status, 0)
  t.match(out, /^── Incident [0-9a-f]{8} ─[\s\S]*FILE .*incident_[\s\S]*PKTS[\s\S]*Sections[\s\S]*pre-buffer/)
  t.match(err[0], /^replaying .*x\.pcap; an attack is 500 pps inbound$/)
  t.match(err.join('\n'), /incident [0-9a-f]{8} began: /)
})

test('--format pcapng, and its card again by report', async (t) => {
  const dir = t.testdir({})
  const { status, out, err } = await replay(dir, '--format', 'pcapng')
  t.equal(status, 0)
  t.match(err.join('\n'), /incident [0-9a-f]{8} began: /)
  const path = /FILE +(\/.*\/incident_[0-9a-f]{8}\.pcapng)\n/.exec(out)?.[1] as string
  const { records, section } = parsePcapng(readFileSync(path))
  t.match(section.comment, /^incident [0-9a-f]{8}: /)
  t.match(out, new RegExp(`PKTS +${records.length.toLocaleString('en')}\\b`))
  t.equal(records[0]?.comment, 'pre-buffer')

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
  t.equal(await run(['report', path], output, new AbortController().signal), 0)
  // Where it goes only the ring that recorded it knows.
  t.strictSame(written, { out: out.replace(/ +Upload +none\n/, ''), err: [] })
})

test('nothing above the threshold: no incident', async (t) => {
  const dir = t.testdir({})
  const { status, out } = await replay(dir, '--pps', '1M')
  t.equal(status, 0)
  t.equal(out, '')
})

test('a missing recording fails, with a line', async (t) => {
  const err: string[] = []
  const output = {
    out: () => {},
    err: (line: string) => {
      err.push(line)
    },
    status: () => {},
    color: false,
    width: 80,
  }
  const argv = ['replay', '/nonexistent/x.pcap', '--pps', '1', '--dir', join(t.testdir({}), 'captures')]
  t.equal(await run(argv, output, new AbortController().signal), 1)
  t.equal(err.length, 1)
  t.match(err[0], /^pcap-ring: .*\/nonexistent\/x\.pcap/)
})

const root = join(__dirname, '..', '..')
const built = join(root, 'lib', 'cli', 'main.js')

test('a closed pipe ends it with 0', { skip: existsSync(built) ? false : 'not built: npm run build' }, (t) => {
  const dir = t.testdir({})
  const file = join(dir, 'x.pcap')
  writeFileSync(file, recording)
  const command = `"$@" --pps 1k --pace recorded --json | head -n 2 >&2; exit \${PIPESTATUS[0]}`
  const argv = [...nodeCommand(root), built, 'replay', file, '--dir', join(dir, 'captures')]
  const { status, stderr } = spawnSync('bash', ['-c', command, 'bash', ...argv], { encoding: 'utf8', timeout: 60_000 })
  t.equal(status, 0)
  t.match(stderr, /"event":"start"/)
  t.end()
})
