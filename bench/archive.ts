// `npm run bench:archive`: a large capture into an archive and out of it, beside a plain copy through the same cipher. Each in a
// process of its own, whose memory is its own. Started by scripts/bench.cjs, which compiled this.

import { type ChildProcess, fork } from 'node:child_process'
import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { parseArgs } from 'node:util'

import type { LocalArchive } from '../src/archive/index.js'
import type { IncidentReport } from '../src/index.js'
import { bootstrap } from './install.js'
import { CsvFile } from './samples.js'
import { median } from './statistics.js'
import { markdown, spread } from './table.js'

const { at, say } = bootstrap
const miB = 1024 * 1024

const ways = ['copy', 'put', 'open'] as const
type Way = (typeof ways)[number]

interface Job {
  way: Way
  file: string
  directory: string
  bytes: number
  sha256: string
}

interface Measured {
  seconds: number
  /** By how much resident memory rose at the most. */
  risenKib: number
}

const key = Buffer.alloc(32, 1)

const archiveIn = (directory: string): LocalArchive => {
  const { LocalArchive: Archive } = require(at('lib/archive/index.js')) as typeof import('../src/archive/index.js')
  return new Archive({ directory, keys: [{ id: 'bench', secret: key }] })
}

async function synced(path: string): Promise<void> {
  const file = await open(path, 'r')
  await file.sync()
  await file.close()
}

const work: Record<Way, (job: Job) => Promise<unknown>> = {
  async copy({ file, directory }) {
    const out = join(directory, 'copy')
    const cipher = createCipheriv('aes-256-gcm', key, Buffer.alloc(12))
    await pipeline(
      createReadStream(file, { highWaterMark: miB }),
      cipher,
      createWriteStream(out, { highWaterMark: miB }),
    )
    await synced(out)
  },
  put({ file, directory, bytes, sha256 }) {
    const report = { id: 'large', format: 'pcap', bytes, sha256 } as unknown as IncidentReport
    return archiveIn(join(directory, 'archive')).put({ file, report })
  },
  async open({ directory }) {
    const out = join(directory, 'plain')
    const stream = await archiveIn(join(directory, 'archive')).open('large', { actor: 'bench' })
    await pipeline(stream, createWriteStream(out, { highWaterMark: miB }))
    await synced(out)
  },
}

async function child(): Promise<void> {
  const [job] = (await once(process, 'message')) as [Job]
  const before = process.resourceUsage().maxRSS
  const begun = performance.now()
  await work[job.way](job)
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

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      mib: { type: 'string', default: '2048' },
      rounds: { type: 'string', default: '5' },
      out: { type: 'string', default: at('build/bench') },
    },
  })
  const bytes = Number(values.mib) * miB
  const rounds = Number(values.rounds)
  if (!Number.isInteger(bytes / miB) || bytes <= 0 || !Number.isInteger(rounds) || rounds <= 0) {
    throw new RangeError('--mib and --rounds take whole numbers above 0')
  }
  const scratch = join(values.out, 'archive-scratch')
  process.on('exit', () => rmSync(scratch, { recursive: true, force: true }))
  mkdirSync(scratch, { recursive: true })
  const file = join(scratch, 'capture.pcap')
  const sha256 = make(file, bytes)
  const raw = new CsvFile(join(values.out, 'archive.csv'), ['round', 'way', 'bytes', 'seconds', 'risenKib'])
  const all: (Measured & { way: Way })[] = []
  for (let round = 1; round <= rounds; round++) {
    // `open` needs what `put` left; the copy goes before them in one round, behind them in the next.
    for (const way of round % 2 === 1 ? (['copy', 'put', 'open'] as const) : (['put', 'open', 'copy'] as const)) {
      say(`round ${round} of ${rounds}, ${way}`)
      const one = await measured({ way, file, directory: scratch, bytes, sha256 })
      all.push({ way, ...one })
      raw.add({ round, way, bytes, ...one })
    }
    for (const name of ['copy', 'plain', 'archive']) rmSync(join(scratch, name), { recursive: true, force: true })
  }
  const of = (way: Way): Measured[] => all.filter((one) => one.way === way)
  const speeds = (way: Way): number[] => of(way).map(({ seconds }) => bytes / miB / seconds)
  const copy = speeds('copy')
  const rows = ways.map((way) => [
    way,
    spread(speeds(way), ' MiB/s'),
    spread(speeds(way).map((speed, i) => speed / (copy[i] as number))),
    spread(
      of(way).map(({ risenKib }) => risenKib / 1024),
      ' MiB',
    ),
  ])
  process.stdout.write(`${markdown([`${values.mib} MiB`, 'speed', 'times a copy', 'memory'], rows)}\n`)
  const fast = ways.every((way) => median(speeds(way)) >= median(copy) / 2)
  const small = ways.every((way) => way === 'copy' || Math.max(...of(way).map(({ risenKib }) => risenKib)) <= 64 * 1024)
  process.stdout.write(`half the speed of a copy: ${fast ? 'yes' : 'no'}; at most 64 MiB: ${small ? 'yes' : 'no'}\n`)
}

const running = process.argv[2] === 'child' ? child() : main()
running.catch((error) => {
  process.stderr.write(`bench: ${(error as Error).stack}\n`)
  process.exitCode = 1
})
