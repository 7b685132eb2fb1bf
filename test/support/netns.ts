// Network namespaces for live tests: traffic goes nowhere else. Made by the test, and removed whatever becomes of it.

import { execFileSync, spawnSync } from 'node:child_process'

export interface Namespace {
  name: string
  /** Its end of the veth pair. */
  device: string
  mac: string
}

export interface Pair {
  /** Where the library captures. */
  here: Namespace
  /** Where traffic comes from. */
  there: Namespace
}

interface Teardown {
  teardown(fn: () => void): void
}

const prefix = 'pcapring'
const alive = new Set<string>()
let made = 0

/** Runs a command to its end; throws with its standard error if it fails. */
export function sh(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function remove(name: string): void {
  alive.delete(name)
  spawnSync('ip', ['netns', 'del', name])
}

// A test run that was killed leaves its namespaces to the next one.
function removeOrphans(): void {
  for (const line of sh('ip', 'netns', 'list').split('\n')) {
    const name = line.split(' ')[0] as string
    const [, pid] = new RegExp(`^${prefix}-(\\d+)-`).exec(name) ?? []
    if (pid === undefined || Number(pid) === process.pid) continue
    try {
      process.kill(Number(pid), 0)
    } catch {
      remove(name)
    }
  }
}

process.on('exit', () => {
  for (const name of alive) remove(name)
})

function judge(): string | false {
  if (process.platform !== 'linux') return 'needs Linux'
  if (process.getuid?.() !== 0) return 'needs root for network namespaces'
  for (const tool of ['ip', 'sysctl']) {
    if (noTool(tool) !== false) return noTool(tool)
  }
  const name = `${prefix}-${process.pid}-probe`
  const { status, stderr } = spawnSync('ip', ['netns', 'add', name], { encoding: 'utf8' })
  if (status !== 0) return `needs network namespaces: ${stderr.trim()}`
  remove(name)
  removeOrphans()
  return false
}

/** Why a tool is missing; false when it is there. For tap's `skip`. */
export function noTool(name: string): string | false {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0 ? false : `needs the command ${name}`
}

/** Why there can be no namespaces; false when there can. For tap's `skip`. */
export const noNamespaces: string | false = judge()

/** An empty namespace: its loopback is up, and nothing but what the test sends is to be seen. */
export function makeNamespace(t: Teardown): string {
  const name = `${prefix}-${process.pid}-${++made}`
  alive.add(name)
  t.teardown(() => remove(name))
  sh('ip', 'netns', 'add', name)
  // Else every device that comes up announces itself.
  const off = ['all', 'default'].map((which) => `net.ipv6.conf.${which}.disable_ipv6=1`)
  sh('ip', 'netns', 'exec', name, 'sysctl', '-qw', ...off)
  sh('ip', '-n', name, 'link', 'set', 'lo', 'up')
  return name
}

/** Two namespaces with a cable between them, both ends up, without addresses: the kernel itself sends nothing. */
export function makePair(t: Teardown): Pair {
  const here = { name: makeNamespace(t), device: 'here0', mac: '02:11:00:00:00:01' }
  const there = { name: makeNamespace(t), device: 'there0', mac: '02:22:00:00:00:02' }
  connect({ here, there })
  return { here, there }
}

/** Makes the cable of a pair: for one whose device was deleted. */
export function connect({ here, there }: Pair): void {
  const ends = [here, there].map(({ name, device, mac }) => ['name', device, 'address', mac, 'netns', name])
  sh('ip', 'link', 'add', ...(ends[0] as string[]), 'type', 'veth', 'peer', ...(ends[1] as string[]))
  up(here)
  up(there)
}

export const up = ({ name, device }: Namespace): string => sh('ip', '-n', name, 'link', 'set', device, 'up')
export const down = ({ name, device }: Namespace): string => sh('ip', '-n', name, 'link', 'set', device, 'down')

export const removeDevice = ({ name, device }: Namespace): string => sh('ip', '-n', name, 'link', 'del', device)

/** A device of that name again, with another link type: what a ring cannot go on with. */
export function comeBackAsTunnel(namespace: Namespace): void {
  sh('ip', '-n', namespace.name, 'tuntap', 'add', 'dev', namespace.device, 'mode', 'tun')
  up(namespace)
}

export interface InterfaceCounters {
  rx: { packets: number; bytes: number }
  tx: { packets: number; bytes: number }
}

/** What the operating system counted. */
export function countersOf({ name, device }: Pick<Namespace, 'name' | 'device'>): InterfaceCounters {
  const [link] = JSON.parse(sh('ip', '-n', name, '-j', '-s', 'link', 'show', device)) as {
    stats64: InterfaceCounters
  }[]
  return (link as { stats64: InterfaceCounters }).stats64
}
