#!/usr/bin/env node
import { processOutput } from './output.js'
import { run } from './run.js'

const stop = new AbortController()
const output = processOutput(process, () => stop.abort())
// Once: a second signal ends the process the usual way, should completing take too long for somebody.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())

// Not process.exit(): what is still to be written is written.
void run(process.argv.slice(2), output, stop.signal).then((status) => {
  process.exitCode = status
})
