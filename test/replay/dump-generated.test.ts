import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'tap'

import type { PcapRingOptions } from '../../src/index.js'
import { type PcapFile, parsePcap, timeOf } from '../support/pcap-file.js'
import {
  interfaceBlock,
  magics,
  type Order,
  packetBlock,
  pcapBytes,
  pcapngBytes,
  type RawPacket,
  sectionBlock,
} from '../support/recording.js'
import { fileOf, replay, ringOf, scratch, watch } from '../support/replay.js'

// Packets that differ in everything: sizes from nothing to several slabs of the ring, cut ones, ones that claim less than
// they have, every kind of fraction, steps back. The bytes mean nothing, so that headers of any link type are nonsense.
function packets(count: number, fractions: number): RawPacket[] {
  return Array.from({ length: count }, (_, i) => {
    const size = i % 97 === 0 ? 0 : i % 89 === 0 ? 40_000 : 20 + ((i * 37) % 1_400)
    const data = Buffer.alloc(size, (i * 131) & 0xff)
    if (size >= 4) data.writeUInt32BE(i)
    const len = i % 7 === 0 ? size + i : i % 53 === 0 ? size >> 1 : size
    return { sec: 1_700_000_000 + (i >> 5) - (i % 41 === 0 ? 3 : 0), frac: (i * 7_919_993) % fractions, data, len }
  })
}

const million = 1_000_000
const billion = 1_000_000_000

async function dumpOf(t: Parameters<typeof scratch>[0], options: PcapRingOptions): Promise<PcapFile> {
  const directory = scratch(t)
  const ring = ringOf(t, { directory, ...options })
  const { warnings } = await replay(ring)
  if (warnings[0] !== undefined) throw warnings[0]
  const path = join(directory, 'dump.pcap')
  await ring.dump(path)
  return fileOf(path)
}

const wanted = (all: RawPacket[], keep = 500) =>
  all.slice(-keep).map(({ sec, frac, data, len = data.length }) => ({ sec, frac, caplen: data.length, len, data }))
const found = ({ records }: PcapFile) => records.map(({ offset: _, ...record }) => record)

const orders: Order[] = ['LE', 'BE']

for (const order of orders) {
  for (const [name, magic] of Object.entries(magics)) {
    test(`.pcap ${order} of magic ${name}`, async (t) => {
      const nano = name === 'nano'
      const all = packets(1_200, nano ? billion : million)
      const file = pcapBytes(all, { order, magic })
      const dumped = await dumpOf(t, { file, precision: nano ? 'nano' : 'micro' })
      t.equal(dumped.header.nano, nano)
      t.strictSame(found(dumped), wanted(all))
    })
  }

  for (const nano of [false, true]) {
    test(`.pcapng ${order} of ${nano ? 'nano' : 'micro'}seconds`, async (t) => {
      const all = packets(700, nano ? billion : million)
      const dumped = await dumpOf(t, { file: pcapngBytes(all, { order, nano }), precision: nano ? 'nano' : 'micro' })
      t.strictSame(found(dumped), wanted(all))
    })
  }
}

const linkTypes = [0, 1, 9, 12, 101, 104, 105, 113, 127, 147, 228, 229, 239, 242, 253, 276, 65_535]
for (const linkType of linkTypes) {
  test(`link type ${linkType}, in both formats`, async (t) => {
    const all = packets(600, million)
    for (const file of [pcapBytes(all, { linkType }), pcapngBytes(all, { linkType })]) {
      const dumped = await dumpOf(t, { file })
      t.equal(dumped.header.linkType, linkType)
      t.strictSame(found(dumped), wanted(all))
    }
  })
}

test('what a link type field says about frame check sequences is kept', async (t) => {
  const all = packets(3, million)
  const dumped = await dumpOf(t, { file: pcapBytes(all, { linkType: 0xf4000001 }) })
  t.equal(dumped.header.linkType, 0xf4000001)
})

test('any number of packets around the size of the ring', async (t) => {
  for (const keep of [1, 2, 500, 1_000]) {
    for (const count of [0, 1, keep - 1, keep, keep + 1, 3 * keep + 7]) {
      const all = packets(count, million)
      const dumped = await dumpOf(t, { file: pcapBytes(all), ring: { packets: keep } })
      t.strictSame(found(dumped), wanted(all, keep), `${count} packets, ring of ${keep}`)
    }
  }
})

test('from a path, a file URL, bytes and a view into a larger buffer', async (t) => {
  const all = packets(30, million)
  const bytes = pcapBytes(all)
  const path = join(scratch(t), 'x.pcap')
  writeFileSync(path, bytes)
  const larger = Buffer.concat([Buffer.alloc(13), bytes, Buffer.alloc(13)])
  const sources = [path, pathToFileURL(path), new Uint8Array(bytes), larger.subarray(13, 13 + bytes.length)]
  for (const file of sources) t.strictSame(found(await dumpOf(t, { file })), wanted(all))
})

test('microseconds are cut from nanoseconds, never rounded; nanoseconds from microseconds end in zeros', async (t) => {
  const data = Buffer.from('abc')
  const file = pcapBytes([{ sec: 5, frac: 999_999_999, data }], { magic: magics.nano })
  t.match(found(await dumpOf(t, { file })), [{ sec: 5, frac: 999_999 }])
  const micro = pcapBytes([{ sec: 5, frac: 999_999, data }])
  t.match(found(await dumpOf(t, { file: micro, precision: 'nano' })), [{ sec: 5, frac: 999_999_000 }])
})

test('a fraction of a second or more is kept as it is', async (t) => {
  const data = Buffer.from('abc')
  const fractions = [million, 4_000_000, 4_294_967_295]
  const file = pcapBytes(fractions.map((frac) => ({ sec: 5, frac, data })))
  t.strictSame(
    found(await dumpOf(t, { file })).map(({ sec, frac }) => [sec, frac]),
    fractions.map((frac) => [5, frac]),
  )
})

test('nanoseconds from a fraction that has no room for them: the time is kept', async (t) => {
  const data = Buffer.from('abc')
  const fractions = [999_999, million, 4_294_967, 4_294_968, 5_000_000, 4_294_967_295]
  const file = pcapBytes(fractions.map((frac) => ({ sec: 5, frac, data })))
  const dumped = await dumpOf(t, { file, precision: 'nano' })
  t.strictSame(
    dumped.records.map((record) => timeOf(dumped, record)),
    fractions.map((frac) => 5_000_000_000n + BigInt(frac) * 1_000n),
  )
})

test('times from 1970 to 2106', async (t) => {
  const data = Buffer.from('abc')
  const all = [0, 1, 0x7fffffff, 0x80000000, 0xffffffff].map((sec) => ({ sec, frac: 999_999, data }))
  t.strictSame(found(await dumpOf(t, { file: pcapBytes(all) })), wanted(all))
})

test('interfaces of different resolutions and sections of different byte orders', async (t) => {
  const packet = { sec: 0, frac: 0, data: Buffer.from('abc') }
  const file = Buffer.concat([
    sectionBlock('LE'),
    interfaceBlock('LE', 1, 9),
    interfaceBlock('LE', 1, 0x80 | 10),
    interfaceBlock('LE', 1, 3),
    packetBlock('LE', 5_123_456_789n, packet, 0),
    packetBlock('LE', 6n * 1024n + 512n, packet, 1),
    packetBlock('LE', 7_001n, packet, 2),
    sectionBlock('BE'),
    interfaceBlock('BE', 1),
    packetBlock('BE', 8_000_002n, packet, 0),
  ])
  const dumped = await dumpOf(t, { file, precision: 'nano' })
  t.strictSame(
    dumped.records.map(({ sec, frac }) => [sec, frac]),
    [
      [5, 123_456_789],
      [6, 500_000_000],
      [7, 1_000_000],
      [8, 2_000],
    ],
  )
})

test('a second link type ends the replay with a warning, the packets before are there', async (t) => {
  const packet = { sec: 0, frac: 0, data: Buffer.from('abc') }
  const file = Buffer.concat([
    sectionBlock('LE'),
    interfaceBlock('LE', 1),
    interfaceBlock('LE', 113),
    packetBlock('LE', 1n, packet, 0),
    packetBlock('LE', 2n, packet, 1),
    packetBlock('LE', 3n, packet, 0),
  ])
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  const { warnings, events } = await replay(ring)
  t.match(warnings, [{ code: 'ERR_PCAP_BAD_FILE', message: /byte \d+: .*link type 113/ }])
  t.strictSame(events.slice(-2), ['warning', 'end'])
  await ring.dump(join(directory, 'x.pcap'))
  t.equal(fileOf(join(directory, 'x.pcap')).records.length, 1)
})

test('snaplen cuts the bytes that are kept, not the length', async (t) => {
  const all = packets(50, million)
  const { header, records } = await dumpOf(t, { file: pcapBytes(all), snaplen: 64 })
  t.equal(header.snaplen, 64)
  t.strictSame(
    records.map(({ data, len }) => [data, len]),
    all.map(({ data, len }) => [data.subarray(0, 64), len]),
  )
})

test('big packets may fill the ring by bytes first: the newest are kept, and stats().ring says how many', async (t) => {
  const all = Array.from({ length: 200 }, (_, i) => ({ sec: i, frac: 0, data: Buffer.alloc(60_000, i) }))
  const directory = scratch(t)
  const bytes = 1024 * 1024
  const ring = ringOf(t, { file: pcapBytes(all), directory, ring: { bytes } })
  watch(ring)
  await replay(ring)
  const path = join(directory, 'x.pcap')
  const { packets: kept } = await ring.dump(path)
  t.ok(kept * 60_000 <= bytes && kept * 60_000 > bytes / 2, `${kept} packets`)
  t.strictSame(found(fileOf(path)), wanted(all, kept))
  t.match(ring.stats().ring, { packets: kept, bytes: kept * 60_000, oldest: /:\d\d\.000000Z$/ })
})

for (const size of [60_000, 200_000]) {
  test(`less room than packets of ${size} bytes want: none is cut, the newest alone is kept`, async (t) => {
    const all = Array.from({ length: 5 }, (_, i) => ({
      sec: i,
      frac: 0,
      data: Buffer.alloc(size, i + 1),
      len: size + 5,
    }))
    const directory = scratch(t)
    const ring = ringOf(t, { file: pcapBytes(all), directory, ring: { bytes: 64 + 65_536 } })
    await ring.start()
    const incident = ring.freeze()
    await once(ring, 'end')
    const path = join(directory, 'x.pcap')
    t.match(await ring.dump(path), { packets: 1 })
    t.strictSame(found(fileOf(path)), wanted(all, 1))
    t.match(await incident.resolve(), { packets: 5, error: null })
    t.strictSame(found(fileOf(incident.file as string)), wanted(all))
  })
}

test('interfaces of several snaplens: others read the whole packets of our file', async (t) => {
  const long = { sec: 0, frac: 0, data: Buffer.alloc(1_000, 7) }
  const short = { ...long, data: Buffer.alloc(64, 9), len: 1_000 }
  // 0 is no limit, and so is what comes only behind the first packets.
  for (const [first, second] of [
    [64, 0],
    [64, 2_000],
    [2_000, 64],
    [0, 64],
  ] as const) {
    const [a, b] = first === 64 ? [short, long] : [long, short]
    const blocks = [interfaceBlock('LE', 1, 6, second), packetBlock('LE', 2n, b, 1), packetBlock('LE', 3n, a, 0)]
    const file = Buffer.concat([
      sectionBlock('LE'),
      interfaceBlock('LE', 1, 6, first),
      packetBlock('LE', 1n, a, 0),
      ...blocks,
    ])
    const directory = scratch(t)
    const ring = ringOf(t, { file, directory })
    await replay(ring)
    const path = join(directory, 'x.pcap')
    await ring.dump(path)
    const read = parsePcap(execFileSync('tcpdump', ['-r', path, '-w', '-'], { stdio: ['ignore', 'pipe', 'ignore'] }))
    t.strictSame(
      read.records.map(({ data, len }) => [data, len]),
      [a, b, a].map(({ data }) => [data, 1_000]),
      `${first}, ${second}`,
    )
  }
})

test('the largest packet that there is', async (t) => {
  const all = [1, 2].map((i) => ({ sec: i, frac: 0, data: Buffer.alloc(262_144, i) }))
  t.strictSame(found(await dumpOf(t, { file: pcapBytes(all) })), wanted(all))
  t.doesNotThrow(() => parsePcap(pcapBytes(all)))
})
