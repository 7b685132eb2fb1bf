// `npm run check:runtimes`: the packed package, installed without install scripts, in every runtime that it is for. TAP.
// Arguments are beginnings of names: `npm run check:runtimes -- bun 'node 26'`.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { pathToFileURL } = require('node:url')
const { at, fail } = require('./bootstrap.cjs')
const { downloaded, packedProject } = require('./packed.cjs')
const { point, subtest, tap, told } = require('./tap.cjs')

// Pinned, so that a run tells of this repository and not of the day.
const arm = process.arch === 'arm64'
const node = (version, runners) => ({
  name: `node ${version}`,
  package: `node-linux-${process.arch}`,
  version,
  program: 'bin/node',
  runners,
})
const ofNode = ['node:test', 'Jest', 'Jest, ES modules', 'Vitest, forks', 'Vitest, threads', 'Vitest, vmThreads']
const runtimes = [
  // The oldest that `engines` lets in. Jest and Vitest want a later one.
  node('20.0.0', ['node:test']),
  node('20.20.2', ofNode),
  node('22.23.3', ofNode),
  node('24.21.0', ofNode),
  node('26.12.1', ofNode),
  {
    name: 'bun 1.4.5',
    package: `@oven/bun-linux-${arm ? 'aarch64' : 'x64'}`,
    version: '1.4.5',
    program: 'bin/bun',
    runners: ['bun test'],
  },
  {
    name: 'deno 2.9.6',
    package: `@deno/linux-${process.arch}-glibc`,
    version: '2.9.6',
    program: 'deno',
    run: ['run', '--no-prompt', '--allow-all'],
    // All that the library wants of it; the hosts here do more.
    runLeast: ['run', '--no-prompt', '--allow-ffi', '--allow-read', '--allow-env'],
    runners: ['deno test'],
  },
]

/** Its program, downloaded if need be. */
function programOf({ package: name, version, program }) {
  const home = downloaded(`${name.replace(/\W+/g, '-')}-${version}`, `${name}@${version}`)
  const file = path.join(home, 'node_modules', name, program)
  // Without install scripts not all of them are executable.
  fs.chmodSync(file, 0o755)
  return file
}

/** What starts a command in a network of its own: a loopback that nobody else sends to, gone with the command. */
function networkOfItsOwn() {
  const up = ['sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  const ways = [
    ['unshare', '--net', ...up],
    ['unshare', '--net', '--map-root-user', ...up],
  ]
  return ways.find(([command, ...args]) => spawnSync(command, [...args, 'true']).status === 0) ?? null
}

const withoutPermission = ['setpriv', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all']

// Of what runs this: what npm and tap tell their children is nothing that a host has.
const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_OPTIONS|TAP)/i.test(name)))

/** A command to its end. */
function run(cwd, [command, ...args]) {
  const options = { encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL', maxBuffer: 64 * 1024 * 1024 }
  const more = { NO_COLOR: '1', CI: 'true', DENO_DIR: path.join(cwd, '.deno'), DENO_NO_UPDATE_CHECK: '1' }
  const ended = spawnSync(command, args, { cwd, env: { ...env, ...more }, ...options })
  return { ...ended, status: ended.status ?? ended.signal ?? ended.error?.message }
}

function judgeEnd({ status, stdout, stderr }, wanted = 0) {
  assert.ok(status === wanted, `it ended with ${status}, not ${wanted}:\n${stdout}\n${stderr}`)
  if (wanted === 0) assert.ok(stderr === '', `on standard error:\n${stderr}`)
}

async function checkHosts(runtime, project, network) {
  const directory = path.join(project, runtime.name.replace(' ', '-'))
  fs.mkdirSync(directory)
  const host = (name, ...args) => [runtime.file, ...(runtime.run ?? []), path.join('../hosts', name), ...args]
  const inNetwork = (...command) => run(directory, [...network, ...command])
  const { judgeFile } = await import(pathToFileURL(path.join(project, 'hosts/steps.mjs')).href)

  await point('it starts, and is what it should be', () => {
    const version = run(directory, [runtime.file, '--version'])
    judgeEnd(version)
    assert.ok(version.stdout.includes(runtime.version), version.stdout)
  })
  await subtest('a host', async () => {
    const ended = inNetwork(...host('host.mjs'))
    told(ended.stdout)
    await point('it ends by itself, without a word', () => judgeEnd(ended))
  })
  for (const [how, status] of [
    ['process.exit', 7],
    ['uncaught', 1],
    ['unref', 0],
    ['ref', 7],
  ]) {
    await point(`a process that ends amid an incident leaves it whole: ${how}`, async () => {
      judgeEnd(inNetwork(...host('exit.mjs', how)), status)
      const left = path.join(directory, how)
      assert.deepEqual(fs.readdirSync(left).sort(), ['incident_open.json', 'incident_open.pcap'])
      await judgeFile(JSON.parse(fs.readFileSync(path.join(left, 'incident_open.json'), 'utf8')), 50)
    })
  }
  await point('without the permission to capture', () =>
    judgeEnd(inNetwork(...withoutPermission, ...host('without-permission.mjs'))),
  )
  await point('the command', () => {
    const least = [runtime.file, ...(runtime.runLeast ?? [])]
    const command = '../node_modules/@flowtriq/pcap-ring/lib/cli/main.js'
    const ended = inNetwork(...least, command, 'capture', 'lo', '--duration', '200ms', '--dir', 'command', '--json')
    judgeEnd(ended)
    const events = ended.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event)
    assert.deepEqual([events[0], events.at(-1)], ['start', 'close'])
    assert.ok(events.includes('resolve'))
  })
}

// How examples/testing is run: what differs is how a module is loaded, and on which thread.
const jest = at('node_modules/jest/bin/jest.js')
const vitest = (pool) => ({
  passed: /^ +Tests +2 passed \(2\)$/m,
  args: [at('node_modules/vitest/vitest.mjs'), 'run', '--pool', pool, '--dir', 'vitest'],
})
const runners = {
  'node:test': { passed: /^# pass 2$/m, args: ['--test', '--test-reporter=tap', 'node/detection.test.js'] },
  Jest: { passed: /^Tests: +2 passed, 2 total$/m, args: [jest, 'jest/'] },
  // Two files in one process, each with modules of its own.
  'Jest, ES modules': {
    passed: /^Tests: +4 passed, 4 total$/m,
    args: ['--experimental-vm-modules', '--no-warnings', jest, '--runInBand', 'jest-esm/'],
  },
  'Vitest, forks': vitest('forks'),
  'Vitest, threads': vitest('threads'),
  'Vitest, vmThreads': vitest('vmThreads'),
  'bun test': { passed: /^ 2 pass$/m, args: ['test', './vitest/detection.test.mjs'] },
  'deno test': {
    passed: /^ok \| 2 passed/m,
    args: ['test', '--no-check', '--allow-all', 'node/detection.test.js'],
  },
}

async function checkTests(runtime, project) {
  for (const name of runtime.runners) {
    await point(`a unit test on a recording: ${name}`, () => {
      const { passed, args } = runners[name]
      const { status, stdout, stderr } = run(path.join(project, 'testing'), [runtime.file, ...args])
      assert.ok(status === 0 && passed.test(stdout + stderr), `status ${status}:\n${stdout}${stderr}`)
    })
  }
}

/** What the runtimes run, beside the package. */
function addHosts(project) {
  fs.cpSync(at('scripts/runtimes'), path.join(project, 'hosts'), { recursive: true })
  const tests = path.join(project, 'testing')
  fs.cpSync(at('examples/testing'), tests, { recursive: true })
  // Deno takes a .js file for an ES module unless somebody says so.
  fs.writeFileSync(path.join(tests, 'package.json'), '{ "type": "commonjs" }\n')
  const recorded = run(tests, [process.execPath, 'record.js'])
  assert.equal(recorded.status, 0, recorded.stderr)
  fs.mkdirSync(path.join(tests, 'jest-esm'))
  const esm = fs.readFileSync(path.join(tests, 'vitest/detection.test.mjs'), 'utf8')
  for (const name of ['one', 'two']) {
    fs.writeFileSync(path.join(tests, `jest-esm/${name}.test.mjs`), esm.replace("'vitest'", "'@jest/globals'"))
  }
  for (const name of ['@jest', 'vitest']) {
    fs.symlinkSync(at('node_modules', name), path.join(project, 'node_modules', name))
  }
}

/** Why a runtime cannot be had; null: its `file` is there. */
function whyMissing(runtime) {
  try {
    runtime.file = programOf(runtime)
    return null
  } catch (error) {
    return error.message
  }
}

tap(async () => {
  const wanted = process.argv.slice(2)
  const chosen = runtimes.filter(({ name }) => wanted.length === 0 || wanted.some((start) => name.startsWith(start)))
  if (chosen.length === 0) fail(`there are only ${runtimes.map(({ name }) => name).join(', ')}`)
  const network = networkOfItsOwn()
  const project = packedProject()
  addHosts(project)
  for (const runtime of chosen) {
    const missing =
      whyMissing(runtime) ?? (network === null ? 'needs a network namespace: root, and ip and unshare' : null)
    if (missing !== null) await point(runtime.name, () => missing)
    else {
      await subtest(runtime.name, async () => {
        await checkHosts(runtime, project, network)
        await checkTests(runtime, project)
      })
    }
  }
})
