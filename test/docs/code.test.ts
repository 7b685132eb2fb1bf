// Every block of code of every page does what the page says; one that nobody knows here fails.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { FloodDetector } from '../../src/detect/index.js'
import { repository } from '../support/host.js'
import { type Block, blocksOf, placeOf } from '../support/markdown.js'
import { endsWithRecording, makeProject, type Ran, replayed, runBlock } from '../support/page-host.js'

const notBuilt = existsSync(join(repository, 'lib', 'index.js')) ? false : 'not built: npm run build'
const key = { ARCHIVE_KEY: Buffer.alloc(32, 1).toString('base64') }
const pageOfCapture = { 'captures/incident_3f9a1c22.pcap': 'recording.pcap' }

interface Known {
  page: string
  /** What it is recognised by. */
  has: string
  /** In place of what a machine without a device, or a test, does not have. */
  instead?: Record<string, string>
  /** Behind it: what ends it. */
  ending?: string
  env?: NodeJS.ProcessEnv
  stdout?: RegExp
  judge?: (t: Test, directory: string, ran: Ran) => void
}

/** Those that run as programs. */
const programs: Known[] = [
  {
    page: 'README.md',
    has: 'new FloodDetector()\n\nring.on',
    ending: endsWithRecording,
    stdout:
      /^watching null\nudp-flood, low, 60000 packets a second: .*\/captures\/incident_[0-9a-f]{8}\.pcap\nudp-flood, over: \d+ packets, 0 lost, in .*\npre-buffer 500 .*\nonset 500 .*\nattack \d+ .*\n/,
  },
  {
    page: 'README.md',
    has: 'inbound.pps >= 50_000',
    ending: endsWithRecording,
    stdout: /^.*\/captures\/incident_[0-9a-f]{8}\.pcap: 10000 packets\n$/,
  },
  {
    page: 'README.md',
    has: 'ring.dump',
    stdout: /^capture null 2 \[/,
    judge: (t, directory) => t.ok(existsSync(join(directory, 'ring.pcap'))),
  },
  // A function that nobody calls: its types are judged.
  { page: 'README.md', has: 'async function follow' },
  {
    page: 'README.md',
    has: 'render(report',
    instead: pageOfCapture,
    judge: (t, directory) => {
      t.match(readFileSync(join(directory, 'incident.html'), 'utf8'), /^<!doctype html>[\s\S]*>40,000<\/data>/)
      t.match(readFileSync(join(directory, 'incident.md'), 'utf8'), /^# Recording recording\n/)
    },
  },
  {
    page: 'README.md',
    has: 'bps: 900_000_000',
    ending: endsWithRecording,
    stdout: /^udp-flood low 60000 .*\.pcap\nover: udp-flood 60000 \d+\n$/,
  },
  { page: 'README.md', has: 'What you want to test' },
  {
    page: 'README.md',
    has: 'new LocalArchive',
    instead: {
      'createServer(archive.handler()).listen(8080)': 'const server = createServer(archive.handler()).listen(0)',
    },
    // What curl does there; of a link nothing before its path is signed.
    ending: `
ring.freeze({ id: 'a' })
ring.on('archive', async (report, { id }) => {
  const { url } = await archive.sign(id, { actor: 'curl' })
  const { status, headers, body } = await fetch(url.replace('8080', server.address().port))
  const { byteLength } = await new Response(body).arrayBuffer()
  console.log(status, headers.get('content-disposition'), byteLength === report.bytes)
  server.close()
  server.closeAllConnections()
})
${endsWithRecording}`,
    env: key,
    stdout:
      /^(?=[\s\S]*^a until .*: http:\/\/localhost:8080\/captures\/a\?expires=)[\s\S]*^200 attachment; filename="incident_a\.pcap" true$/m,
    judge: (t, directory) => t.ok(existsSync(join(directory, 'archive', 'a.sealed'))),
  },
  // Making one asks the store for nothing.
  { page: 'docs/archive.md', has: 'new S3Archive', env: key },
  {
    page: 'docs/embedding.md',
    has: "console.log('closed')",
    ending: endsWithRecording,
    stdout: /^capture null\nclosed\n$/,
  },
  { page: 'docs/embedding.md', has: 'AbortSignal.timeout', judge: (t, _directory, { stderr }) => t.equal(stderr, '') },
  {
    page: 'docs/embedding.md',
    has: 'await using incident',
    stdout: /^\[\]\n$/,
  },
  { page: 'docs/embedding.md', has: '.unref()', stdout: /^$/ },
  {
    page: 'docs/embedding.md',
    has: 'isSynFlood',
    instead: { '20_000': '-1' },
    ending: `
ring.on('resolve', (_incident, { reason, labels }) => console.log(reason, labels.customer))
${endsWithRecording}`,
    stdout: /^SYN flood 17\n/,
  },
  {
    page: 'docs/embedding.md',
    has: 'one detector for each',
    // Before they start: the first may have come to its end when the second has started.
    instead: {
      'await Promise.all': `for (const ring of rings) {
  ring.on('resolve', (_incident, { attack }) => console.log(attack.vector))
  ring.once('end', () => ring.close())
}
await Promise.all`,
    },
    stdout: /^udp-flood\nudp-flood\n$/,
  },
  {
    page: 'docs/embedding.md',
    has: 'isMainThread',
    instead: { 'await ring.start()': "ring.once('end', () => ring.close())\n  await ring.start()" },
    stdout: /^1250 packets\n[\s\S]*\n40000 packets\n$/,
  },
  {
    page: 'docs/embedding.md',
    has: 'udp or tcp',
    judge: (t, _directory, { stderr }) => t.equal(stderr, ''),
  },
  { page: 'docs/embedding.md', has: 'typeof PcapRingError', stdout: /^function function function function\n$/ },
  {
    page: 'docs/embedding.md',
    has: 'droppedBy',
    ending: `\nring.freeze({ id: 'a' })${endsWithRecording}`,
    stdout: /^5000 0\n[\s\S]*a: no reason given\n/,
  },
  { page: 'docs/testing.md', has: 'the other shape' },
  { page: 'docs/testing.md', has: 'new FloodDetector' },
  { page: 'docs/testing.md', has: 'test-captures' },
  {
    page: 'docs/detection.md',
    has: 'detector.json',
    ending: endsWithRecording,
    judge: (t, directory) => {
      const state = JSON.parse(readFileSync(join(directory, 'detector.json'), 'utf8'))
      t.match(state, { version: 1, at: String, learned: Number })
      t.doesNotThrow(() => new FloodDetector({ state }), 'it is one for the next start')
    },
  },
  { page: 'docs/detection.md', has: 'change, attack', stdout: /^\[ 'pps, low' \]\n$/ },
  {
    page: 'docs/operations.md',
    has: 'minFree',
    instead: { '2 * 1024 ** 3': '0', "age: '30d', bytes: 10 * 1024 ** 3": 'bytes: 1' },
    ending: `\nring.freeze({ id: 'a' })${endsWithRecording}`,
    stdout: /^removed .*incident_a\.pcap\n$/,
  },
]

/** Those that are the text of a file, which examples.test.ts runs. */
const examples: Record<string, string[]> = {
  'docs/testing.md': [
    'detection.js',
    'record.js',
    'node/detection.test.js',
    'jest/detection.test.js',
    'vitest/detection.test.mjs',
  ].map((name) => `examples/testing/${name}`),
}

/** Those of bundlers, which commands.test.ts runs. */
const configurations = [/^\/\/ webpack\.config\.cjs\n/, /^\/\/ rollup\.config\.mjs\n/]

const isExample = ({ page, code }: Block): boolean =>
  examples[page]?.some((name) => readFileSync(join(repository, name), 'utf8') === code) ?? false
const isConfiguration = ({ code }: Block): boolean => configurations.some((first) => first.test(code))
const blocks = blocksOf('ts', 'js', 'cjs').filter((block) => !isExample(block) && !isConfiguration(block))
const knows = ({ page, has }: Known, block: Block): boolean => block.page === page && block.code.includes(has)

test('each block is known here, once', (t) => {
  for (const block of blocks) {
    t.equal(programs.filter((known) => knows(known, block)).length, 1, placeOf(block))
  }
  for (const known of programs) {
    t.equal(blocks.filter((block) => knows(known, block)).length, 1, `${known.page}: ${known.has}`)
  }
  const all = blocksOf('ts', 'js', 'cjs')
  const files = Object.values(examples).flat()
  t.equal(all.filter(isExample).length, files.length, 'each example stands on its page, word for word')
  t.equal(all.filter(isConfiguration).length, configurations.length)
  t.end()
})

/** At most so many at once: each is a process that starts two threads. */
const atOnce = 2
const running: Promise<unknown>[] = []

/** Begins when the one `atOnce` before it has ended. */
function started(t: Test, known: Known, index: number): Promise<{ directory: string; ran: Ran }> {
  const block = blocks.find((each) => knows(known, each))
  if (block === undefined) throw new Error(`no such block: ${known.page}: ${known.has}`)
  const directory = t.testdir({})
  makeProject(directory)
  let code = replayed(block.code)
  for (const [from, to] of Object.entries(known.instead ?? {})) {
    if (!code.includes(from)) throw new Error(`${placeOf(block)} has no ${from}`)
    code = code.replace(from, to)
  }
  const done = (running[index - atOnce] ?? Promise.resolve()).then(async () => {
    const ran = await runBlock({ ...block, code: code + (known.ending ?? '') }, directory, known.env)
    return { directory, ran }
  })
  running[index] = done.catch(() => {})
  return done
}

test('each runs, on a recording', { skip: notBuilt, jobs: atOnce }, async (t) => {
  await Promise.all(
    programs.map((known, index) =>
      t.test(`${known.page}: ${known.has.split('\n')[0]}`, { buffered: true }, async (t) => {
        const { directory, ran } = await started(t, known, index)
        t.equal(ran.status, 0, 'exit status', ran)
        if (known.stdout !== undefined) t.match(ran.stdout, known.stdout)
        known.judge?.(t, directory, ran)
      }),
    ),
  )
})

test('what fails in a block is seen', { skip: notBuilt }, async (t) => {
  const directory = t.testdir({})
  makeProject(directory)
  const [block] = blocks
  const broken = { ...(block as Block), code: 'import "@flowtriq/pcap-ring/nowhere"' }
  const { status, stderr } = await runBlock(broken, directory)
  t.equal(status, 1)
  t.match(stderr, 'ERR_PACKAGE_PATH_NOT_EXPORTED')
})
