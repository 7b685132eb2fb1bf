import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { DumpReport } from '../../src/index.js'
import { captureNames, capturePath, noCaptures } from '../support/captures.js'
import { runHost } from '../support/host.js'
import { type PcapFile, type PcapRecord, parsePcap, timeOf } from '../support/pcap-file.js'
import { fileOf, replay, ringOf, type Seen, scratch } from '../support/replay.js'
import { notSanitized } from '../support/sanitizer.js'

const ringPackets = 500

interface Dumped {
  seen: Seen
  file: PcapFile
  report: DumpReport
}

async function dumpOf(t: Test, name: string, precision: 'micro' | 'nano'): Promise<Dumped> {
  const directory = scratch(t)
  const ring = ringOf(t, { file: capturePath(name), directory, precision })
  const seen = await replay(ring)
  const path = join(directory, 'dump.pcap')
  const report = await ring.dump(path)
  return { seen, file: fileOf(path), report }
}

/** What libpcap makes of a recording: tcpdump rewrites it, up to where it is damaged. */
function asTcpdumpReads(t: Test, name: string, precision: 'micro' | 'nano'): PcapFile {
  const path = join(scratch(t), 'rewritten.pcap')
  try {
    const args = ['-U', '-r', capturePath(name), '-w', path, `--time-stamp-precision=${precision}`]
    execFileSync('tcpdump', args, { stdio: 'ignore' })
  } catch {
    // Damaged further on; what came before is in the file.
  }
  return parsePcap(readFileSync(path))
}

/** Of mixed link types tcpdump reads nothing; tshark tells of all packets. Those before the first of another type. */
function asTsharkReads(name: string): string[] {
  const read = (...args: string[]): string =>
    execFileSync('tshark', ['-n', '-r', capturePath(name), '-c', '10', ...args], { encoding: 'utf8', stdio: 'pipe' })
  const packets: { _source: { layers: { frame_raw: [string] } } }[] = JSON.parse(read('-T', 'jsonraw'))
  const bytes = packets.map(({ _source }) => Buffer.from(_source.layers.frame_raw[0], 'hex'))
  // Blocks of other kinds are shown as packets of a protocol of their own.
  const frames = read('-T', 'fields', '-e', 'frame.encap_type', '-e', '_ws.col.Protocol')
    .split('\n')
    .filter(Boolean)
    .map((line, i) => ({ line, type: line.split('\t')[0], data: bytes[i] }))
    .filter(({ line }) => !line.endsWith('PCAPNG'))
  const other = frames.findIndex(({ type }) => type !== frames[0]?.type)
  return frames.slice(0, other).map(({ data }) => digest(data as Buffer))
}

const digest = (data: Buffer): string => createHash('sha256').update(data).digest('hex')
const plain = ({ sec, frac, caplen, len, data }: PcapRecord) => ({ sec, frac, caplen, len, data: digest(data) })
const newest = ({ records }: PcapFile) => records.slice(-ringPackets).map(plain)

/** libpcap cuts what is longer than the file's snaplen; we keep what is there. */
const longerThanSnaplen = ['caplen-gt-snaplen.pcap', 'mal-caplen-gt-len.pcap']
const isoTime = (ns: bigint): string =>
  `${new Date(Number(ns / 1_000_000_000n) * 1_000).toISOString().slice(0, 19)}.${String((ns % 1_000_000_000n) / 1_000n).padStart(6, '0')}Z`

interface Capture {
  name: string
  format: string
  linkType: string
  packets: number
  readable: boolean
}

const captures: Capture[] = noCaptures
  ? []
  : readFileSync(capturePath('INDEX.tsv'), 'utf8')
      .split('\n')
      .slice(1)
      .filter(Boolean)
      .map((line) => line.split('\t'))
      .map(([name = '', , , , , , format = '', linkType = '', , packets = '', ...rest]) => ({
        name,
        format,
        linkType,
        packets: Number(packets),
        readable: rest.includes('tcpdump-ok'),
      }))

test('there are captures of every kind', { skip: noCaptures }, (t) => {
  t.equal(captures.length, captureNames().length)
  t.ok(captures.filter(({ readable }) => readable).length > 40)
  t.end()
})

for (const { name, format, linkType, packets } of captures.filter(({ readable }) => readable)) {
  test(`${name}: the newest ${ringPackets} packets, untouched`, async (t) => {
    const precision = / ns|tsresol=.*9/.test(format) ? 'nano' : 'micro'
    const { seen, file, report } = await dumpOf(t, name, precision)
    t.strictSame(seen.warnings, [])
    t.equal(seen.events.at(-1), 'end')
    t.equal(file.header.linkType, Number(linkType))
    t.equal(file.header.nano, precision === 'nano')
    t.equal(file.records.length, Math.min(ringPackets, packets))
    if (!longerThanSnaplen.includes(name)) {
      const theirs = newest(asTcpdumpReads(t, name, precision))
      t.strictSame(newest(file), theirs, 'as libpcap reads it')
    }
    if (/^pcap [LB]E/.test(format)) {
      t.strictSame(newest(file), newest(fileOf(capturePath(name))), 'as it is stored')
    }
    t.equal(report.packets, file.records.length)
    const times = file.records.map((record) => timeOf(file, record)).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    if (precision === 'micro') {
      t.equal(report.from, times[0] === undefined ? null : isoTime(times[0]))
      t.equal(report.to, times.length === 0 ? null : isoTime(times.at(-1) as bigint))
    }
  })
}

const damagedHead = captures.filter(({ name }) => /^(zero-bytes|mal-hdr-cut|mal-linktype-reserved)/.test(name))
for (const { name } of damagedHead) {
  test(`${name}: damaged at its head, start() rejects`, async (t) => {
    const ring = ringOf(t, { file: capturePath(name) })
    await t.rejects(ring.start(), {
      name: 'PcapRingError',
      code: 'ERR_PCAP_BAD_FILE',
      message: new RegExp(name.replace('.', '\\.')),
    })
    t.equal(ring.mode, 'idle')
  })
}

const damagedLater = captures.filter(({ name, readable }) => !readable && !damagedHead.some((c) => c.name === name))
for (const { name, linkType } of damagedLater) {
  test(`${name}: ends at the damage, what came before it is there`, async (t) => {
    const { seen, file } = await dumpOf(t, name, 'micro')
    t.match(seen.warnings, [{ code: 'ERR_PCAP_BAD_FILE', message: /byte \d+: ./ }])
    t.strictSame(
      seen.events.filter((event) => event !== 'stats'),
      ['start', 'warning', 'end'],
    )
    t.equal(seen.events.at(-3) ?? '', file.records.length > 0 ? 'stats' : '', 'after the last figures')
    if (linkType.includes(',')) {
      t.ok(file.records.length > 0)
      t.strictSame(
        file.records.map(({ data }) => digest(data)),
        asTsharkReads(name),
      )
    } else {
      t.strictSame(newest(file), newest(asTcpdumpReads(t, name, 'micro')))
    }
  })
}

test('the damage is told with the byte where it is', { skip: noCaptures }, async (t) => {
  // Both have one packet before it: file header, record header, data.
  const places: [string, number][] = [
    ['mal-cut-in-record-header.pcap', 24 + 16 + 319],
    ['mal-caplen-1.4G.pcap', 24 + 16 + 188],
  ]
  for (const [name, place] of places) {
    const { seen } = await dumpOf(t, name, 'micro')
    t.match(seen.warnings[0]?.message, new RegExp(`byte ${place}:`))
  }
})

test('timestamps decades apart: a jump is one interval, not millions', { skip: noCaptures }, async (t) => {
  for (const name of ['mal-caplen-0.pcap', 'ip6-frag.pcap']) {
    const { seen, file } = await dumpOf(t, name, 'micro')
    t.ok(seen.stats.length <= file.records.length + 1, `${name}: ${seen.stats.length} intervals`)
    t.equal(
      seen.stats.reduce((sum, { packets }) => sum + packets, 0),
      file.records.length,
    )
  }
})

const skip = noCaptures || notSanitized('its own memory is counted along')

test('a length that is merely claimed costs no memory', { skip }, async (t) => {
  const host = runHost(
    t,
    {},
    async ({ PcapRing, once }, [file, directory]) => {
      const before = process.memoryUsage().rss
      const ring = new PcapRing({ file, directory })
      ring.on('warning', () => {})
      const end = once(ring, 'end')
      await ring.start()
      await end
      const { maxRSS } = process.resourceUsage()
      await ring.close()
      process.stdout.write(JSON.stringify(maxRSS * 1024 - before))
    },
    [capturePath('mal-caplen-1.4G.pcap'), scratch(t)] as [string, string],
  )
  const { status, stdout } = await host.ended
  t.equal(status, 0)
  t.ok(Number(stdout) < 64 * 1024 * 1024, `${stdout} bytes`)
})
