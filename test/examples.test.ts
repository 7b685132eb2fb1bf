// Every example, run with the package as it is packed and installed.

import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Test, test } from 'tap'

import { parseCommandLine } from '../src/cli/args.js'
import type { IncidentReport } from '../src/index.js'
import { Host, type Running, repository, runProgram } from './support/host.js'
import { makePair, noNamespaces, noTool } from './support/netns.js'
import { packedProject } from './support/packed.js'
import { notSanitized } from './support/sanitizer.js'
import { noSender, send } from './support/sender.js'

const examples = join(repository, 'examples')
const textOf = (...path: string[]): string => readFileSync(join(examples, ...path), 'utf8')

const notBuilt = existsSync(join(repository, 'lib/index.js')) ? false : 'not built: npm run build'
const skip = notSanitized('the package is packed as users get it') || notBuilt
const skipLive = skip || noNamespaces || noSender

const modules = ['express', 'prom-client', '@opentelemetry/api', '@opentelemetry/sdk-trace-base', 'jest', 'vitest']
let made: string | undefined

/** One for all tests, removed with the last of them. */
function project(): string {
  made ??= packedProject({ teardown: (fn) => void process.on('exit', fn) }, ...modules)
  return made
}

/** A directory of the project that has these examples. */
function copied(name: string, ...parts: string[]): string {
  const directory = join(project(), name)
  mkdirSync(directory)
  for (const part of parts) cpSync(join(examples, part), join(directory, basename(part)), { recursive: true })
  return directory
}

function reportIn(directory: string): IncidentReport {
  const names = readdirSync(join(directory, 'captures')).filter((name) => name.endsWith('.json'))
  if (names.length !== 1) throw new Error(`one report expected in ${directory}: ${names}`)
  return JSON.parse(readFileSync(join(directory, 'captures', `${names[0]}`), 'utf8')) as IncidentReport
}

const sectionNames = ({ sections }: IncidentReport): string[] => sections.map(({ name }) => name)

test('the agent is the README’s first example, word for word, in 20 lines at most', (t) => {
  const agent = textOf('agent.mjs')
  const [first] = /^```js\n[\s\S]*?^```$/m.exec(readFileSync(join(repository, 'README.md'), 'utf8')) ?? []
  t.equal(first, `\`\`\`js\n${agent}\`\`\``)
  t.ok(agent.trimEnd().split('\n').length <= 20)
  t.end()
})

test('what watches a device, through one flood', { skip: skipLive }, async (t) => {
  const { here, there } = makePair(t)
  const ARCHIVE_KEY = Buffer.alloc(32, 1).toString('base64')
  const started = (name: string, env: NodeJS.ProcessEnv = {}): { directory: string; running: Running } => {
    const directory = copied(name, `${name}.mjs`)
    return { directory, running: runProgram(t, { netns: here.name, root: directory, env }, `${name}.mjs`, here.device) }
  }
  const agent = started('agent')
  const express = started('express', { ARCHIVE_KEY, PORT: '8080' })
  const prometheus = started('prometheus')
  const opentelemetry = started('opentelemetry')
  const all = [agent, express, prometheus, opentelemetry]
  await Promise.all(all.map(({ running }) => running.until(/here0/)))
  const calm = send(t, there, { count: 20_000, pps: 1_000 })
  await send(t, there, { count: 20_000, pps: 20_000, stream: 1, at: Date.now() + 2_500 }).sent
  await Promise.all([agent.running.until(/, over: /), express.running.until(/archived until/)])
  await opentelemetry.running.until(/links: \[\]/)
  await calm.stop()
  const ended = async (running: Running): Promise<string> => {
    running.kill('SIGTERM')
    const { status, stdout, stderr } = await running.ended
    t.equal(status, 0, 'it ends when it is told to', { stderr })
    t.equal(stderr, '')
    return stdout
  }
  // Inside of the namespace, where they listen.
  const visitor = await Host.start(t, { netns: here.name })
  const visit = (path: string, method = 'GET'): Promise<{ status: number; type: string | null; body: Buffer }> =>
    visitor.call(
      async (_api, [url, how]: [string, string]) => {
        const answer = await fetch(url, { method: how })
        const type = answer.headers.get('content-type')
        return { status: answer.status, type, body: Buffer.from(await answer.arrayBuffer()) }
      },
      [path.startsWith('http') ? path : `http://127.0.0.1${path}`, method] as [string, string],
    )

  t.test('the agent', async (t) => {
    const stdout = await ended(agent.running)
    const report = reportIn(agent.directory)
    t.match(stdout, /^watching here0\nudp-flood, \w+, \d+ packets a second: .*\/captures\/incident_[0-9a-f]{8}\.pcap\n/)
    t.match(stdout, `udp-flood, over: ${report.packets} packets, ${report.loss.kernel} lost, in ${report.file}\n`)
    for (const { name, packets, from, to } of report.sections) t.match(stdout, `${name} ${packets} ${from} ${to}\n`)
    t.strictSame(sectionNames(report).slice(0, 3), ['pre-buffer', 'onset', 'attack'])
  })

  t.test('Express: a list, pages, and links that are signed', async (t) => {
    const report = reportIn(express.directory)
    const { id } = report
    const list = await visit(':8080/incidents')
    t.match(JSON.parse(`${list.body}`), [{ id, bytes: report.bytes, report: `/incidents/${id}` }])
    const page = await visit(`:8080/incidents/${id}`)
    t.match(page.type, 'text/html')
    t.match(`${page.body}`, /^<!doctype html>[\s\S]*Content-Security-Policy/i)
    t.match(`${page.body}`, id)
    const link = JSON.parse(`${(await visit(`:8080/incidents/${id}/link`, 'POST')).body}`) as { url: string }
    const capture = await visit(link.url)
    t.equal(capture.status, 200)
    t.equal(createHash('sha256').update(capture.body).digest('hex'), report.sha256, 'the capture, to the byte')
    t.equal((await visit(`${link.url}0`)).status, 403, 'not with another signature')
    t.equal((await visit(':8080/incidents/0a1b2c3d')).status, 404)
    t.equal((await visit(':8080/incidents/0a1b2c3d/link', 'POST')).status, 404)
    t.equal((await visit(`:8080/incidents/..%2fincident_${id}`)).status, 404, 'an id is no path')
    await ended(express.running)
  })

  t.test('Prometheus', async (t) => {
    const scraped = async (): Promise<Map<string, number>> => {
      const { status, type, body } = await visit(':9464/metrics')
      t.equal(status, 200)
      t.match(type, /^text\/plain; version=/)
      const lines = `${body}`.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
      return new Map(
        lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
      )
    }
    let figures = await scraped()
    while (figures.get('pcap_ring_incident_packets_total') === 0) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      figures = await scraped()
    }
    const report = reportIn(prometheus.directory)
    t.equal(figures.get(`pcap_ring_attacks_total{vector="udp-flood",severity="${report.attack?.severity}"}`), 1)
    t.equal(figures.get('pcap_ring_incident_packets_total'), report.packets)
    t.ok((figures.get('pcap_ring_packets_total') as number) > 10_000)
    t.ok((figures.get('pcap_ring_span_seconds') as number) > 0)
    t.equal(figures.get('pcap_ring_incidents'), 0)
    t.ok((figures.get('pcap_ring_attack_packets_per_second') as number) >= 1_000)
    t.equal((await visit(':9464/')).status, 404)
    await ended(prometheus.running)
  })

  t.test('OpenTelemetry: the attack is a span', async (t) => {
    const stdout = await ended(opentelemetry.running)
    const report = reportIn(opentelemetry.directory)
    t.match(stdout, /name: 'flood',/)
    t.match(stdout, /'network\.interface\.name': 'here0',/)
    t.match(stdout, /'flood\.vector': 'udp-flood',/)
    t.match(stdout, `'incident.id': '${report.id}',`)
    t.match(stdout, `'incident.sha256': '${report.sha256}',`)
    // Both of them to the ms, as a Date has it.
    const micros = Date.parse(`${report.attack?.onsetAt}`) * 1_000
    t.match(stdout, new RegExp(`timestamp: ${micros},`), 'it begins with the first packet')
    t.match(stdout, new RegExp(`duration: ${Date.parse(report.resolvedAt) * 1_000 - micros},`), 'and ends with it')
    for (const name of ['attack found', ...sectionNames(report)]) t.match(stdout, `name: '${name}',`)
  })
})

test('a unit test of a host’s own detection, in node:test, Jest and Vitest', { skip }, async (t) => {
  const directory = copied('testing', ...readdirSync(join(examples, 'testing')).map((name) => join('testing', name)))
  const run = (...args: string[]): Promise<{ status: number | null; text: string }> => ended(t, directory, args)
  t.equal((await run('record.js')).status, 0)
  const bin = (name: string, path: string): string => join(repository, 'node_modules', name, path)
  const runners: [RegExp, ...string[]][] = [
    [/^# pass 2$/m, '--test', 'node/'],
    [/^Tests: +2 passed, 2 total$/m, bin('jest', 'bin/jest.js'), 'jest/'],
    [/^ +Tests +2 passed \(2\)$/m, bin('vitest', 'vitest.mjs'), 'run', '--dir', 'vitest'],
  ]
  const judge = async (good: boolean): Promise<void> => {
    for (const [passed, ...args] of runners) {
      const { status, text } = await run(...args)
      const name = args.map((arg) => basename(arg)).join(' ')
      t.equal(status, good ? 0 : 1, `${name}: exit status`, { text })
      t.equal(passed.test(text), good, `${name}: its count`, { text })
    }
  }
  await judge(true)
  // A detection that sees nothing: each of them tells of it.
  const detection = join(directory, 'detection.js')
  writeFileSync(detection, readFileSync(detection, 'utf8').replace('10 *', '1e9 *'))
  await judge(false)
})

/** A program of the project to its end, with all that it wrote. */
async function ended(t: Test, cwd: string, args: string[]): Promise<{ status: number | null; text: string }> {
  // Without what tap makes its own children load, and tells them.
  const { NODE_OPTIONS: _, TAP: __, ...env } = process.env
  const child = spawn(process.execPath, args, { cwd, env: { ...env, NO_COLOR: '1', CI: 'true' }, timeout: 60_000 })
  t.teardown(() => void child.kill('SIGKILL'))
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
  }
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, text }
}

const caps = ['--inh-caps=-all,+net_raw', '--bounding-set=-all,+net_raw', '--no-new-privs']

test('the systemd unit: its command, under its user’s rights', { skip: skipLive || noTool('setpriv') }, async (t) => {
  const unit = textOf('systemd/pcap-ring.service')
  const settings = new Map([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [`${name}`, `${value}`]))
  const [command, ...words] = `${settings.get('ExecStart')}`.split(' ')
  t.equal(command, 'pcap-ring')
  t.match(parseCommandLine(words), { command: 'watch', directory: `/var/lib/${settings.get('StateDirectory')}` })
  for (const name of ['AmbientCapabilities', 'CapabilityBoundingSet']) t.equal(settings.get(name), 'CAP_NET_RAW')
  t.equal(settings.get('MemoryDenyWriteExecute'), undefined, 'Node could not compile')

  const home = join(project(), 'node_modules/@flowtriq/pcap-ring')
  const program = join(home, 'lib/cli/main.js')
  if (noTool('systemd-analyze') === false) {
    chmodSync(program, 0o755)
    const file = join(copied('systemd'), 'pcap-ring.service')
    writeFileSync(file, unit.replace('ExecStart=pcap-ring', `ExecStart=${program}`))
    const verified = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' })
    t.match(verified, { status: 0, stdout: '', stderr: '' }, 'systemd has nothing to say')
  } else {
    t.comment('there is no systemd here: its unit was only read')
  }

  const { here, there } = makePair(t)
  const directory = join(copied('state'), 'captures')
  mkdirSync(directory, { mode: 0o700 })
  chownSync(directory, 65_534, 65_534)
  const user = ['--reuid=65534', '--regid=65534', '--clear-groups', '--ambient-caps=-all,+net_raw']
  const args = words.map((word) => (word === `/var/lib/${settings.get('StateDirectory')}` ? directory : word))
  const running = runProgram(
    t,
    { netns: here.name, root: project(), wrap: ['setpriv', ...user, ...caps] },
    program,
    ...args.toSpliced(1, 0, here.device),
  )
  await running.until(/watching here0; an attack is /)
  const calm = send(t, there, { count: 4_000, pps: 1_000 })
  await send(t, there, { count: 20_000, pps: 20_000, stream: 1, at: Date.now() + 2_000 }).sent
  await running.until(/incident [0-9a-f]{8} began/)
  running.kill('SIGTERM')
  const { status, stdout, stderr } = await running.ended
  await calm.stop()
  t.equal(status, 0, stderr)
  t.match(stdout, /── Incident [0-9a-f]{8} ─/, 'the card')
})

test('the Dockerfile: its program, with its permission alone', { skip: skipLive || noTool('setpriv') }, async (t) => {
  const text = textOf('docker/Dockerfile')
  const steps = [...text.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, name, value]) => ({
    name: `${name}`,
    value: `${value}`,
  }))
  t.strictSame(
    steps.map(({ name }) => name),
    ['FROM', 'WORKDIR', 'RUN', 'COPY', 'ENTRYPOINT'],
  )
  const stepOf = (wanted: string): string => steps.find(({ name }) => name === wanted)?.value ?? ''
  t.match(stepOf('FROM'), /^node:2\d-bookworm-slim$/, 'a Node and a libc that the package is for')
  const [source, ...to] = stepOf('COPY').split(' ')
  t.strictSame(to, ['./'])
  const entry = JSON.parse(stepOf('ENTRYPOINT')) as string[]
  t.strictSame(entry, ['node', source])
  t.match(text, /^# +docker run .*--cap-drop ALL --cap-add NET_RAW /m)

  const { here } = makePair(t)
  const directory = copied('docker', `${source}`)
  const options = { netns: here.name, root: directory, wrap: ['setpriv', ...caps] }
  const running = runProgram(t, options, ...entry.slice(1), here.device)
  await running.until(/watching here0/)
  running.kill('SIGTERM')
  t.match(await running.ended, { status: 0, stderr: '' }, 'it captures: there is no warning')
})
