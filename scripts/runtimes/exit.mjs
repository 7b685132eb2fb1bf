// Ends its process in the middle of an incident, as its argument says.

import { ringWith } from './steps.mjs'

const [how] = process.argv.slice(2)
const ring = await ringWith(50, 9_004, how)
await ring.freeze({ id: 'open' }).flushed
if (how === 'process.exit') process.exit(7)
setImmediate(() => {
  throw new Error('thrown on purpose')
})
