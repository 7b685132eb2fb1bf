// Ends its process in the middle of an incident, as its argument says.

import { ringWith } from './steps.mjs'

const [how] = process.argv.slice(2)
const ring = await ringWith(50, 9_004, how)
await ring.freeze({ id: 'open' }).flushed
if (how === 'process.exit') process.exit(7)
if (how === 'uncaught') {
  setImmediate(() => {
    throw new Error('thrown on purpose')
  })
}
// Nothing else keeps the process.
if (how === 'unref') ring.unref()
// Only the ring keeps the process: without it there would be an end before the time is up.
if (how === 'ref') {
  setTimeout(() => {
    process.exitCode = 7
    ring.close()
  }, 500).unref()
}
