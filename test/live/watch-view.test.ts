// The live view in a pseudo terminal of 80 × 24 and of 40 columns: what it shows of a flood, and what it leaves on every exit.

import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { type Test, test } from 'tap'

import { repository } from '../support/host.js'
import { comeBackAsTunnel, makePair, noNamespaces, noTool, type Pair, removeDevice } from '../support/netns.js'
import { nodeCommand } from '../support/sanitizer.js'
import { noSender, send } from '../support/sender.js'
import { Screen } from '../support/terminal.js'

const skip = noNamespaces || noSender || noTool('script') || noTool('stty')

interface Watching {
  directory: string
  /** Everything that the terminal was sent. */
  sent: () => string
  until(text: RegExp): Promise<void>
  screen(): Screen
  /** What a key press does. */
  interrupt(): void
  kill(signal: NodeJS.Signals): void
  hangUp(): void
  /** The command's exit status, as `script -e` hands it on. */
  ended: Promise<number | null>
}

/** `pcap-ring watch` in a terminal of its own, which util-linux's script makes. */
function watchIn(t: Test, { here }: Pair, columns: number, env: NodeJS.ProcessEnv = {}): Watching {
  const directory = t.testdir({})
  const args = ['watch', here.device, '--pps', '2k', '--filter', 'udp', '--dir', directory]
  const words = [...nodeCommand(repository), join(repository, 'lib/cli/main.js'), ...args]
  const command = `stty rows 24 cols ${columns}; exec ${words.map((word) => `'${word}'`).join(' ')}`
  const child = spawn('ip', ['netns', 'exec', here.name, 'script', '-qefc', command, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, TERM: 'xterm', NO_COLOR: undefined, ...env },
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    text += more
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  t.teardown(() => {
    child.kill('SIGKILL')
    return ended
  })
  const until = async (wanted: RegExp): Promise<void> => {
    while (!wanted.test(stripVTControlCharacters(text))) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      if (child.exitCode !== null) throw new Error(`ended before ${wanted}: ${text}`)
    }
  }
  return {
    directory,
    sent: () => text,
    until,
    screen: () => new Screen(columns, 24).write(text),
    interrupt: () => void child.stdin.write('\x03'),
    kill: (signal) => process.kill(inside(child), signal),
    hangUp: () => void child.kill('SIGKILL'),
    ended,
  }
}

/** The process that script runs. */
function inside(child: ChildProcess): number {
  return Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim())
}

const reportsIn = (directory: string): string[] => readdirSync(directory).filter((name) => name.endsWith('.json'))

/** Nothing of the view is left, and what comes next begins a line of its own. */
function clean(t: Test, { screen }: Watching): void {
  const { text, cursor } = screen()
  t.notMatch(text.join('\n'), /┤|^baseline|^attack at|^ring /m)
  t.equal(cursor.column, 0)
  t.equal(text.slice(cursor.row).join(''), '')
}

async function flooded(t: Test, watching: Watching, { there }: Pair): Promise<void> {
  await watching.until(/attack at/)
  const calm = send(t, there, { count: 1_000, pps: 500 })
  await calm.sent
  const flood = send(t, there, { count: 200_000, pps: 20_000, first: 1_000 })
  await watching.until(/incident {3}[0-9a-f]{8} /)
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  t.teardown(() => flood.stop())
}

for (const columns of [80, 40]) {
  test(`a flood in ${columns} columns, and Ctrl-C`, { skip }, async (t) => {
    const pair = makePair(t)
    const watching = watchIn(t, pair, columns)
    await flooded(t, watching, pair)
    const { text } = watching.screen()
    const view = text.slice(text.findIndex((line) => line.startsWith('here0  ')))
    t.comment(`\n${view.join('\n')}`)
    t.ok(view.length <= 24 && view.length > 5)
    t.ok(view.every((line) => [...line].length < columns))
    t.match(view.join('\n'), /^here0 {2}[\d.]+ kpps, [\d.]+ Mbit\/s/)
    t.match(view.join('\n'), /┤.*█/)
    t.match(view.join('\n'), /^ring {7}500 packets/m)
    t.match(view.join('\n'), /^attack at {2}2\.0 kpps$/m)
    t.match(view.join('\n'), /^attack {5}udp-flood, (low|medium)/m)
    t.match(view.join('\n'), /^incident {3}[0-9a-f]{8} .*(of 10,000|capped)$/m)
    t.match(watching.sent(), '\x1b[31m', 'in colour')
    watching.interrupt()
    t.equal(await watching.ended, 0)
    clean(t, watching)
    t.match(watching.screen().text.join('\n'), /── Incident [0-9a-f]{8}/)
    t.equal(reportsIn(watching.directory).length, 1)
  })
}

test('SIGTERM, and no colours where nobody wants them', { skip }, async (t) => {
  const pair = makePair(t)
  const watching = watchIn(t, pair, 80, { NO_COLOR: '1' })
  await flooded(t, watching, pair)
  watching.kill('SIGTERM')
  t.equal(await watching.ended, 0)
  clean(t, watching)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a colour is
  t.notMatch(watching.sent(), /\x1b\[[0-9;]*m/)
  t.equal(reportsIn(watching.directory).length, 1)
})

test('a terminal that goes away completes what is open', { skip }, async (t) => {
  const pair = makePair(t)
  const watching = watchIn(t, pair, 80)
  await flooded(t, watching, pair)
  watching.hangUp()
  await watching.ended
  const deadline = Date.now() + 20_000
  while (reportsIn(watching.directory).length === 0 && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const [name] = reportsIn(watching.directory)
  t.match(JSON.parse(readFileSync(join(watching.directory, `${name}`), 'utf8')), { recovered: false, error: null })
})

test('a ring that dies', { skip }, async (t) => {
  const pair = makePair(t)
  const watching = watchIn(t, pair, 80)
  await watching.until(/attack at/)
  removeDevice(pair.here)
  await watching.until(/down: /)
  comeBackAsTunnel(pair.here)
  t.equal(await watching.ended, 1)
  clean(t, watching)
  t.match(watching.screen().text.join('\n'), /^pcap-ring: /m)
})

test('a terminal that can do nothing has no view', { skip }, async (t) => {
  const pair = makePair(t)
  const watching = watchIn(t, pair, 80, { TERM: 'dumb' })
  await watching.until(/watching here0/)
  await watching.until(/ring 0 packets/)
  watching.interrupt()
  t.equal(await watching.ended, 0)
  t.notMatch(watching.sent(), /┤/)
})
