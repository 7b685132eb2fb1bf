// The README's promises that can be read by a machine: its code runs, its tables are those of the sources.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import ts from 'typescript'

import { parseCommandLine } from '../src/cli/args.js'
import { card } from '../src/cli/card.js'
import { PcapRing } from '../src/index.js'
import { judgeRingOptions } from '../src/options.js'
import { encodePcap } from '../src/testing.js'
import type { PcapRingOptions } from '../src/types.js'
import { defaultStart, udpPackets } from './support/generate.js'
import { exampleReport } from './support/report.js'
import { nodeCommand } from './support/sanitizer.js'

const root = join(__dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const notBuilt = existsSync(join(root, 'lib', 'index.js')) ? false : 'not built: npm run build'

// --- reading the README ---

const blocks = (language: string): string[] =>
  [...readme.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, found]) => found === language)
    .map(([, , code]) => `${code}`)

/** The text under a heading, up to the next of the same or a higher level. */
function section(title: string): string {
  const lines = readme.split('\n')
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, '') === title)
  if (start < 0) throw new Error(`the README has no section ${title}`)
  const level = `${lines[start]}`.indexOf(' ')
  const length = lines.slice(start + 1).findIndex((line) => new RegExp(`^#{1,${level}} `).test(line))
  return lines.slice(start + 1, length < 0 ? undefined : start + 1 + length).join('\n')
}

/** The cells of the first table in a section, without its head. */
function table(title: string): string[][] {
  const rows = /(^\|.*\n)+/m.exec(section(title))?.[0].trim().split('\n').slice(2) ?? []
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  )
}

/** The words in code style, outside of blocks. */
const coded = (text: string): string[] =>
  [...text.replace(/^```[\s\S]*?^```$/gm, '').matchAll(/`([^`]+)`/g)].map(([, word]) => `${word}`)
const firstColumn = (title: string): string[] => table(title).flatMap(([cell]) => coded(`${cell}`))

// --- reading the sources ---

const sourceOf = (name: string) =>
  ts.createSourceFile(name, readFileSync(join(root, 'src', name), 'utf8'), ts.ScriptTarget.Latest, true)

/** The members of an interface, those that it inherits included. */
function members(interfaceName: string, file = 'types.ts'): string[] {
  const found = sourceOf(file)
    .statements.filter(ts.isInterfaceDeclaration)
    .find(({ name }) => name.text === interfaceName)
  if (found === undefined) throw new Error(`${file} has no interface ${interfaceName}`)
  const inherited = found.heritageClauses?.flatMap(({ types }) => types.map((type) => type.getText())) ?? []
  return [
    ...found.members.map((member) => `${member.name?.getText()}`),
    ...inherited.flatMap((name) => members(name, file)),
  ]
}

/** The strings of a union type. */
function union(typeName: string, file: string): string[] {
  const found = sourceOf(file)
    .statements.filter(ts.isTypeAliasDeclaration)
    .find(({ name }) => name.text === typeName)
  return [...`${found?.type.getText()}`.matchAll(/'([^']+)'/g)].map(([, member]) => `${member}`)
}

const sameNames = (t: Test, found: string[], wanted: string[], name: string): void => {
  t.strictSame([...found].sort(), [...wanted].sort(), name)
}

// --- code ---

/** A place where the package is installed, with a recording: calm, half a second of a flood, calm. */
function installed(t: Test): string {
  const dir = t.testdir({})
  mkdirSync(join(dir, 'node_modules', '@flowtriq'), { recursive: true })
  symlinkSync(root, join(dir, 'node_modules', '@flowtriq', 'pcap-ring'))
  symlinkSync(join(root, 'node_modules', '@types'), join(dir, 'node_modules', '@types'))
  const calm = { pps: 5_000, count: 5_000 }
  const flood = { pps: 60_000, count: 30_000, start: defaultStart + 1_000, firstSequence: 5_000 }
  const after = { pps: 5_000, count: 5_000, start: defaultStart + 1_500, firstSequence: 35_000 }
  writeFileSync(join(dir, 'recording.pcap'), encodePcap([calm, flood, after].flatMap((timing) => udpPackets(timing))))
  return dir
}

function run(t: Test, dir: string, code: string): string {
  writeFileSync(join(dir, 'block.mjs'), code)
  const [command, ...args] = [...nodeCommand(root), '--unhandled-rejections=strict', 'block.mjs']
  const options = { cwd: dir, encoding: 'utf8', timeout: 60_000 } as const
  const { status, stdout, stderr } = spawnSync(command as string, args, options)
  t.equal(status, 0, 'exit status', { stdout, stderr })
  return stdout
}

/** On a recording, and ended with it. */
const replayed = (code: string): string =>
  code.replace(/device: (?:'eth0'|process\.argv\[2\])/, "file: 'recording.pcap'")

test('all code is of the right types', { skip: notBuilt }, (t) => {
  const dir = installed(t)
  const files = [
    ...blocks('ts').map((code, i) => ({ name: `block${i}.mts`, code })),
    ...blocks('js').map((code, i) => ({ name: `block${i}.mjs`, code })),
  ]
  t.ok(files.length >= 4)
  for (const { name, code } of files) writeFileSync(join(dir, name), code)
  // As strict as a TypeScript host may be; what is JavaScript cannot say its types.
  const compilerOptions = {
    target: 'es2022',
    module: 'node16',
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    allowJs: true,
    checkJs: true,
  }
  for (const strict of [true, false]) {
    const include = [strict ? '*.mts' : '*.mjs']
    writeFileSync(
      join(dir, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: { ...compilerOptions, strict }, include }),
    )
    const tsc = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', dir], {
      encoding: 'utf8',
    })
    t.equal(tsc.stdout, '', `${include}`)
    t.equal(tsc.status, 0, 'exit status')
  }
  t.end()
})

test('from nothing to the first incident file, on a recording', { skip: notBuilt }, (t) => {
  const [agent, own] = blocks('js')
  const closes = "\nring.once('end', () => ring.close())\n"
  t.match(
    run(t, installed(t), `${replayed(`${agent}`)}${closes}`),
    /^watching null\nudp-flood, low, 60000 packets a second: .*\/captures\/incident_[0-9a-f]{8}\.pcap\nudp-flood, over: \d+ packets, 0 lost, in .*\npre-buffer 500 .*\nonset 500 .*\nattack \d+ .*\n/,
  )
  t.match(
    run(t, installed(t), `${replayed(`${own}`)}${closes}`),
    /^.*\/captures\/incident_[0-9a-f]{8}\.pcap: 10000 packets\n$/,
  )
  t.end()
})

test('what a ring can do, on a recording', { skip: notBuilt }, (t) => {
  const code = blocks('ts').find((block) => block.includes('ring.dump'))
  const { outputText } = ts.transpileModule(replayed(`${code}`), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  })
  const dir = installed(t)
  t.match(run(t, dir, outputText), /^capture null 2 \[/)
  t.ok(existsSync(join(dir, 'ring.pcap')))
  t.end()
})

test("a host's own test", { skip: notBuilt }, (t) => {
  const code = blocks('js').find((block) => block.includes('/testing'))
  run(t, installed(t), `${code}`)
  t.end()
})

test('an archive behind a ring, on a recording', { skip: notBuilt }, (t) => {
  const code = blocks('ts').find((block) => block.includes('LocalArchive'))
  const { outputText } = ts.transpileModule(replayed(`${code}`).replace(').listen(8080)', ')'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  })
  const dir = installed(t)
  const secret = `process.env.ARCHIVE_KEY = '${Buffer.alloc(32, 1).toString('base64')}'\n`
  const ends = "\nring.freeze({ id: 'a' })\nring.once('end', () => ring.close())\n"
  t.match(run(t, dir, secret + outputText + ends), /^a until .*: http:\/\/localhost:8080\/captures\/a\?expires=/)
  t.ok(existsSync(join(dir, 'archive', 'a.sealed')))
  t.end()
})

test('a page of a capture', { skip: notBuilt }, (t) => {
  const code = blocks('ts').find((block) => block.includes('summarize'))
  const { outputText } = ts.transpileModule(`${code}`.replace('captures/incident_3f9a1c22.pcap', 'recording.pcap'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  })
  const dir = installed(t)
  run(t, dir, outputText)
  t.match(readFileSync(join(dir, 'incident.html'), 'utf8'), /^<!doctype html>[\s\S]*>40,000<\/data>/)
  t.match(readFileSync(join(dir, 'incident.md'), 'utf8'), /^# Recording recording\n/)
  t.end()
})

test('every command line of it is right usage', (t) => {
  const lines = blocks('sh').flatMap((block) => block.split('\n').filter((line) => line.startsWith('pcap-ring ')))
  for (const line of lines) {
    const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? `${plain}`)
    const wanted = words[1] === 'archive' ? `archive ${words[2]}` : words[1]
    t.equal(parseCommandLine(words.slice(1)).command, wanted, line)
  }
  sameNames(
    t,
    lines.map((line) => `${line.split(' ')[1]}`),
    ['watch', 'replay', 'capture', 'report', 'devices', 'doctor', ...Array(6).fill('archive')],
    'all of them',
  )
  const scripts = Object.keys(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts)
  t.match(blocks('sh')[0], /^npm run demo .*\nnpm test /, 'the two commands stand first')
  for (const [, script] of readme.matchAll(/npm run (\w+)/g)) t.ok(scripts.includes(`${script}`), `npm run ${script}`)
  t.end()
})

test('the card', (t) => {
  t.equal(blocks('')[0], card(exampleReport(), { color: false, width: 80 }))
  t.end()
})

// --- tables ---

interface Option {
  /** As the README has it. */
  shown: string
  /** What a ring without options has. */
  actual: unknown
  good: PcapRingOptions[]
  /** Judged at construction, naming the option. */
  bad: unknown[]
}

const settings = judgeRingOptions({})
const ofReplay = judgeRingOptions({ file: 'x.pcap' })
const miB = 1024 * 1024
const options: Record<string, Option> = {
  device: {
    shown: "the default route's",
    actual: settings.device === '',
    good: [{ device: 'eth0' }],
    bad: [{ device: 'any' }, { device: '' }, { device: 1 }],
  },
  file: {
    shown: '–',
    actual: settings.file === null,
    good: [{ file: 'x.pcap' }, { file: new URL('file:///x.pcapng') }, { file: new Uint8Array() }],
    bad: [{ file: 1 }, { file: 'x.pcap', device: 'eth0' }, { file: new URL('http://localhost/x.pcap') }],
  },
  pace: {
    shown: "`'lockstep'`",
    actual: settings.pace === 'lockstep',
    good: [{ pace: 'lockstep' }, { pace: 'recorded' }],
    bad: [{ pace: 'fast' }],
  },
  filter: { shown: '–', actual: settings.filter === '', good: [{ filter: 'udp' }], bad: [{ filter: 1 }] },
  direction: {
    shown: "`'both'`",
    actual: settings.direction === 'both',
    good: [{ direction: 'in' }, { direction: 'out' }, { direction: 'both' }],
    bad: [{ direction: 'inout' }],
  },
  snaplen: {
    shown: "2048; a replay: the recording's",
    actual: settings.snaplen === 2048 && ofReplay.snaplen === 0,
    good: [{ snaplen: 64 }, { snaplen: 262_144 }],
    bad: [{ snaplen: 63 }, { snaplen: 262_145 }],
  },
  promiscuous: {
    shown: '`false`',
    actual: settings.promiscuous === false,
    good: [{ promiscuous: true }],
    bad: [{ promiscuous: 1 }],
  },
  'ring.packets': {
    shown: '500',
    actual: settings.ringPackets === 500,
    good: [{ ring: { packets: 1 } }, { ring: { packets: 1_000_000 } }],
    bad: [{ ring: { packets: 0 } }, { ring: { packets: 1_000_001 } }],
  },
  'ring.bytes': {
    shown: '4 KiB × `ring.packets`, at least 2 MiB',
    actual:
      settings.ringBytes === 2 * miB && judgeRingOptions({ ring: { packets: 1_000 } }).ringBytes === 4 * 1024 * 1_000,
    good: [{ ring: { bytes: 2048 + 65_536 } }, { snaplen: 64, ring: { bytes: 64 + 65_536 } }],
    bad: [{ ring: { bytes: 2048 + 65_535 } }, { snaplen: 64, ring: { bytes: 64 + 65_535 } }],
  },
  lookback: {
    shown: "`'10s'`",
    actual: settings.lookback === 10_000,
    good: [{ lookback: 0 }, { lookback: '10m' }],
    bad: [{ lookback: -1 }, { lookback: 600_001 }],
  },
  'onset.factor': {
    shown: '8',
    actual: settings.onset.factor === 8,
    good: [{ onset: { factor: 1.5 } }, { onset: { factor: 1_000 } }],
    bad: [{ onset: { factor: 1.4 } }, { onset: { factor: 1_001 } }],
  },
  'onset.minPps': {
    shown: '1,000',
    actual: settings.onset.minPps === 1_000,
    good: [{ onset: { minPps: 0 } }, { onset: { minPps: 1e12 } }],
    bad: [{ onset: { minPps: -1 } }],
  },
  'onset.minBps': {
    shown: '10,000,000',
    actual: settings.onset.minBps === 10_000_000,
    good: [{ onset: { minBps: 0 } }, { onset: { minBps: 1e12 } }],
    bad: [{ onset: { minBps: -1 } }],
  },
  'cap.packets': {
    shown: '10,000',
    actual: settings.cap.packets === 10_000,
    good: [{ cap: { packets: 1 } }],
    bad: [{ cap: { packets: 0 } }],
  },
  'cap.bytes': {
    shown: '–',
    actual: settings.cap.bytes === Infinity,
    good: [{ cap: { bytes: 24 } }],
    bad: [{ cap: { bytes: 23 } }],
  },
  'cap.duration': {
    shown: '–',
    actual: settings.cap.duration === Infinity,
    good: [{ cap: { duration: '5m' } }],
    bad: [{ cap: { duration: 0 } }, { cap: { duration: '5 minutes' } }],
  },
  'resolution.packets': {
    shown: '100',
    actual: settings.resolution.packets === 100,
    good: [{ resolution: { packets: 0 } }],
    bad: [{ resolution: { packets: -1 } }],
  },
  'resolution.duration': {
    shown: "`'1s'`",
    actual: settings.resolution.duration === 1_000,
    good: [{ resolution: { duration: 0 } }],
    bad: [{ resolution: { duration: -1 } }],
  },
  'resolution.reserve': {
    shown: '`false`',
    actual: settings.resolution.reserve === false,
    good: [{ resolution: { reserve: true } }],
    bad: [{ resolution: { reserve: 'yes' } }],
  },
  directory: {
    shown: "`'captures'`",
    actual: settings.directory === join(process.cwd(), 'captures'),
    good: [{ directory: 'x' }],
    bad: [{ directory: '' }, { directory: 1 }],
  },
  format: {
    shown: "`'pcap'`",
    actual: settings.format === 'pcap',
    good: [{ format: 'pcap' }, { format: 'pcapng' }],
    bad: [{ format: 'erf' }],
  },
  precision: {
    shown: "`'micro'`",
    actual: settings.precision === 'micro',
    good: [{ precision: 'nano' }],
    bad: [{ precision: 'milli' }],
  },
  keep: {
    shown: '`false`',
    actual: settings.keep.age === null && settings.keep.bytes === null,
    good: [
      { keep: false },
      { keep: { age: '1s' } },
      { keep: { bytes: 1 } },
      { keep: { age: '30d', bytes: 1024 ** 3 } },
    ],
    bad: [{ keep: true }, { keep: {} }, { keep: { age: 999 } }, { keep: { bytes: 0 } }, { keep: { bytes: 1.5 } }],
  },
  archive: {
    shown: '–',
    actual: settings.archive === null,
    good: [{ archive: { put: () => Promise.reject(new Error()) } }],
    bad: [{ archive: {} }, { archive: null }, { archive: 'x' }],
  },
  minFree: {
    shown: '256 MiB or 5 %',
    actual: settings.minFree === null,
    good: [{ minFree: 0 }, { minFree: 10 * 1024 * miB }],
    bad: [{ minFree: -1 }, { minFree: 1.5 }, { minFree: '1GB' }],
  },
  statsInterval: {
    shown: "`'250ms'`",
    actual: settings.statsInterval === 250,
    good: [{ statsInterval: '50ms' }, { statsInterval: '60s' }],
    bad: [{ statsInterval: 49 }, { statsInterval: 60_001 }],
  },
  kernelBuffer: {
    shown: '2 MiB',
    actual: settings.kernelBuffer === 2 * miB,
    good: [{ kernelBuffer: miB }, { kernelBuffer: 1024 * miB }],
    bad: [{ kernelBuffer: miB - 1 }, { kernelBuffer: 1024 * miB + 1 }],
  },
  latency: {
    shown: "`'100ms'`",
    actual: settings.latency === 100,
    good: [{ latency: 1 }, { latency: '1s' }],
    bad: [{ latency: 0 }, { latency: 1_001 }],
  },
  cpuBudget: {
    shown: '0.005',
    actual: settings.cpuBudget === 0.005,
    good: [{ cpuBudget: null }, { cpuBudget: 0.0001 }, { cpuBudget: 1 }],
    bad: [{ cpuBudget: 0 }, { cpuBudget: 1.001 }, { cpuBudget: '0.5%' }],
  },
  fallback: {
    shown: "`'statistics'`",
    actual: settings.fallback === 'statistics',
    good: [{ fallback: false }, { fallback: 'statistics' }],
    bad: [{ fallback: true }, { fallback: 'none' }],
  },
}

test('options: names, defaults and ranges', (t) => {
  const nested = { ring: 'RingOptions', onset: 'OnsetOptions', cap: 'CapOptions', resolution: 'ResolutionOptions' }
  const inSource = members('PcapRingOptions').flatMap((name) =>
    name in nested ? members(nested[name as keyof typeof nested]).map((sub) => `${name}.${sub}`) : [name],
  )
  const rows = table('Options')
  sameNames(t, firstColumn('Options'), inSource, 'those of the types')
  sameNames(t, Object.keys(options), inSource, 'all are judged here')
  for (const [cell, shown] of rows) {
    const name = `${coded(`${cell}`)[0]}`
    const option = options[name]
    if (option === undefined) continue
    t.equal(shown, option.shown, `${name}: its default`)
    t.ok(option.actual, `${name}: and it is`)
    for (const good of option.good) t.doesNotThrow(() => new PcapRing(good), JSON.stringify(good))
    for (const bad of option.bad) {
      // A sub-option's name is the whole path, as in the table.
      t.throws(
        () => new PcapRing(bad as PcapRingOptions),
        { code: /^ERR_(INVALID_ARG_TYPE|INVALID_ARG_VALUE|OUT_OF_RANGE)$/, message: `options.${name}` },
        JSON.stringify(bad),
      )
    }
  }
  t.end()
})

test('events, errors, report, statistics and the arguments of an incident are those of the sources', (t) => {
  sameNames(t, firstColumn('Events'), members('PcapRingEvents'), 'events')
  const codes = union('PcapRingErrorCode', 'errors.ts')
  sameNames(t, firstColumn('Errors'), codes, 'error codes')
  for (const [code] of readme.matchAll(/ERR_PCAP_\w+/g)) t.ok(codes.includes(code), code)

  sameNames(
    t,
    table('Report').flatMap(([cell]) => coded(`${cell}`)),
    members('IncidentReport'),
    'report',
  )
  const figures = coded(section('Statistics'))
  for (const name of [...members('StatsCapture'), ...members('Protocols'), ...members('TcpFlags')]) {
    if (name !== 'mode') t.ok(figures.includes(name), `statistics: ${name}`)
  }
  const incidents = section('Incidents')
  const argumentsOf = (name: string) =>
    `${new RegExp(`\`${name}\\(\\{ (.*) \\}\\)\``).exec(incidents)?.[1]}`.split(', ')
  sameNames(t, argumentsOf('freeze'), members('FreezeOptions'), 'freeze()')
  sameNames(t, argumentsOf('capture'), members('ManualOptions'), 'capture()')
  for (const state of union('IncidentState', 'incident.ts')) t.ok(coded(incidents).includes(`'${state}'`), state)
  for (const name of members('Section')) t.ok(coded(section('Sections')).includes(name), `section: ${name}`)
  t.end()
})

test('links lead somewhere', (t) => {
  const anchorsOf = (text: string): string[] =>
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
      `${title}`
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-'),
    )
  for (const [, link] of readme.matchAll(/\]\(([^)\s]+)\)/g)) {
    const [path, anchor] = `${link}`.split('#') as [string, string?]
    const there = existsSync(join(root, path))
    t.ok(
      there && (!anchor || anchorsOf(path ? readFileSync(join(root, path), 'utf8') : readme).includes(anchor)),
      `${link}`,
    )
  }
  t.end()
})
