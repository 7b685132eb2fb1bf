// Counts the test points of TAP streams: node scripts/count-tap.cjs FILE... prints `passed failed skipped` and, on standard
// error, the failed and the skipped ones by name.
//
// Leaves are counted, never summaries: in TAP a subtest's points are indented below the point that sums them up, so a point
// right after a deeper block is a summary. It counts only where it says what no leaf does: it fails (a time-out, a crash, a
// broken plan) while nothing below it failed. A failed point with the to-do directive is an expected failure and counts as skipped.
'use strict'

const fs = require('node:fs')

let passed = 0
const failed = []
const skipped = []

for (const file of process.argv.slice(2)) {
  // levels[depth]: has that depth had a point since its parent's last point, and did one fail?
  let levels = []
  for (const line of fs.readFileSync(file, 'utf8').split('\n')) {
    const match = /^((?: {4})*)(not )?ok\b(.*)$/.exec(line)
    if (!match) continue
    const [, indent, not, rest] = match
    const depth = indent.length / 4
    const name = rest.replace(/\s*\{$/, '').trim()
    const directive = /(?:^|[^\\])#\s*(skip|todo)\b/i.exec(rest)?.[1]?.toLowerCase()
    const below = levels[depth + 1]
    const bad = Boolean(not) && !directive
    if (below === undefined || (bad && !below.failed)) {
      if (directive === 'skip' || (not && directive)) skipped.push(name)
      else if (bad) failed.push(name)
      else passed++
    }
    const failedBefore = levels[depth]?.failed ?? false
    levels = levels.slice(0, depth + 1)
    levels[depth] = { failed: failedBefore || bad || Boolean(below?.failed) }
  }
}

for (const name of failed) console.error(`failed: ${name}`)
for (const name of skipped) console.error(`skipped: ${name}`)
console.log(passed, failed.length, skipped.length)
