import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test } from 'tap'

import type { RecordedPacket, RecordingSource } from '../../src/formats/recording-reader.js'
import { RecordingReader } from '../../src/formats/recording-reader.js'
import { captureNames, capturePath, noCaptures } from '../support/captures.js'

interface Outcome {
  packets: RecordedPacket[]
  error: (Error & { code?: string; errno?: number; syscall?: string }) | null
  reader: RecordingReader
}

async function readAll(source: RecordingSource): Promise<Outcome> {
  const reader = new RecordingReader(source)
  const packets: RecordedPacket[] = []
  try {
    for await (const packet of reader) packets.push(packet)
  } catch (error) {
    return { packets, error: error as Outcome['error'], reader }
  }
  return { packets, error: null, reader }
}

type Order = 'LE' | 'BE'

function words(order: Order, ...values: (number | [number])[]): Buffer {
  // A number is 32 bits wide, a number in brackets 16.
  const parts = values.map((value) => {
    const bytes = Buffer.alloc(typeof value === 'number' ? 4 : 2)
    if (typeof value === 'number') bytes[`writeUInt32${order}`](value)
    else bytes[`writeUInt16${order}`](value[0])
    return bytes
  })
  return Buffer.concat(parts)
}

const fileHeader = (order: Order, magic = 0xa1b2c3d4, minor = 4, network = 1): Buffer =>
  words(order, magic, [2], [minor], 0, 0, 65_535, network)
const record = (order: Order, sec: number, frac: number, data: Buffer, length = data.length): Buffer =>
  Buffer.concat([words(order, sec, frac, data.length, length), data])

const pad = (data: Buffer): Buffer => Buffer.concat([data, Buffer.alloc(-data.length & 3)])
function block(order: Order, type: number, ...body: Buffer[]): Buffer {
  const inside = Buffer.concat(body)
  return Buffer.concat([words(order, type, inside.length + 12), inside, words(order, inside.length + 12)])
}
const section = (order: Order): Buffer =>
  block(order, 0x0a0d0d0a, words(order, 0x1a2b3c4d, [1], [0], 0xffffffff, 0xffffffff))
const description = (order: Order, linkType: number, options: Buffer = Buffer.alloc(0), snaplen = 0): Buffer =>
  block(order, 1, words(order, [linkType], [0], snaplen), options)
const option = (order: Order, code: number, value: Buffer): Buffer =>
  Buffer.concat([words(order, [code], [value.length]), pad(value)])
const enhanced = (order: Order, id: number, ticks: bigint, data: Buffer, length = data.length): Buffer =>
  block(order, 6, words(order, id, Number(ticks >> 32n), Number(ticks & 0xffffffffn), data.length, length), pad(data))

const abc = Buffer.from('abc')

for (const order of ['LE', 'BE'] as const) {
  test(`pcap, ${order}: microseconds, nanoseconds, Kuznetzov's`, async (t) => {
    const micro = await readAll(Buffer.concat([fileHeader(order), record(order, 5, 7, abc, 100)]))
    t.equal(micro.error, null)
    t.equal(micro.reader.format, 'pcap')
    t.strictSame([...micro.reader.linkTypes], [1])
    t.strictSame(micro.packets, [
      {
        timeNs: 5_000_007_000n,
        precision: 'micro',
        data: new Uint8Array(abc),
        length: 100,
        linkType: 1,
        interfaceId: 0,
      },
    ])

    const nano = await readAll(Buffer.concat([fileHeader(order, 0xa1b23c4d), record(order, 5, 7, abc)]))
    t.match(nano.packets, [{ timeNs: 5_000_000_007n, precision: 'nano' }])

    const kuznetzov = Buffer.concat([fileHeader(order, 0xa1b2cd34), words(order, 5, 7, 3, 3, 9, 9), abc])
    t.match((await readAll(kuznetzov)).packets, [{ timeNs: 5_000_007_000n, data: new Uint8Array(abc) }])
  })

  test(`pcapng, ${order}: resolutions, offset, the three packet blocks, what is unknown is passed over`, async (t) => {
    const offset = Buffer.alloc(8)
    offset[`writeBigInt64${order}`](-10n)
    const bytes = Buffer.concat([
      section(order),
      block(order, 0xbad, Buffer.alloc(300_000)),
      description(order, 1),
      description(order, 101, option(order, 9, Buffer.from([9]))),
      description(
        order,
        113,
        Buffer.concat([
          option(order, 2, Buffer.from('eth0')),
          option(order, 9, Buffer.from([0x88])),
          option(order, 14, offset),
          words(order, 0),
        ]),
      ),
      description(order, 228, option(order, 9, Buffer.from([12])), 2),
      enhanced(order, 0, 5_000_007n, abc, 100),
      enhanced(order, 1, 5_000_000_007n, abc),
      enhanced(order, 2, 0x0f80n, abc),
      enhanced(order, 3, 5_000_000_007_999n, abc),
      block(order, 2, words(order, [1], [0], 1, 2, 3, 50), pad(abc)),
      block(order, 3, words(order, 3), pad(abc)),
    ])
    const { packets, error, reader } = await readAll(bytes)
    t.equal(error, null)
    t.equal(reader.format, 'pcapng')
    t.strictSame([...reader.linkTypes], [1, 101, 113, 228])
    t.strictSame(
      packets.map((packet) => [packet.timeNs, packet.precision, packet.length, packet.linkType, packet.interfaceId]),
      [
        [5_000_007_000n, 'micro', 100, 1, 0],
        [5_000_000_007n, 'nano', 3, 101, 1],
        [5_500_000_000n, 'micro', 3, 113, 2],
        [5_000_000_007n, 'nano', 3, 228, 3],
        [2n ** 32n + 2n, 'nano', 50, 101, 1],
        [0n, 'micro', 3, 1, 0],
      ],
    )
    for (const { data } of packets) t.strictSame(data, new Uint8Array(abc))
  })
}

test('sections of either order in one file, interfaces counted anew in each', async (t) => {
  const bytes = Buffer.concat([
    section('BE'),
    description('BE', 1),
    enhanced('BE', 0, 1n, abc),
    section('LE'),
    description('LE', 0),
    enhanced('LE', 0, 2n, abc),
    section('BE'),
    enhanced('BE', 0, 3n, abc),
  ])
  const { packets, error } = await readAll(bytes)
  t.strictSame(
    packets.map(({ timeNs, linkType }) => [timeNs, linkType]),
    [
      [1_000n, 1],
      [2_000n, 0],
    ],
  )
  t.match(error?.message, /interface 0, which is not described/)
})

test('a simple block holds no more than its interface keeps', async (t) => {
  const bytes = Buffer.concat([
    section('LE'),
    description('LE', 1, Buffer.alloc(0), 2),
    block('LE', 3, words('LE', 1_500), Buffer.from('abcd')),
  ])
  t.match((await readAll(bytes)).packets, [{ length: 1_500, data: new Uint8Array(Buffer.from('ab')) }])
})

test('lengths in the old order', async (t) => {
  const swapped = (minor: number): Buffer =>
    Buffer.concat([fileHeader('LE', undefined, minor), words('LE', 1, 0, 100, 3), abc])
  t.match((await readAll(swapped(2))).packets, [{ length: 100, data: { length: 3 } }])
  t.match((await readAll(swapped(3))).packets, [{ length: 100, data: { length: 3 } }])
})

test('odd but whole: fraction of a second and more, seconds beyond 2038, caplen 0 and beyond len, FCS bits', async (t) => {
  const bytes = Buffer.concat([
    fileHeader('LE', undefined, 4, 0xf4000001),
    record('LE', 1, 2_000_000, abc),
    record('LE', 0xffffffff, 128, Buffer.alloc(0), 60),
    record('LE', 1, 0, abc, 1),
  ])
  const { packets, error } = await readAll(bytes)
  t.equal(error, null)
  t.match(packets, [
    { timeNs: 3_000_000_000n, linkType: 1 },
    { timeNs: 4_294_967_295_000_128_000n, length: 60 },
    { length: 1, data: { length: 3 } },
  ])
})

test('damage is told with its place, after what came before it', async (t) => {
  const good = Buffer.concat([fileHeader('LE'), record('LE', 1, 0, abc)])
  const ng = Buffer.concat([section('LE'), description('LE', 1), enhanced('LE', 0, 1n, abc)])
  const otherEnd = enhanced('LE', 0, 1n, abc)
  otherEnd.writeUInt32LE(99, otherEnd.length - 4)
  const option7 = Buffer.concat([words('LE', [9], [7]), Buffer.alloc(4)])
  const all: [string, Buffer, number, number, RegExp][] = [
    ['empty', Buffer.alloc(0), 0, 0, /it is empty/],
    ['3 bytes', Buffer.from([0xd4, 0xc3, 0xb2]), 0, 0, /inside the file header/],
    ['no capture', Buffer.from('# a readme'), 0, 0, /neither a pcap nor a pcapng/],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0, 0]), 0, 0, /compressed/],
    ['zstd', Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0]), 0, 0, /compressed/],
    ['cut file header', good.subarray(0, 23), 0, 23, /inside the file header/],
    ['version', fileHeader('LE', undefined, 5), 0, 4, /version 2\.5/],
    ['reserved', fileHeader('LE', undefined, 4, 0x300000), 0, 20, /0x00300000/],
    ['cut record header', Buffer.concat([good, Buffer.alloc(15)]), 1, 43, /header of a record \(15 of 16 bytes\)/],
    [
      'cut data',
      Buffer.concat([good, record('LE', 1, 0, abc)]).subarray(0, -1),
      1,
      43,
      /data of a record \(2 of 3 bytes\)/,
    ],
    ['huge caplen', Buffer.concat([good, words('LE', 1, 0, 262_145, 1), Buffer.alloc(9)]), 1, 43, /claims 262145/],
    ['cut block header', Buffer.concat([ng, Buffer.alloc(11)]), 1, 84, /header of a block \(11 of 12/],
    ['cut block', Buffer.concat([ng, ng.subarray(0, 20)]), 1, 84, /inside a block \(20 of 28/],
    ['cut unknown block', Buffer.concat([ng, words('LE', 99, 400, 0)]), 1, 84, /inside a block of 400/],
    ['tiny block', Buffer.concat([ng, words('LE', 6, 8, 0)]), 1, 88, /claims 8 bytes/],
    ['odd block', Buffer.concat([ng, words('LE', 6, 33, 0)]), 1, 88, /claims 33 bytes/],
    ['huge block', Buffer.concat([ng, words('LE', 6, 0xfffffffc, 0)]), 1, 88, /more than 16777216/],
    ['short packet block', Buffer.concat([ng, block('LE', 6, words('LE', 0))]), 1, 88, /claims 16 bytes/],
    ['short description', Buffer.concat([ng, block('LE', 1, words('LE', 0))]), 1, 88, /claims 16 bytes/],
    ['short section', block('LE', 0x0a0d0d0a, words('LE', 0x1a2b3c4d)), 0, 4, /claims 16 bytes/],
    ['two sizes', Buffer.concat([ng, otherEnd]), 1, 84 + 32, /claims 99 at its end/],
    ['byte order', block('LE', 0x0a0d0d0a, Buffer.alloc(16)), 0, 8, /byte-order magic/],
    ['ng version', block('LE', 0x0a0d0d0a, words('LE', 0x1a2b3c4d, [2], [0], 0, 0)), 0, 12, /version 2/],
    ['interface', Buffer.concat([ng, enhanced('LE', 7, 1n, abc)]), 1, 84, /interface 7/],
    ['option beyond', Buffer.concat([ng, description('LE', 1, words('LE', [2], [9]))]), 1, 100, /beyond its block/],
    [
      'if_tsresol',
      Buffer.concat([ng, description('LE', 1, Buffer.concat([option7, Buffer.alloc(4)]))]),
      1,
      100,
      /if_tsresol/,
    ],
    ['if_tsoffset', Buffer.concat([ng, description('LE', 1, option('LE', 14, abc))]), 1, 100, /if_tsoffset/],
    [
      'caplen beyond block',
      Buffer.concat([ng, block('LE', 6, words('LE', 0, 0, 0, 9, 9), pad(abc))]),
      1,
      84,
      /room for 4/,
    ],
    ['caplen', Buffer.concat([ng, block('LE', 6, words('LE', 0, 0, 0, 300_000, 9), pad(abc))]), 1, 84, /claims 300000/],
    ['no time', Buffer.concat([ng, enhanced('LE', 0, 2n ** 64n - 1n, abc)]), 1, 96, /before 1678 or after 2261/],
  ]
  for (const [name, bytes, packets, at, what] of all) {
    const outcome = await readAll(bytes)
    t.equal(outcome.packets.length, packets, name)
    t.equal(outcome.error?.code, 'ERR_PCAP_BAD_FILE', name)
    t.match(outcome.error?.message, new RegExp(`^the recording is damaged at byte ${at}: `), name)
    t.match(outcome.error?.message, what, name)
  }
})

test('path, file URL and bytes read the same, also where a chunk ends inside a packet', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'reader-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const file = join(dir, 'big.pcap')
  // Sizes that do not divide the chunk, and one packet larger than all of it.
  const parts = [fileHeader('LE')]
  for (let i = 0; i < 2_000; i++) parts.push(record('LE', i, 0, Buffer.alloc((i * 7) % 1_400, i)))
  parts.push(record('LE', 9, 0, Buffer.alloc(262_144, 0xee)), record('LE', 10, 0, abc))
  writeFileSync(file, Buffer.concat(parts))
  const fromBytes = await readAll(readFileSync(file))
  t.equal(fromBytes.error, null)
  t.equal(fromBytes.packets.length, 2_002)
  for (const source of [file, pathToFileURL(file)]) {
    const { packets, error } = await readAll(source)
    t.equal(error, null)
    t.ok(
      packets.every(
        ({ timeNs, data }, i) =>
          timeNs === fromBytes.packets[i]?.timeNs && Buffer.compare(data, fromBytes.packets[i]?.data) === 0,
      ),
    )
    t.equal(packets.length, 2_002)
  }
})

test('packets keep their bytes, and the bytes given are not touched', async (t) => {
  const bytes = Buffer.concat([fileHeader('LE'), record('LE', 1, 0, abc), record('LE', 2, 0, Buffer.from('def'))])
  const { packets } = await readAll(bytes)
  packets[0]?.data.fill(0)
  t.strictSame(Buffer.from(packets[1]?.data ?? []), Buffer.from('def'))
  t.strictSame(bytes.subarray(40, 43), abc)
})

test('what the system refuses has errno and syscall', async (t) => {
  const missing = await readAll('/nonexistent/x.pcap')
  t.match(missing.error, { name: 'PcapRingError', code: 'ERR_PCAP_BAD_FILE', errno: -2, syscall: 'open' })
  t.match(missing.error?.message, /^cannot read '\/nonexistent\/x\.pcap': ENOENT/)
  t.match((await readAll(tmpdir())).error, { code: 'ERR_PCAP_BAD_FILE', errno: -21, syscall: 'read' })
})

test('wrong arguments throw at once', (t) => {
  for (const value of [undefined, null, 5, {}, [], new ArrayBuffer(8)]) {
    t.throws(() => new RecordingReader(value as string), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
  t.end()
})

test('no descriptor is left: read to the end, left early, damaged', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'reader-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const good = join(dir, 'good.pcap')
  const torn = join(dir, 'torn.pcap')
  writeFileSync(good, Buffer.concat([fileHeader('LE'), record('LE', 1, 0, abc), record('LE', 2, 0, abc)]))
  writeFileSync(torn, readFileSync(good).subarray(0, -1))
  await readAll(good)
  await readAll(torn)
  for await (const _ of new RecordingReader(good)) break
  const open = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(dir)
    } catch {
      return false
    }
  })
  t.strictSame(open, [])
})

const tshark = spawnSync('tshark', ['--version']).error === undefined

// tshark does not show blocks it takes for something else than packets the way we do, and it makes 0 of a fraction
// that is none; where it reads on behind damage is its own business.
const otherwise = new Set(['ng-be-test202.pcapng', 'mal-usec-fraction.pcap'])

test('real captures read as tshark reads them', { skip: noCaptures || (tshark ? false : 'no tshark') }, async (t) => {
  for (const name of captureNames()) {
    const { packets, error } = await readAll(capturePath(name))
    const sameFromBytes = await readAll(readFileSync(capturePath(name)))
    t.equal(sameFromBytes.packets.length, packets.length, name)
    if (otherwise.has(name)) continue
    const fields = ['frame.time_epoch', 'frame.cap_len', 'frame.len'].flatMap((field) => ['-e', field])
    const { stdout } = spawnSync('tshark', ['-n', '-r', capturePath(name), '-T', 'fields', ...fields], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    })
    const theirs = stdout
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [time = '', caplen, length] = line.split('\t')
        const [seconds = '0', fraction = ''] = time.split('.')
        return `${BigInt(seconds || '0') * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))} ${caplen} ${length}`
      })
    const ours = packets.map(({ timeNs, data, length }) => `${timeNs} ${data.length} ${length}`)
    // As texts: to compare 100,000 lines one by one takes longer than to read them.
    t.equal(ours.join('\n'), (error === null ? theirs : theirs.slice(0, ours.length)).join('\n'), name)
    t.equal(error !== null, /^(mal-(hdr|cut|caplen-1|first|link)|ng-cut|zero)/.test(name), `${name}: ${error?.message}`)
  }
})
