// `npm run bench`: started by scripts/bench.cjs, which compiled this.

import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join, resolve } from 'node:path'

import type { Pair } from '../test/support/netns.js'
import { buildReceiver, buildSender } from './build.js'
import { chart } from './chart.js'
import { derive } from './derive.js'
import { freezes } from './freezes.js'
import { bootstrap, need, needPlotting, needRequired } from './install.js'
import { type Ground, measure } from './measure.js'
import { type Options, parseOptions, UsageError, usage } from './options.js'
import { casesOf, chosen, estimateMs, lengthsOf, type Turn, turns } from './plan.js'
import { cores } from './proc.js'
import { type FreezeSample, freezesFile, type Sample, samplesFile } from './samples.js'
import { caseName, summary } from './summary.js'

const { at, say } = bootstrap

function fail(text: string, status = 1): never {
  process.stderr.write(`bench: ${text}\n`)
  process.exit(status)
}

function options(): Options {
  try {
    const parsed = parseOptions(process.argv.slice(2), at('build/bench'))
    if (parsed !== null) return parsed
    process.stdout.write(`${usage}\n`)
    process.exit(0)
  } catch (error) {
    if (error instanceof UsageError) fail(`${error.message}; see npm run bench -- --help`, 2)
    throw error
  }
}

/** Who cannot be measured, and why. */
function missingOnes(options: Options): Map<string, string> {
  const missing = new Map<string, string>()
  const looked = new Map<string, string | null>()
  for (const { name, need: what } of chosen(options, new Set())) {
    if (what === undefined) continue
    const why = looked.has(what) ? (looked.get(what) as string | null) : need(what)
    looked.set(what, why)
    if (why !== null) missing.set(name, why)
  }
  for (const [name, why] of missing) say(`${name} is missing: ${why}`)
  return missing
}

function ground(out: string, { here, there }: Pair): Ground {
  const [first] = cores()
  const last = cores().at(-1)
  if (first === undefined || last === undefined) fail('no core to run on')
  if (first === last) say('there is one core only: sender and receiver share it, and figures flat out mean little')
  return {
    root: at(),
    here,
    there,
    senderCore: first,
    receiverCore: last,
    sender: buildSender(),
    receiver: buildReceiver(),
    scratch: join(out, 'scratch'),
  }
}

// netsniff-ng tells its version and fails.
const versionOf = (command: string): string =>
  spawnSync(command, ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0] || `${command}, of unknown version`

function machine(options: Options, missing: ReadonlySet<string>, ground: Ground): string[] {
  const programs = chosen(options, missing).flatMap(({ kind, need }) => (kind === 'tool' && need ? [need] : []))
  return [
    `${os.cpus()[0]?.model.trim()}, ${os.cpus().length} cores, ${os.type()} ${os.release()}, Node ${process.version}`,
    `sender on core ${ground.senderCore}, receivers on core ${ground.receiverCore}; rounds: ${options.rounds}, ${options.seconds} s each`,
    `frames of a rate come ${options.pattern === 'even' ? 'evenly' : 'in trains, one a millisecond'}`,
    `load when it began: ${os.loadavg()[0]?.toFixed(2)}`,
    ...[...new Set(programs)].map(versionOf),
  ]
}

const minutes = (ms: number): string => (ms < 90_000 ? `${Math.ceil(ms / 1_000)} s` : `${Math.ceil(ms / 60_000)} min`)

interface Taken {
  samples: Sample[]
  frozen: FreezeSample[]
  failures: string[]
}

async function run(options: Options, all: readonly Turn[], ground: Ground): Promise<Taken> {
  const taken: Taken = { samples: [], frozen: [], failures: [] }
  const raw = samplesFile(join(options.out, 'samples.csv'))
  const begun = Date.now()
  const { pattern } = options
  const missed = (what: string, error: unknown): void => {
    taken.failures.push(`${what}: ${error instanceof Error ? error.message : error}`)
    say(taken.failures.at(-1) as string)
  }
  for (const [i, turn] of all.entries()) {
    const { bench, round, contestant, rate, bytes } = turn
    const what = `round ${round}, ${caseName({ rate, bytes })}, ${contestant.name}`
    say(`${i + 1} of ${all.length}, ${minutes(Date.now() - begun)}: ${what}`)
    try {
      const measured = await measure(ground, contestant, { rate, pattern, bytes }, lengthsOf(turn, options))
      const sample: Sample = { bench, round, contestant: contestant.name, rate, pattern, bytes, ...measured }
      taken.samples.push(sample)
      raw.add(sample)
    } catch (error) {
      missed(what, error)
    }
  }
  if (!options.specials.includes('freeze')) return taken
  const delays = freezesFile(join(options.out, 'freezes.csv'))
  for (let round = 1; round <= options.rounds; round++) {
    for (const busy of round % 2 === 1 ? (['no', 'yes'] as const) : (['yes', 'no'] as const)) {
      const what = `round ${round}, freezes, ${busy === 'yes' ? 'both cores busy' : 'cores free'}`
      say(what)
      try {
        for (const flushedMs of await freezes(ground, pattern, busy === 'yes')) {
          taken.frozen.push({ round, busy, flushedMs })
          delays.add({ round, busy, flushedMs })
        }
      } catch (error) {
        missed(what, error)
      }
    }
  }
  return taken
}

async function draw(out: string, samples: readonly Sample[], options: Options): Promise<void> {
  const grid = samples.filter(({ bench }) => bench === 'grid')
  if (grid.length === 0) return
  const why = needPlotting()
  if (why !== null) {
    say(`no chart: ${why}`)
    return
  }
  const file = join(out, 'chart.svg')
  writeFileSync(file, await chart(derive(grid), casesOf(options)))
  say(`the chart: ${file}`)
}

async function main(): Promise<void> {
  const asked = options()
  const chosenOptions = { ...asked, out: resolve(asked.out) }
  const { out } = chosenOptions
  const lacking = needRequired()
  if (lacking !== null) fail(lacking)
  // It looks for its tools when it is loaded, so not before they are installed.
  const { makePair, noNamespaces } = await import('../test/support/netns.js')
  if (noNamespaces !== false) fail(`it ${noNamespaces}`)
  // The exit handlers remove namespaces and processes.
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    process.on(signal, () => process.exit(status))
  mkdirSync(out, { recursive: true })
  const missing = missingOnes(chosenOptions)
  const without = new Set(missing.keys())
  const all = turns(chosenOptions, without)
  // Its exit handler removes it.
  const place = ground(out, makePair({ teardown: () => {} }))
  process.on('exit', () => rmSync(place.scratch, { recursive: true, force: true }))
  const about = machine(chosenOptions, without, place)
  say(`this takes about ${minutes(estimateMs(chosenOptions, all))}; results go to ${out}`)
  const { samples, frozen, failures } = await run(chosenOptions, all, place)
  const text = summary({
    samples,
    freezes: frozen,
    cases: casesOf(chosenOptions),
    missing,
    failures,
    machine: about,
  })
  writeFileSync(join(out, 'summary.md'), text)
  process.stdout.write(text)
  await draw(out, samples, chosenOptions)
  process.exitCode = failures.length === 0 ? 0 : 1
}

main().catch((error: unknown) => fail(error instanceof Error ? (error.stack ?? error.message) : String(error)))
