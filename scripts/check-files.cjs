// `npm run check -- files`: fails where a file of src/, native/ or scripts/ has no line in DESIGN.md that says why it is there, has
// two, or has one and is not there. Usage: node scripts/check-files.cjs [ROOT]
'use strict'

const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(process.argv[2] ?? path.join(__dirname, '..'))
const title = '## Files'
const places = ['native', 'src', 'scripts']
/** Named for what they test. */
const apart = /^native\/(test|fuzz)\//

const files = places.flatMap((place) =>
  fs
    .readdirSync(path.join(root, place), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) =>
      path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name)).replaceAll(path.sep, '/'),
    )
    .filter((file) => !apart.test(file)),
)

/** `a/b.{h,cc}` is two files. */
function expand(name) {
  const [, before, choices, after] = /^(.*)\{(.*)\}(.*)$/.exec(name) ?? []
  return choices === undefined ? [name] : choices.split(',').map((choice) => `${before}${choice}${after}`)
}

const problems = []
const named = new Set()
const lines = fs.readFileSync(path.join(root, 'DESIGN.md'), 'utf8').split('\n')
const begin = lines.indexOf(title) + 1
const length = lines.slice(begin).findIndex((line) => line.startsWith('## '))
const section = begin === 0 ? [] : lines.slice(begin, length < 0 ? undefined : begin + length)
for (const [i, line] of section.entries()) {
  if (!line.startsWith('- ')) continue
  const where = `DESIGN.md:${begin + i + 1}`
  const [, name, why] = /^- `([^`]+)`(?: — (.*\S))?\s*$/.exec(line) ?? []
  if (name === undefined) {
    problems.push(`${where}: not "- \`file\` — why": ${line}`)
    continue
  }
  if (why === undefined) problems.push(`${where}: does not say why ${name} is there`)
  for (const file of expand(name)) {
    if (named.has(file)) problems.push(`${where}: ${file} has a line already`)
    else if (!files.includes(file)) problems.push(`${where}: there is no ${file}`)
    named.add(file)
  }
}
for (const file of files.sort()) {
  if (!named.has(file))
    problems.push(`${file} has no line under "${title}" of DESIGN.md: say why it is there, or remove it`)
}

for (const problem of problems) console.error(`files: ${problem}`)
if (problems.length === 0) console.log(`files: ${files.length}, and each has its line`)
process.exitCode = problems.length === 0 ? 0 : 1
