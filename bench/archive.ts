// `npm run bench:archive`: a large capture into an archive and out of it, beside a plain copy through the same cipher; with `--s3` into
// and out of a bucket, beside the SDK alone. Each in a process of its own, whose memory is its own. Started by scripts/bench.cjs, which
// compiled this.

import { type ChildProcess, fork } from 'node:child_process'
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'

import type { S3Client } from '@aws-sdk/client-s3'

import type { Archive, ArchiveOptions } from '../src/archive/index.js'
import type { IncidentReport } from '../src/index.js'
import { bootstrap } from './install.js'
import { CsvFile } from './samples.js'
import { median } from './statistics.js'
import { markdown, spread } from './table.js'

const { at, say } = bootstrap
const miB = 1024 * 1024

/** What is measured, and beside what: pairs, of which either goes first in every other round. */
const pairs = {
  local: [
    ['copy', 'put'],
    ['copy', 'open'],
  ],
  s3: [
    ['upload', 'put'],
    ['download', 'open'],
  ],
} as const
type Place = keyof typeof pairs
type Way = (typeof pairs)[Place][number][number]

interface Store {
  endpoint: string
  credentials: { accessKeyId: string; secretAccessKey: string }
}

interface Job {
  way: Way
  file: string
  directory: string
  bytes: number
  sha256: string
  /** null: the archive lies in the directory. */
  store: Store | null
}

interface Measured {
  seconds: number
  /** By how much resident memory rose at the most. */
  risenKib: number
}

const key = Buffer.alloc(32, 1)
const Bucket = 'bench'
const Key = 'plain'

const sdk = () => require('@aws-sdk/client-s3') as typeof import('@aws-sdk/client-s3')

const clientOf = (store: Store): S3Client =>
  new (sdk().S3Client)({ ...store, region: 'us-east-1', forcePathStyle: true })

function archiveOf({ store, directory }: Job): Archive {
  const options: ArchiveOptions = { keys: [{ id: 'bench', secret: key }] }
  if (store === null) {
    const { LocalArchive } = require(at('lib/archive/index.js')) as typeof import('../src/archive/index.js')
    return new LocalArchive({ directory: join(directory, 'archive'), ...options })
  }
  const { S3Archive } = require(at('lib/archive/s3/index.js')) as typeof import('../src/archive/s3/index.js')
  return new S3Archive({ client: clientOf(store), bucket: Bucket, ...options })
}

async function written(path: string, ...from: [NodeJS.ReadableStream, ...NodeJS.ReadWriteStream[]]): Promise<void> {
  await pipeline([...from, createWriteStream(path, { highWaterMark: miB })])
  const file = await open(path, 'r')
  await file.sync()
  await file.close()
}

const read = (file: string) => createReadStream(file, { highWaterMark: miB })

/** What is to be done; loaded, and not begun. */
const work: Record<Way, (job: Job) => () => Promise<unknown>> = {
  copy:
    ({ file, directory }) =>
    () =>
      written(join(directory, 'copy'), read(file), createCipheriv('aes-256-gcm', key, Buffer.alloc(12))),
  put(job) {
    const { file, bytes, sha256 } = job
    const report = { id: 'large', format: 'pcap', bytes, sha256 } as unknown as IncidentReport
    const archive = archiveOf(job)
    return () => archive.put({ file, report })
  },
  open(job) {
    const archive = archiveOf(job)
    return async () => written(join(job.directory, 'plain'), await archive.open('large', { actor: 'bench' }))
  },
  upload({ file, store }) {
    const { Upload } = require('@aws-sdk/lib-storage') as typeof import('@aws-sdk/lib-storage')
    const client = clientOf(store as Store)
    return () => new Upload({ client, params: { Bucket, Key, Body: read(file) } }).done()
  },
  download({ directory, store }) {
    const client = clientOf(store as Store)
    return async () => {
      const { Body } = await client.send(new (sdk().GetObjectCommand)({ Bucket, Key }))
      await written(join(directory, 'plain'), Body as NodeJS.ReadableStream)
    }
  },
}

async function child(): Promise<void> {
  const [job] = (await once(process, 'message')) as [Job]
  const begin = work[job.way](job)
  const before = process.resourceUsage().maxRSS
  const begun = performance.now()
  await begin()
  const seconds = (performance.now() - begun) / 1_000
  process.send?.({ seconds, risenKib: process.resourceUsage().maxRSS - before } satisfies Measured)
  process.disconnect()
}

async function measured(job: Job): Promise<Measured> {
  const one: ChildProcess = fork(__filename, ['child'])
  one.send(job)
  const [answer] = (await Promise.race([
    once(one, 'message'),
    once(one, 'exit').then(([status]) => Promise.reject(new Error(`${job.way} ended: ${status}`))),
  ])) as [Measured]
  return answer
}

/** Of random bytes, as what a capture holds cannot be compressed either. */
function make(file: string, bytes: number): string {
  const hash = createHash('sha256')
  const fd = openSync(file, 'w', 0o600)
  for (let left = bytes; left > 0; left -= miB) {
    const piece = randomBytes(Math.min(miB, left))
    hash.update(piece)
    writeSync(fd, piece)
  }
  return hash.digest('hex')
}

interface Row extends Measured {
  /** By the archive's way in it. */
  pair: Way
  way: Way
}

/** Each pair, in one order in one round and in the other in the next. */
async function round(place: Place, number: number, job: Omit<Job, 'way'>, add: (row: Row) => void): Promise<void> {
  for (const [plain, ours] of pairs[place]) {
    for (const way of number % 2 === 1 ? [plain, ours] : [ours, plain]) {
      say(`round ${number}, ${place}: ${way}`)
      // Each into a new file: to write over one is faster.
      for (const one of ['copy', 'plain']) rmSync(join(job.directory, one), { force: true })
      add({ pair: ours, way, ...(await measured({ ...job, way })) })
    }
  }
}

/** With a server of its own: what was removed from one does not make room at once. */
async function withStore(act: (store: Store) => Promise<void>): Promise<void> {
  const { startRgw } = require(at('scripts/rgw.cjs')) as {
    startRgw: () => Promise<Store & { stop: () => Promise<void> }>
  }
  const { endpoint, credentials, stop } = await startRgw()
  try {
    const client = clientOf({ endpoint, credentials })
    await client.send(new (sdk().CreateBucketCommand)({ Bucket }))
    client.destroy()
    await act({ endpoint, credentials })
  } finally {
    await stop()
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mib: { type: 'string', default: '2048' },
      rounds: { type: 'string', default: '5' },
      out: { type: 'string', default: at('build/bench') },
      s3: { type: 'boolean', default: false },
    },
  })
  const bytes = Number(values.mib) * miB
  const rounds = Number(values.rounds)
  if (!Number.isInteger(bytes / miB) || bytes <= 0 || !Number.isInteger(rounds) || rounds <= 0) {
    throw new RangeError('--mib and --rounds take whole numbers above 0')
  }
  const place: Place = values.s3 ? 's3' : 'local'
  if (values.s3) {
    bootstrap.needStore()
    const why = bootstrap.whyNoStore()
    if (why !== null) throw new Error(`--s3 ${why}`)
  }
  const scratch = join(values.out, 'archive-scratch')
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
  mkdirSync(scratch, { recursive: true })
  const file = join(scratch, 'capture.pcap')
  const job = { file, directory: scratch, bytes, sha256: make(file, bytes) }
  const name = values.s3 ? 'archive-s3.csv' : 'archive.csv'
  const raw = new CsvFile(join(values.out, name), ['round', 'pair', 'way', 'bytes', 'seconds', 'risenKib'])
  const all: Row[] = []
  // The first is not counted: a disk may take longer for blocks that were never written.
  for (let number = 0; number <= rounds; number++) {
    const add = (row: Row): void => {
      if (number === 0) return
      all.push(row)
      raw.add({ round: number, bytes, ...row })
    }
    if (values.s3) await withStore((store) => round(place, number, { ...job, store }, add))
    else await round(place, number, { ...job, store: null }, add)
    rmSync(join(scratch, 'archive'), { recursive: true, force: true })
  }
  const rows: string[][] = []
  let fast = true
  let most = 0
  for (const [plain, ours] of pairs[place]) {
    const of = (way: Way): Row[] => all.filter((row) => row.pair === ours && row.way === way)
    const speeds = (way: Way): number[] => of(way).map(({ seconds }) => bytes / miB / seconds)
    for (const way of [plain, ours]) {
      const times = speeds(way).map((speed, i) => speed / (speeds(plain)[i] as number))
      const risen = of(way).map(({ risenKib }) => risenKib / 1024)
      rows.push([way, spread(speeds(way), ' MiB/s'), `${spread(times)} of ${plain}`, spread(risen, ' MiB')])
      if (way === plain) continue
      fast &&= median(times) >= 0.5
      most = Math.max(most, ...risen)
    }
  }
  process.stdout.write(`${markdown([`${values.mib} MiB`, 'speed', 'times', 'memory'], rows)}\n`)
  const bound = values.s3 ? 128 : 64
  const beside = values.s3 ? 'the SDK alone' : 'a copy'
  const yes = (good: boolean): string => (good ? 'yes' : 'no')
  process.stdout.write(`half the speed of ${beside}: ${yes(fast)}; at most ${bound} MiB: ${yes(most <= bound)}\n`)
}

const running = process.argv[2] === 'child' ? child() : main()
running.catch((error: unknown) => {
  process.stderr.write(`bench: ${(error as Error).stack}\n`)
  process.exitCode = 1
})
