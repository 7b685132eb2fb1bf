// Every command line of every page: what can run here runs, what is ours is right usage, the rest is listed.

import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { parseCommandLine } from '../../src/cli/args.js'
import { PcapRing } from '../../src/index.js'
import { encodePcap } from '../../src/testing.js'
import { udpPackets } from '../support/generate.js'
import { repository } from '../support/host.js'
import { type Block, blocksOf, coded, pageOf, pages, placeOf } from '../support/markdown.js'
import { noTool } from '../support/netns.js'
import { makeProject, replayed } from '../support/page-host.js'
import { notSanitized } from '../support/sanitizer.js'

const notBuilt = existsSync(join(repository, 'lib', 'index.js')) ? false : 'not built: npm run build'
const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))

/** Without comments; a line that goes on in the next one is one. */
const linesOf = ({ code }: Block): string[] =>
  code
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/(^|\s+)# .*$/, '').trim())
    .filter((line) => line !== '')

/** As a shell takes them apart. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(([, one, two, plain]) => one ?? two ?? `${plain}`)

/** Right usage of what is here. */
const judges: Record<string, (t: Test, words: string[], line: string) => void> = {
  'pcap-ring': (t, words, line) => {
    const wanted = words[0] === 'archive' ? `archive ${words[1]}` : words[0]
    t.equal(parseCommandLine(words).command, wanted, line)
  },
  npm: (t, [verb, ...words], line) => {
    if (verb === 'run') t.ok(Object.hasOwn(manifest.scripts, `${words[0]}`), line)
    else if (verb === 'test') t.ok(manifest.scripts.test, line)
    else if (verb === 'install') for (const name of words) t.ok(isPackage(name), `${line}: ${name}`)
    else if (verb === 'pack' || verb === 'publish') t.strictSame(words, [], line)
    else t.strictSame([verb, ...words], ['rebuild', manifest.name], line)
  },
  npx: (t, [name, ...words], line) => {
    if (name === 'pcap-ring') judges['pcap-ring']?.(t, words, line)
    else t.ok(existsSync(join(repository, 'node_modules/.bin', `${name}`)), line)
  },
  node: (t, [file], line) => {
    // The agent and the archive are blocks of the README themselves.
    t.ok(existsSync(join(repository, `${file}`)) || ['agent.mjs', 'archive.mjs'].includes(`${file}`), line)
  },
  make: (t, words, line) => {
    t.strictSame(words.slice(0, 2), ['-C', 'native'], line)
    t.match(readFileSync(join(repository, 'native/Makefile'), 'utf8'), new RegExp(`^${words[2]}:`, 'm'), line)
  },
}

const isPackage = (name: string): boolean =>
  name === manifest.name ||
  [manifest.peerDependencies, manifest.devDependencies].some((each) =>
    Object.hasOwn(each, name.replace(/(?<=.)@.*$/, '')),
  )

/** Those that run, on the files of an incident. */
const tools = ['tshark', 'capinfos', 'sha256sum']
const runsHere = (line: string): boolean => tools.some((tool) => line.split(/[ |]+/).includes(tool))

/** What no test may do: it wants another machine, rights, a network, or changes the one that it runs on. Word for word, so that a new one is looked at. */
const elsewhere = [
  'sudo setcap cap_net_raw+ep "$(readlink -f "$(command -v node)")"',
  'docker run --cap-add NET_RAW my-image',
  'sudo node app.js',
  'docker run --network host --cap-drop ALL --cap-add NET_RAW --volume captures:/agent/captures agent eth0',
  'sudo ethtool -K eth0 gro off gso off tso off',
  // The README's trial of the archive: code.test.ts runs that block, and takes the capture by its link.
  'export ARCHIVE_KEY=$(openssl rand -base64 32)',
  "curl --remote-name --remote-header-name 'http://localhost:8080/captures/3f9a1c22?…'",
]

test('each command is right usage, runs here, or is listed', (t) => {
  const listed = new Set<string>()
  for (const block of blocksOf('sh')) {
    for (const line of linesOf(block)) {
      const [program, ...words] = wordsOf(line.replace(/^(?:[A-Z_][A-Z0-9_]*=\S+ +)+/, ''))
      if (elsewhere.includes(line)) listed.add(line)
      else if (runsHere(line)) continue
      else if (judges[`${program}`]) judges[`${program}`]?.(t, words, line)
      else t.fail(`${placeOf(block)} has a command that no test knows: ${line}`)
    }
  }
  t.strictSame([...listed].sort(), [...elsewhere].sort(), 'each of the list is on a page')
  t.end()
})

test('each command in a sentence is right usage', (t) => {
  for (const page of pages) {
    for (const line of coded(page.prose)) {
      const [program, ...words] = wordsOf(line)
      if (words.length === 0 || !Object.hasOwn(judges, `${program}`)) continue
      // What keys of the archive are derived with, and links begin with.
      if (/^pcap-ring (archive|link) v1\b/.test(line)) continue
      // `pcap-ring watch` names it, `pcap-ring COMMAND --help` and `npm run fuzz -- TARGET` leave something open.
      if (program === 'pcap-ring' && (words.length === 1 || /[A-Z]{3}/.test(line))) {
        t.doesNotThrow(() => parseCommandLine([...(words[0] === 'COMMAND' ? [] : words.slice(0, 1)), '--help']), line)
      } else if (program === 'node' && !/\.[cm]?js$/.test(`${words[0]}`)) {
        t.match(line, /^node:|^node --test/, line)
      } else {
        judges[`${program}`]?.(t, words, line)
      }
    }
  }
  t.end()
})

test('the two commands of a fresh clone stand first, and every command of ours is shown', (t) => {
  const [first] = pageOf('README.md').blocks.filter(({ language }) => language === 'sh')
  t.match(first?.code, /^npm run demo .*\nnpm test /)
  const shown = linesOf({ ...(first as Block), code: pageOf('README.md').section('Command line') })
    .filter((line) => line.startsWith('pcap-ring '))
    .map((line) => `${line.split(' ')[1]}`)
  const wanted = ['watch', 'replay', 'capture', 'report', 'devices', 'doctor', ...Array(6).fill('archive')]
  t.strictSame(shown.sort(), wanted.sort())
  t.end()
})

const missing = tools.map((tool) => noTool(tool)).find((why) => why !== false) ?? false

test('what reads the files of an incident', { skip: missing }, async (t) => {
  const cwd = t.testdir({})
  const captures = join(cwd, 'captures')
  for (const format of ['pcap', 'pcapng'] as const) {
    const ring = new PcapRing({
      file: encodePcap(udpPackets({ pps: 1_000, count: 1_000 })),
      format,
      directory: format === 'pcap' ? captures : join(cwd, 'ng'),
    })
    await ring.start()
    ring.once('stats', () => ring.freeze({ id: '3f9a1c22', reason: 'a test' }))
    await once(ring, 'end')
    await ring.close()
  }
  const run = (line: string): string => {
    // Where its file is: the README begins in the project, a guide in the directory of the captures.
    const directory = line.includes('captures/') ? cwd : line.includes('.pcapng') ? join(cwd, 'ng') : captures
    const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { cwd: directory, encoding: 'utf8' })
    t.equal(status, 0, line, { stderr })
    return stdout
  }
  const said = new Map(
    blocksOf('sh')
      .flatMap(linesOf)
      .filter(runsHere)
      .map((line) => [line, run(line)]),
  )
  const of = (part: string): string => [...said].find(([line]) => line.includes(part))?.[1] ?? ''
  t.match(of('sha256sum'), /incident_3f9a1c22\.pcap: OK\n$/)
  t.match(of('-t ud'), /^ *1 2024-01-01 00:00:00\.000000 /, 'the day, in UTC')
  t.match(of('frame.comment'), /^1\tpre-buffer\n251\tattack\n/)
  t.match(of('captures/incident_'), /^ *1 /)
  t.match(of('capinfos'), /SHA256: +[0-9a-f]{64}\n/)
})

test('esbuild leaves the package out', { skip: notSanitized('its program is not ours') || notBuilt }, (t) => {
  const cwd = t.testdir({})
  makeProject(cwd)
  mkdirSync(join(cwd, 'captures'))
  const [agent] = pageOf('README.md').blocks.filter(({ language }) => language === 'js')
  writeFileSync(join(cwd, 'agent.mjs'), `${replayed(`${agent?.code}`)}\nring.once('end', () => ring.close())\n`)
  const line = blocksOf('sh')
    .flatMap(linesOf)
    .find((each) => each.startsWith('npx esbuild '))
  const [, , ...words] = wordsOf(`${line}`)
  const run = (...args: string[]) => spawnSync(process.execPath, args, { cwd, encoding: 'utf8' })
  const built = run(join(repository, 'node_modules/esbuild/bin/esbuild'), ...words)
  t.equal(built.status, 0, built.stderr)
  t.match(readFileSync(join(cwd, 'dist/agent.mjs'), 'utf8'), 'from "@flowtriq/pcap-ring/detect"')
  t.match(run('dist/agent.mjs'), { status: 0, stdout: /^watching null\nudp-flood, / })
  t.end()
})

// Neither is a dependency of this repository; what they are told is that each entry point is external.
test('webpack and Rollup are told the same', async (t) => {
  const entries = Object.keys(manifest.exports).map((entry) => join(manifest.name, entry))
  for (const [first, name] of [
    ['// webpack.config.cjs', 'externals'],
    ['// rollup.config.mjs', 'external'],
  ] as const) {
    const block = blocksOf('js', 'cjs').find(({ code }) => code.startsWith(`${first}\n`))
    const file = join(t.testdir({}), first.slice('// '.length))
    writeFileSync(file, `${block?.code}`)
    const { default: configuration } = (await import(file)) as { default: Record<string, unknown> }
    const [external] = configuration[name] as RegExp[]
    for (const entry of entries) t.ok(external?.test(entry), `${name}: ${entry}`)
    for (const other of ['express', '@flowtriq/pcap-ringer', './agent.mjs']) t.notOk(external?.test(other), other)
  }
})
