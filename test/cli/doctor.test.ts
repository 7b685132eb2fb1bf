// What the doctor makes of what it found: each finding by itself.

import { test } from 'tap'

import { type Facts, ownPermission } from '../../src/cli/doctor/facts.js'
import type { Finding } from '../../src/cli/doctor/finding.js'
import { judgeFacts } from '../../src/cli/doctor/judge.js'
import { judgeSteps, nextRate, type Step } from '../../src/cli/doctor/self-test.js'

const mib = 1_024 * 1_024
const eth0 = {
  name: 'eth0',
  description: null,
  addresses: ['192.0.2.1'],
  up: true,
  running: true,
  loopback: false,
}
const sound: Facts = {
  permission: { granted: true, root: false, effective: true, ambient: true },
  host: {
    libpcap: 'libpcap version 1.10.3 (with TPACKET_V3)',
    clock: { synchronised: true, maxErrorUs: 1_500 },
    offloads: { gro: false, lro: false, tso: false, gso: false },
  },
  kernel: '6.1.0-18-amd64',
  jit: '1',
  deviceName: 'eth0',
  device: eth0,
  devices: ['lo', 'eth0'],
  deviceError: null,
  directory: { path: '/srv/captures', existing: '/srv', refused: null, free: 1_024 * mib, minFree: 256 * mib },
  node: '/usr/bin/node',
}

const finding = (name: Finding['name'], facts: Partial<Facts>): Finding =>
  judgeFacts({ ...sound, ...facts }).find((one) => one.name === name) as Finding

test('a sound host', (t) => {
  const findings = judgeFacts(sound)
  t.ok(findings.length >= 8)
  for (const { name, level, remedy } of findings)
    t.strictSame({ name, level, remedy }, { name, level: 'ok', remedy: null })
  t.end()
})

const host = (changed: Partial<Facts['host']>): Partial<Facts> => ({ host: { ...sound.host, ...changed } })
const permission = (changed: Partial<Facts['permission']>): Partial<Facts> => ({
  permission: { ...sound.permission, ...changed },
})
const none = { granted: false, effective: false, ambient: false }

const cases: [string, Finding['name'], Partial<Facts>, object][] = [
  [
    'root',
    'permission',
    permission({ root: true, ambient: false }),
    {
      level: 'note',
      text: /^root, which may capture/,
      remedy: /a user of its own, with AmbientCapabilities=CAP_NET_RAW/,
    },
  ],
  [
    'the capability by the file of node',
    'permission',
    permission({ ambient: false }),
    { level: 'note', text: /every script/, remedy: /setcap -r \/usr\/bin\/node/ },
  ],
  [
    'no permission',
    'permission',
    permission(none),
    { level: 'failure', text: /CAP_NET_RAW/, remedy: /AmbientCapabilities.*setcap cap_net_raw\+ep \/usr\/bin\/node/ },
  ],
  [
    'root without the capability, as in a container',
    'permission',
    permission({ ...none, root: true }),
    { level: 'failure', text: /though this is root/, remedy: /docker run --cap-add NET_RAW/ },
  ],
  [
    'a capability of another name space',
    'permission',
    permission({ granted: false }),
    { level: 'failure', remedy: /CAP_NET_RAW/ },
  ],
  ['an old libpcap', 'libpcap', host({ libpcap: 'libpcap version 1.9.1' }), { level: 'warning', remedy: /1\.10/ }],
  ['a libpcap without V3', 'libpcap', host({ libpcap: 'libpcap version 1.10.4' }), { level: 'warning', remedy: /apt/ }],
  ['an old kernel', 'kernel', { kernel: '4.9.0-13' }, { level: 'warning', remedy: /4\.18/ }],
  ['no compiler of filters', 'jit', { jit: '0' }, { level: 'warning', remedy: /bpf_jit_enable=1/ }],
  ['a compiler that nobody tells of', 'jit', { jit: null }, { level: 'ok', remedy: null }],
  [
    'a device that is down',
    'device',
    { device: { ...eth0, up: false } },
    { level: 'failure', remedy: 'ip link set eth0 up' },
  ],
  ['no carrier', 'device', { device: { ...eth0, running: false } }, { level: 'warning', remedy: /cable/ }],
  [
    'no such device',
    'device',
    { device: null },
    { level: 'failure', text: 'there is no eth0', remedy: /one of lo, eth0/ },
  ],
  ['no default route', 'device', { device: null, deviceName: null }, { level: 'failure', remedy: /one of lo, eth0/ }],
  ['loopback', 'device', { device: { ...eth0, loopback: true } }, { level: 'note', remedy: /another device/ }],
  [
    'a device that does not open',
    'device',
    { deviceError: { code: 'ERR_PCAP_KERNEL', message: 'it said no' } },
    { level: 'failure', text: /ERR_PCAP_KERNEL/, remedy: 'it said no' },
  ],
  [
    'offloads both ways',
    'offloads',
    host({ offloads: { gro: true, lro: false, tso: true, gso: null } }),
    { level: 'note', text: /^GRO, TSO: .*joined.*cut/, remedy: /ethtool -K eth0 gro off tso off$/ },
  ],
  [
    'offloads of what is received',
    'offloads',
    host({ offloads: { gro: true, lro: true, tso: false, gso: false } }),
    { level: 'note', text: /^GRO, LRO: received/, remedy: /gro off lro off$/ },
  ],
  [
    'offloads of what is sent',
    'offloads',
    host({ offloads: { gro: false, lro: false, tso: false, gso: true } }),
    { level: 'note', text: /^GSO: sent/, remedy: /gso off$/ },
  ],
  [
    'a device that tells of none',
    'offloads',
    host({ offloads: { gro: null, lro: null, tso: null, gso: null } }),
    { level: 'ok', remedy: null },
  ],
  [
    'a full disk',
    'directory',
    { directory: { ...sound.directory, free: 255 * mib } },
    { level: 'failure', text: /255\.0 MiB free, 256\.0 MiB are to stay/, remedy: /make room/ },
  ],
  [
    "somebody else's directory",
    'directory',
    { directory: { ...sound.directory, refused: 'EACCES' } },
    { level: 'failure', text: /\/srv cannot be written to/, remedy: /--dir/ },
  ],
  [
    'a clock that nobody sets',
    'clock',
    host({ clock: { synchronised: false, maxErrorUs: 16_000_000 } }),
    { level: 'warning', text: /16 s/, remedy: /chrony/ },
  ],
  ['a clock that nobody tells of', 'clock', host({ clock: { synchronised: null, maxErrorUs: null } }), { level: 'ok' }],
]
for (const [what, name, facts, wanted] of cases) {
  test(what, (t) => {
    t.match(finding(name, facts), wanted)
    t.end()
  })
}

test('the sets of /proc/self/status', (t) => {
  const status = (uid: string, effective: string, ambient: string): string =>
    `Name:\tnode\nUid:\t${uid}\nCapPrm:\t000001ffffffffff\nCapEff:\t${effective}\nCapAmb:\t${ambient}\n`
  const zero = '0000000000000000'
  const raw = '0000000000002000'
  t.strictSame(ownPermission(status('0\t0\t0\t0', '000001ffffffffff', zero)), {
    root: true,
    effective: true,
    ambient: false,
  })
  t.strictSame(ownPermission(status('1000\t1000\t1000\t1000', raw, raw)), {
    root: false,
    effective: true,
    ambient: true,
  })
  t.strictSame(ownPermission(status('0\t1000\t0\t0', raw, zero)), { root: false, effective: true, ambient: false })
  t.strictSame(ownPermission(status('0\t0\t0\t0', '000001ffffffdfff', zero)), {
    root: true,
    effective: false,
    ambient: false,
  })
  t.end()
})

test('the rate is looked for between what was lost and what was not', (t) => {
  const step = (pps: number, lost = 0): Step => ({ pps, sent: pps / 2, recorded: pps / 2 - lost })
  t.equal(nextRate([]), 0, 'as many as go')
  t.equal(nextRate([step(200_000)]), 0, 'again')
  t.equal(nextRate([step(200_000, 5)]), 100_000)
  t.equal(nextRate([step(200_000, 5), step(100_000)]), 150_000)
  t.equal(nextRate([step(200_000, 5), step(100_000, 1)]), 50_000)
  t.equal(nextRate([step(200_000), step(190_000, 1)]), 95_000, 'what was whole once above a loss does not count')

  t.match(judgeSteps([step(200_000), step(210_000)]), {
    level: 'ok',
    text: /^210,000 packets a second without loss, which is all.*loopback for 1 s.*passes twice/,
    remedy: null,
  })
  t.match(judgeSteps([step(200_000, 1_000), step(100_000), step(150_000, 3), step(125_000)]), {
    level: 'note',
    text: /^130,000 packets a second without loss; 0\.0040 % lost at 150,000/,
    remedy: /kernelBuffer/,
  })
  t.match(judgeSteps([step(200_000, 50_000)]), {
    level: 'warning',
    text: /^no rate without loss: 50 % lost at 200,000/,
    remedy: /cores/,
  })
  t.end()
})
