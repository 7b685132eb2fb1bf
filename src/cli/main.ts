#!/usr/bin/env node
import { processOutput } from './output.js'
import { run } from './run.js'

const stop = new AbortController()
let failed = false
const output = processOutput(process, (error) => {
  if (error !== null) {
    failed = true
    // It may come when the command has ended already.
    process.exitCode = 1
    process.stderr.write(`pcap-ring: cannot write to standard output: ${error.message}\n`)
  }
  stop.abort()
})
// Once: a second signal ends the process the usual way, should completing take too long for somebody.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => stop.abort())

// Also when it ends by an error that nobody expected.
process.on('exit', () => output.panel?.draw(null))

// Not process.exit(): what is still to be written is written.
void run(process.argv.slice(2), output, stop.signal).then((status) => {
  process.exitCode = failed ? 1 : status
})
