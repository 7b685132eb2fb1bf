// `npm run check -- licences`: every package that package-lock.json names is under a licence that we may use it under, and what is
// shipped, or installed along with us, under one that asks for no more than its text; the text of what is shipped is there.
// Usage: node scripts/check-licences.cjs [ROOT]
'use strict'

const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(process.argv[2] ?? path.join(__dirname, '..'))
const read = (name) => JSON.parse(fs.readFileSync(path.join(root, name), 'utf8'))

/** Development dependencies whose code is in the package: bundled by scripts/bundle.cjs, copied by scripts/prepack.cjs. */
const shipped = ['d3-scale', 'd3-shape', 'node-addon-api']
const permissive = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'ISC', 'MIT']
/** Of tools that stay here: they may ask for more of whoever changes them. */
const forTools = [...permissive, 'CC-BY-3.0', 'CC-BY-4.0', 'CC0-1.0', 'MPL-2.0', 'Python-2.0']
/** Packages that name no licence, but bring its text. */
const byText = { 'jsonc-simple-parser': 'MIT' }

const { packages } = read('package-lock.json')
const nameOf = (place) => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)

/** Where a package that is asked for from `place` lies: as Node looks. null: it is optional, and for another platform. */
function find(name, place) {
  for (let from = place; ; from = from.slice(0, Math.max(0, from.lastIndexOf('node_modules/') - 1))) {
    const candidate = `${from === '' ? '' : `${from}/`}node_modules/${name}`
    if (candidate in packages) return candidate
    if (from === '') return null
  }
}

/** All that these bring along, themselves included. */
function closure(names) {
  const found = new Set()
  const waiting = names.map((name) => find(name, ''))
  for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
    if (place === null || found.has(place)) continue
    found.add(place)
    const { dependencies, optionalDependencies } = packages[place]
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) waiting.push(find(name, place))
  }
  return found
}

/** An SPDX expression without parentheses within: one of an OR, all of an AND. */
const allowed = (licence, list) =>
  licence
    .replace(/^\((.*)\)$/, '$1')
    .split(' OR ')
    .some((choice) => choice.split(' AND ').every((one) => list.includes(one)))

const problems = []
const { dependencies = {}, peerDependencies = {} } = packages['']
const withUs = closure([...Object.keys({ ...dependencies, ...peerDependencies })])
const inUs = closure(shipped)
const all = Object.keys(packages).filter((place) => place !== '')
for (const place of all) {
  const name = nameOf(place)
  const licence = packages[place].license ?? byText[name]
  const tool = !withUs.has(place) && !inUs.has(place)
  if (licence === undefined) problems.push(`${name} names no licence`)
  else if (!allowed(licence, tool ? forTools : permissive)) {
    problems.push(
      `${name} is under ${licence}, which ${tool ? 'no tool here' : 'nothing that is shipped or required'} may be`,
    )
  }
}
for (const name of shipped)
  if (find(name, '') === null) problems.push(`${name} is shipped, but is no dependency any more`)
for (const place of inUs) {
  const directory = path.join(root, place)
  const text = fs.existsSync(directory) && fs.readdirSync(directory).find((name) => /^licen[cs]e/i.test(name))
  if (!text) problems.push(`${nameOf(place)} is shipped, and brings no text of its licence`)
}

for (const problem of problems) console.error(`licences: ${problem}`)
if (problems.length === 0) {
  console.log(
    `licences: ${all.length} packages, of these ${withUs.size} required and ${inUs.size} shipped, nothing amiss`,
  )
}
process.exitCode = problems.length === 0 ? 0 : 1
