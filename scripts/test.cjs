// `npm test`: makes a fresh clone testable, then runs the core's own tests and those in test/, all as TAP.
// Arguments go to tap; when one of them names a test file, the core's own tests are left out.
'use strict'

const os = require('node:os')
const { at, findCaptures, needEverything, run, say, whyNoStore } = require('./bootstrap.cjs')
const { startRgw } = require('./rgw.cjs')

const args = process.argv.slice(2)
const only = args.some((arg) => !arg.startsWith('-'))

needEverything({ forTests: true })
findCaptures()

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

/** The tests against a store share one server: each would take seconds to start its own. */
async function withGateway(work) {
  if (only || whyNoStore() !== null) return work()
  let started
  try {
    started = await startRgw()
  } catch (error) {
    // Each file then tries for itself, and tells.
    say(`the store to test with: ${error.message}`)
    return work()
  }
  const { stop, ...gateway } = started
  try {
    process.env.PCAP_RING_GATEWAY = JSON.stringify(gateway)
    work()
  } finally {
    await stop()
  }
}

withGateway(() => step('tap', process.execPath, [at('node_modules/tap/dist/esm/run.mjs'), ...args])).then(() => {
  process.exitCode = failed ? 1 : 0
})
