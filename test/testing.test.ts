import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'

import type { PacketInput, ReadPacket } from '../src/testing.js'
import { encodePcap, readPackets, stats } from '../src/testing.js'
import { sequenceOf, synPackets, timeAt, udpPackets } from './support/generate.js'
import { parsePcap, timeOf } from './support/pcap-file.js'

async function collect(packets: AsyncIterable<ReadPacket>): Promise<ReadPacket[]> {
  const all = []
  for await (const packet of packets) all.push(packet)
  return all
}

const data = new Uint8Array([1, 2, 3])
const time = '2024-01-01T00:00:00.123456Z'

test('what is encoded is a classic pcap to an independent reader', (t) => {
  const file = parsePcap(
    Buffer.from(
      encodePcap([
        { time, data },
        { time: new Date(1_500), data, length: 1_500 },
      ]),
    ),
  )
  t.match(file.header, {
    littleEndian: true,
    magic: 0xa1b2c3d4,
    versionMajor: 2,
    versionMinor: 4,
    snaplen: 262_144,
    linkType: 1,
  })
  t.match(file.records, [
    { sec: 1_704_067_200, frac: 123_456, caplen: 3, len: 3, offset: 24 },
    { sec: 1, frac: 500_000, caplen: 3, len: 1_500, offset: 43 },
  ])
  t.strictSame(new Uint8Array(file.records[0]?.data ?? []), data)
  t.equal(parsePcap(Buffer.from(encodePcap([]))).records.length, 0)
  t.end()
})

test('precision and link type', (t) => {
  const exact = '2024-01-01T00:00:00.123456999Z'
  const micro = parsePcap(Buffer.from(encodePcap([{ time: exact, data }], { linkType: 'LINUX_SLL2' })))
  t.equal(micro.records[0]?.frac, 123_456)
  t.equal(micro.header.linkType, 276)
  const nano = parsePcap(Buffer.from(encodePcap([{ time: exact, data }], { linkType: 101, precision: 'nano' })))
  t.equal(nano.records[0]?.frac, 123_456_999)
  t.equal(nano.header.nano, true)
  t.equal(nano.header.linkType, 101)
  t.end()
})

test('round trip, in the order given, over generators too', async (t) => {
  function* some(): Generator<PacketInput> {
    yield { time: 2_000.001, data }
    yield { time: new Date(1_000), data: Buffer.from('back in time'), length: 99 }
  }
  t.strictSame(await collect(readPackets(encodePcap(some()))), [
    { time: '1970-01-01T00:00:02.000001Z', data, length: 3 },
    { time: '1970-01-01T00:00:01.000000Z', data: new Uint8Array(Buffer.from('back in time')), length: 99 },
  ])
  const [packet] = await collect(readPackets(encodePcap([{ time, data }], { precision: 'nano' })))
  t.equal(packet?.time, '2024-01-01T00:00:00.123456000Z')
})

test('generated packets keep their times and numbers', async (t) => {
  for (const generate of [udpPackets, synPackets]) {
    const timing = { pps: 3_000, count: 100, firstSequence: 7 }
    const file = parsePcap(Buffer.from(encodePcap(generate(timing))))
    t.strictSame(
      file.records.map(({ data }) => sequenceOf(data)),
      Array.from({ length: 100 }, (_, i) => i + 7),
    )
    t.ok(
      file.records.every(
        (record, i) => timeOf(file, record) === BigInt(Math.round(timeAt(timing, i) * 1_000)) * 1_000n,
      ),
    )
  }
})

const tcpdump = spawnSync('tcpdump', ['--version']).error === undefined

test('tcpdump agrees', { skip: tcpdump ? false : 'no tcpdump' }, (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'testing-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'x.pcap')
  writeFileSync(file, encodePcap([...udpPackets({ pps: 1_000, count: 2 }), ...synPackets({ pps: 1_000, count: 1 })]))
  const { stdout } = spawnSync('tcpdump', ['-nn', '-tt', '-r', file], { encoding: 'utf8' })
  t.match(stdout.split('\n'), [
    /^1704067200\.000000 IP 10\.0\.0\.1\.40000 > 10\.0\.0\.2\.9: UDP, length 22$/,
    /^1704067200\.001000 IP .* UDP, length 22$/,
    /^1704067200\.000000 IP 10\.0\.0\.1\.40000 > 10\.0\.0\.2\.80: Flags \[S\], seq 0:10/,
  ])
  t.end()
})

test('wrong arguments of encodePcap name their place', (t) => {
  const wrong: [unknown, unknown, string, RegExp][] = [
    [undefined, {}, 'ERR_INVALID_ARG_TYPE', /"packets" argument must be an instance of Iterable/],
    [[], null, 'ERR_INVALID_ARG_TYPE', /"options"/],
    [[], { precision: 'milli' }, 'ERR_INVALID_ARG_VALUE', /options\.precision/],
    [[], { linkType: 'ETHERNET' }, 'ERR_INVALID_ARG_VALUE', /options\.linkType.*EN10MB/],
    [[], { linkType: 65_536 }, 'ERR_OUT_OF_RANGE', /options\.linkType/],
    [[], { linkType: null }, 'ERR_INVALID_ARG_TYPE', /options\.linkType/],
    [[{ time, data }, null], {}, 'ERR_INVALID_ARG_TYPE', /packets\[1\]/],
    [[{ time, data: 'abc' }], {}, 'ERR_INVALID_ARG_TYPE', /packets\[0\]\.data/],
    [[{ time, data: new Uint8Array(262_145) }], {}, 'ERR_OUT_OF_RANGE', /packets\[0\]\.data\.length/],
    [[{ time, data, length: 2 }], {}, 'ERR_OUT_OF_RANGE', /packets\[0\]\.length/],
    [[{ time, data, length: '3' }], {}, 'ERR_INVALID_ARG_TYPE', /packets\[0\]\.length/],
    [[{ data }], {}, 'ERR_INVALID_ARG_TYPE', /packets\[0\]\.time/],
    [[{ time: 'now', data }], {}, 'ERR_INVALID_ARG_VALUE', /packets\[0\]\.time/],
    [[{ time: NaN, data }], {}, 'ERR_OUT_OF_RANGE', /packets\[0\]\.time/],
    [[{ time: -1, data }], {}, 'ERR_OUT_OF_RANGE', /packets\[0\]\.time/],
    [[{ time: '2106-02-07T06:28:16.000000Z', data }], {}, 'ERR_OUT_OF_RANGE', /packets\[0\]\.time/],
  ]
  for (const [packets, options, code, message] of wrong) {
    t.throws(() => encodePcap(packets as [], options as object), { code, message }, `${message}`)
  }
  t.end()
})

test('readPackets: wrong arguments at once, damage after what is good', async (t) => {
  t.throws(() => readPackets(5 as unknown as string), { code: 'ERR_INVALID_ARG_TYPE' })
  const torn = encodePcap([
    { time, data },
    { time, data },
  ]).subarray(0, -1)
  const read: ReadPacket[] = []
  await t.rejects(
    async () => {
      for await (const packet of readPackets(torn)) read.push(packet)
    },
    { name: 'PcapRingError', code: 'ERR_PCAP_BAD_FILE', message: /byte 43/ },
  )
  t.equal(read.length, 1)
})

test('stats: complete, deeply merged, nothing shared', (t) => {
  const calm = stats()
  t.strictSame(Object.keys(calm).sort(), [
    'bps',
    'bytes',
    'fragments',
    'inbound',
    'interval',
    'loss',
    'mode',
    'packets',
    'pps',
    'protocols',
    'ring',
    'sampling',
    'tcpFlags',
    'time',
    'total',
  ])
  t.match(calm, { mode: 'capture', interval: 250, sampling: 1, pps: 0, ring: { oldest: null } })

  const flood = stats({ inbound: { pps: 90_000 }, tcpFlags: { syn: 22_500, ack: undefined }, ring: { oldest: time } })
  t.strictSame(flood.inbound, { packets: 0, bytes: 0, pps: 90_000, bps: 0 })
  t.strictSame(flood.tcpFlags, { syn: 22_500, synack: 0, ack: 0, rst: 0, fin: 0 })
  t.equal(flood.ring.oldest, time)
  t.equal(stats().inbound.pps, 0)
  t.end()
})

test('stats of the statistics-only mode have nulls where the system tells nothing', (t) => {
  const figures = stats({ mode: 'statistics', pps: 5, loss: { interface: 2 } })
  t.match(figures, {
    mode: 'statistics',
    pps: 5,
    protocols: null,
    tcpFlags: null,
    fragments: null,
    ring: null,
    loss: { kernel: null, interface: 2 },
    total: { kernelLoss: null },
  })
  t.throws(() => stats({ mode: 'capturing' } as object), { code: 'ERR_INVALID_ARG_VALUE' })
  t.throws(() => stats(null as unknown as object), { code: 'ERR_INVALID_ARG_TYPE' })
  t.end()
})
