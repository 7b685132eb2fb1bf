// The README's first example, on root file systems that have nothing but what every Debian has, and Node.

import { spawnSync } from 'node:child_process'
import { chownSync, copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Test, test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { repository, runProgram } from '../support/host.js'
import { makePair } from '../support/netns.js'
import { send } from '../support/sender.js'
import { packetsByTools } from '../support/tools.js'

const project = process.env.PCAP_RING_PROJECT as string
const roots = (process.env.PCAP_RING_ROOTS as string).split(':')

/** In a mount namespace of its own, as a container has it; then chroot, which becomes Node: a signal reaches it. */
const mounted = 'mount -t proc proc "$0/proc" && mount -t sysfs sysfs "$0/sys" && exec chroot "$0" "$@"'
/** Nothing of this machine's environment, which may name files that are not there. */
const clean = ['env', '--ignore-environment']
const nobody = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--no-new-privs']
const netRaw = ['--inh-caps=-all,+net_raw', '--ambient-caps=-all,+net_raw', '--bounding-set=-all,+net_raw']
interface User {
  uid: number
  rights: string[]
}
const users: User[] = [
  { uid: 0, rights: [] },
  { uid: 65_534, rights: [...nobody, ...netRaw] },
]

for (const root of roots) {
  const name = basename(root)
  test(`Debian ${name}: no compiler and no libpcap`, (t) => {
    const node = join(root, process.execPath)
    mkdirSync(dirname(node), { recursive: true })
    copyFileSync(process.execPath, node)
    const missing =
      'command -v cc gcc g++ make python3 pcap-config tcpdump; find / -xdev -name "libpcap*" -not -path "/agent/*"'
    t.match(spawnSync('chroot', [root, 'sh', '-c', missing], { encoding: 'utf8' }), { stdout: '', stderr: '' })
    t.end()
  })
}

test('the agent through one flood', async (t) => {
  // All at once: most of it is waiting.
  await Promise.all(roots.flatMap((root) => users.map((user) => throughFlood(t, root, user))))
})

async function throughFlood(t: Test, root: string, { uid, rights }: User): Promise<void> {
  const name = `${basename(root)}, user ${uid}`
  const agent = join(root, 'agent', `${uid}`)
  rmSync(agent, { recursive: true, force: true })
  cpSync(project, agent, { recursive: true })
  copyFileSync(join(repository, 'examples/agent.mjs'), join(agent, 'agent.mjs'))
  chownSync(agent, uid, uid)

  const { here, there } = makePair(t)
  const wrap = [
    'unshare',
    '--mount',
    'sh',
    '-c',
    mounted,
    root,
    ...clean,
    `--chdir=/agent/${uid}`,
    `PATH=${process.env.PATH}`,
    ...rights,
  ]
  const running = runProgram(t, { netns: here.name, root: repository, wrap }, 'agent.mjs', here.device)
  await running.until(/watching here0/)
  const calm = send(t, there, { count: 20_000, pps: 1_000 })
  await send(t, there, { count: 20_000, pps: 20_000, stream: 1, at: Date.now() + 2_500 }).sent
  await running.until(/, over: /)
  await calm.stop()
  running.kill('SIGTERM')
  t.match(await running.ended, { status: 0, stderr: '' }, `${name}: it captures, and ends when told to`)

  const captures = join(agent, 'captures')
  const json = join(captures, `${readdirSync(captures).find((file) => file.endsWith('.json'))}`)
  const report = JSON.parse(readFileSync(json, 'utf8')) as IncidentReport
  const sections = report.sections.map((section) => section.name)
  t.strictSame(sections.slice(0, 3), ['pre-buffer', 'onset', 'attack'], `${name}: sections`)
  for (const [tool, packets] of Object.entries(packetsByTools(join(captures, basename(report.file as string)))))
    t.equal(packets, report.packets, `${name}: ${tool} reads them all`)
  t.equal(statSync(json).uid, uid, `${name}: its own file`)
}
