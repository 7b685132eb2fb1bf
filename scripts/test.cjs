// `npm test`: makes a fresh clone testable, then runs the core's own tests and those in test/, all as TAP.
// Arguments go to tap; when one of them names a test file, the core's own tests are left out.
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { at, needAddon, needEverything, root, run, say } = require('./bootstrap.cjs')

const args = process.argv.slice(2)
const only = args.some((arg) => !arg.startsWith('-'))

needEverything({ forTests: true })
// The addon with the sanitizers, for test/sanitized.test.ts.
needAddon('Debug')

// Recorded captures are no part of the repository; tests that read them look where this says.
const recorded = path.resolve(root, '../shared/captures')
if (process.env.PCAP_RING_CAPTURES === undefined && fs.existsSync(recorded)) process.env.PCAP_RING_CAPTURES = recorded

let failed = false
function step(name, command, commandArgs) {
  const { ok, why } = run(command, commandArgs, { stdio: 'inherit' })
  if (!ok) say(`${name}: ${why}`)
  failed ||= !ok
}

if (!only) {
  // Built first with its output out of the way of the TAP.
  const jobs = `-j${os.availableParallelism()}`
  const { ok, why } = run('make', ['-C', at('native'), jobs, 'build-plain'])
  if (ok) step('native tests', 'make', ['-s', '-C', at('native'), 'test'])
  else {
    console.log(`not ok - the native tests do not compile (${why})`)
    failed = true
  }
}
step('tap', process.execPath, [at('node_modules/tap/dist/esm/run.mjs'), ...args])
process.exitCode = failed ? 1 : 0
