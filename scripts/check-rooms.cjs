// `npm run check -- rooms`: fails on an include or import that points upward. The rooms are those of DESIGN.md; a folder
// that has no rule here fails too, so that a new room is given its place. Usage: node scripts/check-rooms.cjs [ROOT]
'use strict'

const fs = require('node:fs')
const path = require('node:path')

const root = path.resolve(process.argv[2] ?? path.join(__dirname, '..'))
const violations = []

/** What a file in a room of native/ may include: rooms, or single files of them. Itself always. */
const sensors = ['base', 'source', 'ring', 'traffic']
const nativeRules = {
  base: [],
  source: ['base'],
  ring: ['base', 'source/packet.h'],
  traffic: ['base', 'source/packet.h'],
  engine: sensors,
  output: [...sensors, 'engine'],
  incident: [...sensors, 'engine', 'output'],
  binding: [...sensors, 'engine', 'output', 'incident'],
  test: [...sensors, 'engine', 'output', 'incident'],
  fuzz: [...sensors, 'engine', 'output', 'incident', 'test'],
}

/** What a file of src/ may import from src/: folders, single files, or '.' for any file directly in src/. */
const sourceRules = {
  '.': ['.', 'formats'],
  formats: ['errors.ts', 'time.ts', 'types.ts'],
  archive: ['errors.ts', 'options.ts', 'time.ts', 'types.ts'],
  'archive/s3': ['archive', 'errors.ts', 'options.ts', 'time.ts', 'types.ts'],
  detect: ['errors.ts', 'incident.ts', 'lock-step.ts', 'options.ts', 'pcap-ring.ts', 'time.ts', 'types.ts'],
  report: ['errors.ts', 'figures.ts', 'formats', 'time.ts', 'types.ts'],
  cli: ['.', 'formats', 'archive', 'archive/s3', 'detect', 'report'],
}

/** A folder with a rule of its own is a room, also within another. */
const roomOf = (rules, file) => {
  const folders = file.split('/').slice(0, -1)
  const inner = folders.slice(0, 2).join('/')
  return inner in rules ? inner : (folders[0] ?? '.')
}

const nodeHeader =
  /^(node|node_\w+|js_native_api\w*|napi|napi-inl[\w.]*|uv|v8|v8-[\w-]+|v8config)\.h$|^(uv|cppgc|libplatform)\//

const allows = (rules, room, target) => {
  const folder = roomOf(rules, target)
  return folder === room || rules[room].includes(folder) || rules[room].includes(target)
}

// Comments become blanks, strings stay, and so does every line number.
function withoutComments(text) {
  const token = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g
  return text.replace(token, (match) => (match.startsWith('/') ? match.replace(/[^\n]/g, ' ') : match))
}

function* matches(text, pattern) {
  for (const match of text.matchAll(pattern)) {
    yield { name: match[1], line: text.slice(0, match.index).split('\n').length }
  }
}

function filesOf(dir, wanted) {
  const from = path.join(root, dir)
  if (!fs.existsSync(from)) return []
  return fs
    .readdirSync(from, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted.test(entry.name))
    .map((entry) =>
      path.relative(from, path.join(entry.parentPath ?? entry.path, entry.name)).replaceAll(path.sep, '/'),
    )
    .sort()
}

function checkNative(file) {
  const room = roomOf(nativeRules, file)
  const violation = (line, what) => violations.push(`native/${file}:${line}: ${what}`)
  if (!nativeRules[room])
    return violation(1, `native/${room} is no known room: give it a rule in scripts/check-rooms.cjs`)
  const text = withoutComments(fs.readFileSync(path.join(root, 'native', file), 'utf8'))
  for (const { name, line } of matches(text, /^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]/gm)) {
    if (nodeHeader.test(name)) {
      if (room !== 'binding') violation(line, `includes Node's ${name}; only native/binding may`)
      continue
    }
    // As the compiler looks: beside the file, then from native/. What is in neither belongs to the system.
    const target = [path.posix.join(path.posix.dirname(file), name), path.posix.normalize(name)].find((candidate) =>
      fs.existsSync(path.join(root, 'native', candidate)),
    )
    if (target && !allows(nativeRules, room, target))
      violation(line, `${room} includes ${target}, which is not below it`)
  }
}

function checkSource(file) {
  const room = roomOf(sourceRules, file)
  const violation = (line, what) => violations.push(`src/${file}:${line}: ${what}`)
  if (!sourceRules[room]) return violation(1, `src/${room} is no known room: give it a rule in scripts/check-rooms.cjs`)
  const text = withoutComments(fs.readFileSync(path.join(root, 'src', file), 'utf8'))
  const specifier = /\b(?:from|import|require(?:\.resolve)?)\s*\(?\s*["'`]([^"'`\n]+)["'`]/g
  for (const { name, line } of matches(text, specifier)) {
    if (/^node-gyp-build$|\.node$/.test(name)) {
      if (file !== 'native.ts') violation(line, `loads the addon (${name}); only src/native.ts may`)
      continue
    }
    if (!name.startsWith('.')) continue
    const base = path.posix.join(path.posix.dirname(file), name.replace(/\.[cm]?js$/, ''))
    const candidates = [base, `${base}.ts`, `${base}/index.ts`]
    const target = candidates.find(
      (candidate) => fs.existsSync(path.join(root, 'src', candidate)) && candidate.endsWith('.ts'),
    )
    if (!target) {
      // package.json and the like lie outside src/; a source that is not there is the compiler's business.
      continue
    }
    if (target === 'native.ts' && room !== '.') violation(line, `${room} imports native.ts, which is not public`)
    else if (!allows(sourceRules, room, target))
      violation(line, `${room === '.' ? 'src' : room} imports ${target}, which is not below it`)
  }
}

const native = filesOf('native', /\.(cc|h)$/)
const source = filesOf('src', /\.[cm]?ts$/)
native.forEach(checkNative)
source.forEach(checkSource)

for (const violation of violations) console.error(violation)
if (violations.length === 0) console.log(`rooms: ${native.length + source.length} files, nothing points upward`)
process.exitCode = violations.length === 0 ? 0 : 1
