// `npm run fuzz -- TARGET|all [--seconds N] [--jobs N]`: builds the fuzzers with clang, ASan and UBSan, and runs one of them, or
// all, for so many seconds each. Begins with seeds of our own, with the recorded captures where they are, and with what earlier
// runs found to be new (build/fuzz/corpus). Exit status 1: something was found; the input that shows it lies in build/fuzz/findings.
'use strict'

const { spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { at, fail, findCaptures, must, needFuzzTools, needSystemPackages, say } = require('./bootstrap.cjs')

/** By target: its seeds, and the largest input. */
const targets = {
  recording: { seeds: 'files', most: 65_536, captures: true },
  scan: { seeds: 'files', most: 65_536, captures: true },
  traffic: { seeds: 'bytes', most: 4_096 },
  filter: { seeds: 'bytes', most: 2_048 },
  pcapng: { seeds: 'bytes', most: 4_096 },
}

function usage(why) {
  fail(`${why}\nusage: npm run fuzz -- ${Object.keys(targets).join('|')}|all [--seconds N] [--jobs N]`)
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      options: { seconds: { type: 'string' }, jobs: { type: 'string' } },
      allowPositionals: true,
    })
    return { seconds: '60', jobs: `${os.availableParallelism()}`, ...values, positionals }
  } catch (error) {
    return usage(error.message)
  }
}

const { seconds, jobs, positionals } = readArguments()
const [target] = positionals
if (positionals.length !== 1 || (target !== 'all' && !(target in targets))) usage('which target?')
for (const number of [seconds, jobs]) if (!/^[1-9]\d*$/.test(number)) usage(`not a number above 0: ${number}`)

needSystemPackages()
const clang = needFuzzTools()
findCaptures()
must('make', 'make', ['-s', '-C', at('native'), `-j${os.availableParallelism()}`, 'build-fuzz', `CXX_fuzz=${clang}`])

const home = at('build/fuzz')
fs.mkdirSync(home, { recursive: true })
must('the seeds', at('build/native/fuzz/bin/seeds'), [path.join(home, 'seeds')])

/** Resolves to whether nothing was found. */
function fuzz(name) {
  const { seeds, most, captures } = targets[name]
  const corpus = path.join(home, 'corpus', name)
  const findings = path.join(home, 'findings', name)
  const log = path.join(home, `${name}.log`)
  for (const directory of [corpus, findings]) fs.mkdirSync(directory, { recursive: true })
  const from = [path.join(home, 'seeds', seeds)]
  if (captures && process.env.PCAP_RING_CAPTURES) from.push(process.env.PCAP_RING_CAPTURES)
  const args = [
    `-max_total_time=${seconds}`,
    `-max_len=${most}`,
    '-timeout=10',
    '-rss_limit_mb=2048',
    '-print_final_stats=1',
    `-artifact_prefix=${findings}${path.sep}`,
    corpus,
    ...from,
  ]
  const output = fs.openSync(log, 'w')
  const child = spawn(at('build/native/fuzz/bin', name), args, { stdio: ['ignore', output, output] })
  return new Promise((resolve) => {
    child.on('error', (error) => resolve({ name, status: error.message, log }))
    child.on('exit', (code, signal) => resolve({ name, status: signal ?? code, log }))
  })
}

function tell({ name, status, log }) {
  const text = fs.readFileSync(log, 'utf8')
  const runs = /stat::number_of_executed_units: (\d+)/.exec(text)?.[1]
  const coverage = [...text.matchAll(/ cov: (\d+) /g)].at(-1)?.[1]
  if (status === 0 && runs !== undefined) {
    console.log(`fuzz: ${name}: ${runs} inputs, ${coverage} edges, nothing found`)
    return true
  }
  console.log(`fuzz: ${name}: FOUND SOMETHING (${status}); the end of ${path.relative(process.cwd(), log)}:`)
  console.log(text.split('\n').slice(-40).join('\n'))
  return false
}

async function main() {
  const waiting = target === 'all' ? Object.keys(targets) : [target]
  say(`${waiting.join(', ')}: ${seconds} s each`)
  let good = true
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) good = tell(await fuzz(name)) && good
  }
  await Promise.all(Array.from({ length: Number(jobs) }, work))
  process.exitCode = good ? 0 : 1
}

main()
