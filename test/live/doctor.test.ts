// The doctor as root, with the capability alone, and without it; on devices that are there, down, and not.

import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { Finding } from '../../src/cli/doctor/finding.js'
import type { Step } from '../../src/cli/doctor/self-test.js'
import { type Ended, type HostOptions, runCommand } from '../support/host.js'
import { installedCopy } from '../support/installed.js'
import { down, makeNamespace, makePair, noNamespaces, noTool, sh } from '../support/netns.js'

const skip = noNamespaces
const skipPrivileges = noNamespaces || noTool('setpriv')

interface Told extends Ended {
  findings: Map<Finding['name'], Finding>
  summary: { device: string | null; canCapture: boolean }
}

async function doctor(t: Test, options: HostOptions, ...args: string[]): Promise<Told> {
  const ended = await runCommand(t, options, 'doctor', ...args, '--json').ended
  const lines = ended.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { v: number; event: string; data: unknown })
  t.ok(lines.every(({ v }) => v === 1))
  const findings = lines.filter(({ event }) => event === 'finding').map(({ data }) => data as Finding)
  const [last] = lines.slice(-1)
  t.equal(last?.event, 'doctor')
  return {
    ...ended,
    findings: new Map(findings.map((finding) => [finding.name, finding])),
    summary: last?.data as Told['summary'],
  }
}

const ids = ['--reuid', '65534', '--regid', '65534', '--clear-groups']

test('as root: it can, and should not need to be', { skip }, async (t) => {
  const netns = makeNamespace(t)
  const directory = t.testdir({})
  const { status, stderr, findings, summary } = await doctor(t, { netns }, 'lo', '--dir', join(directory, 'new'))
  t.equal(status, 0, stderr)
  t.equal(stderr, '')
  t.strictSame(summary, { device: 'lo', canCapture: true })
  t.match(findings.get('permission'), { level: 'note', text: /^root/, remedy: /a user of its own.*CAP_NET_RAW/ })
  t.match(findings.get('device'), { level: 'note', text: /^lo is up/ })
  t.match(findings.get('libpcap'), { text: /^libpcap version 1\./ })
  t.match(findings.get('directory'), { level: 'ok' })
  t.match(findings.get('clock')?.value, { synchronised: Boolean, maxErrorUs: Number })
  t.match(findings.get('offloads')?.value, { gro: Boolean, gso: Boolean })
  const { steps } = (findings.get('rate') as Finding).value as { steps: Step[] }
  t.equal(steps.length, 4)
  for (const { pps, sent, recorded } of steps) {
    t.ok(sent > 0 && recorded > 0 && recorded <= sent, `${recorded} of ${sent}`)
    t.ok(pps > 0)
  }
  t.strictSame(readdirSync(directory), [], 'it leaves nothing behind')
})

test('with the capability alone: nothing to do', { skip: skipPrivileges }, async (t) => {
  const root = installedCopy(t)
  const netns = makeNamespace(t)
  const wrap = ['setpriv', ...ids, '--inh-caps=-all,+net_raw', '--ambient-caps=-all,+net_raw']
  const { status, stderr, findings, summary } = await doctor(t, { netns, wrap, root }, 'lo', '--dir', '/tmp')
  t.equal(status, 0, stderr)
  t.strictSame(summary, { device: 'lo', canCapture: true })
  t.match(findings.get('permission'), { level: 'ok', text: /^CAP_NET_RAW without root/, remedy: null })
  t.match(findings.get('rate'), { text: /a second/ })
})

test('without it: what to write', { skip: skipPrivileges }, async (t) => {
  const root = installedCopy(t)
  const netns = makeNamespace(t)
  const nobody = { netns, root, wrap: ['setpriv', ...ids, '--inh-caps=-all'] }
  const { status, stderr, findings, summary } = await doctor(t, nobody, 'lo', '--dir', '/tmp')
  t.equal(status, 1)
  t.equal(stderr, 'pcap-ring: cannot capture: see permission\n')
  t.strictSame(summary, { device: 'lo', canCapture: false })
  t.match(findings.get('permission'), {
    level: 'failure',
    text: /^none/,
    remedy: /AmbientCapabilities=CAP_NET_RAW.*setcap cap_net_raw\+ep \//,
  })
  t.notOk(findings.has('rate'), 'nothing is measured')

  const stripped = { netns, root, wrap: ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-all'] }
  const container = await doctor(t, stripped, 'lo', '--dir', '/tmp')
  t.equal(container.status, 1)
  t.match(container.findings.get('permission'), { level: 'failure', remedy: /--cap-add NET_RAW/ })

  const directory = join(t.testdir({}), 'private')
  mkdirSync(directory, { mode: 0o700 })
  const elsewhere = await doctor(t, nobody, 'lo', '--dir', directory)
  t.match(elsewhere.findings.get('directory'), { level: 'failure', remedy: /--dir/ })
})

test('a device that is down, none of that name, no default route', { skip }, async (t) => {
  const { here } = makePair(t)
  const options = { netns: here.name }
  down(here)
  const off = await doctor(t, options, here.device, '--dir', '/tmp')
  t.equal(off.status, 1)
  t.match(off.findings.get('device'), { level: 'failure', remedy: `ip link set ${here.device} up` })
  const missing = await doctor(t, options, 'nosuch0', '--dir', '/tmp')
  t.equal(missing.status, 1)
  t.match(missing.findings.get('device'), { level: 'failure', remedy: /here0/ })
  const nowhere = await doctor(t, options, '--dir', '/tmp')
  t.equal(nowhere.status, 1)
  t.match(nowhere.summary, { device: null, canCapture: false })
  t.match(nowhere.findings.get('device'), { level: 'failure', text: /default route/ })
})

test('without loopback nothing is measured, and it says so; for people it fits 80 columns', { skip }, async (t) => {
  const { here } = makePair(t)
  sh('ip', '-n', here.name, 'link', 'set', 'lo', 'down')
  const args = ['doctor', here.device, '--dir', '/tmp']
  const { status, stdout } = await runCommand(t, { netns: here.name }, ...args).ended
  t.equal(status, 0)
  t.match(stdout, /warning {2}rate .*not measured[\s\S]*→ ip link set lo up/)
  t.match(stdout, /^ {2}ok +device +here0 is up/m)
  t.strictSame(
    stdout.split('\n').filter((line) => [...line].length > 80),
    [],
  )
})
