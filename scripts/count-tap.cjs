// Counts the test points of TAP streams: node scripts/count-tap.cjs FILE... prints `passed failed skipped` and, on standard
// error, the failed and the skipped ones by name, with the tests that they stand in and what a failed one says of itself.
//
// Leaves are counted, never summaries: in TAP a subtest's points are indented below the point that sums them up, so a point
// right after a deeper block is a summary. It counts only where it says what no leaf does: it fails (a time-out, a crash, a
// broken plan) while nothing below it failed. A failed point with the to-do directive is an expected failure and counts as skipped.
'use strict'

const fs = require('node:fs')

let passed = 0
const failed = []
const skipped = []

/** The YAML block that follows a point, without its fences; of a long one the beginning. */
function diagnostics(lines, from) {
  if (lines[from]?.trim() !== '---') return []
  const length = lines.slice(from).findIndex((line) => line.trim() === '...')
  return lines.slice(from + 1, from + Math.min(length, 40))
}

for (const file of process.argv.slice(2)) {
  // levels[depth]: has that depth had a point since its parent's last point, and did one fail?
  let levels = []
  // within[depth]: the subtest that the points of that depth stand in.
  let within = []
  const lines = fs.readFileSync(file, 'utf8').split('\n')
  for (const [at, line] of lines.entries()) {
    const opened = /^((?: {4})*)# Subtest: (.*)$/.exec(line)
    if (opened) within = [...within.slice(0, opened[1].length / 4), opened[2]]
    const match = /^((?: {4})*)(not )?ok\b(.*)$/.exec(line)
    if (!match) continue
    const [, indent, not, rest] = match
    const depth = indent.length / 4
    const name = [...within.slice(0, depth), rest.replace(/\s*\{$/, '').trim()].join(' > ')
    const directive = /(?:^|[^\\])#\s*(skip|todo)\b/i.exec(rest)?.[1]?.toLowerCase()
    const below = levels[depth + 1]
    const bad = Boolean(not) && !directive
    if (below === undefined || (bad && !below.failed)) {
      if (directive === 'skip' || (not && directive)) skipped.push(name)
      else if (bad) failed.push([name, ...diagnostics(lines, at + 1)].join('\n'))
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
