// `npm run soak -- [--minutes N] [--out DIR]`: soak/soak.ts through tap, as TAP, then its chart. Exit status 1: something grew, or
// an incident was wrong.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { parseArgs } = require('node:util')
const { at, fail, must, needEverything, run, say } = require('./bootstrap.cjs')

const usage = 'usage: npm run soak -- [--minutes N] [--out DIR]'

function readArguments() {
  try {
    return parseArgs({ options: { minutes: { type: 'string' }, out: { type: 'string' } } }).values
  } catch (error) {
    return fail(`${error.message}\n${usage}`)
  }
}

const { minutes = '30', out = at('build/soak') } = readArguments()
if (!/^[1-9]\d{0,3}$/.test(minutes)) fail(`--minutes takes a whole number from 1 to 9999, not "${minutes}"\n${usage}`)
const directory = path.resolve(out)

needEverything({ forTests: true })
say(`${minutes} minutes; results go to ${directory}`)
const env = { PCAP_RING_SOAK_MINUTES: minutes, PCAP_RING_SOAK_OUT: directory }
const tap = [at('node_modules/tap/dist/esm/run.mjs'), '--reporter=tap', '--timeout=0', at('soak/soak.ts')]
const { ok, why } = run(process.execPath, tap, { stdio: 'inherit', env })
if (!ok) say(`tap: ${why}`)
process.exitCode = ok ? 0 : 1

if (fs.existsSync(path.join(directory, 'census.csv'))) {
  must('tsc', process.execPath, [at('node_modules/typescript/bin/tsc'), '-p', at('bench/tsconfig.json')])
  const { draw } = require(at('build/bench/js/soak/chart.js'))
  draw(directory).then((missing) => {
    if (missing !== null) say(`no chart: ${missing}`)
    else say(`the chart: ${path.join(directory, 'chart.svg')}`)
  })
}
