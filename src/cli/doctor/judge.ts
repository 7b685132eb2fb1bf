import { duration, size } from '../../figures.js'
import type { Facts } from './facts.js'
import type { Finding } from './finding.js'

type Judged = Omit<Finding, 'name' | 'value'>

const ok = (text: string): Judged => ({ level: 'ok', text, remedy: null })
const short = (bytes: number): string => size(bytes).replace(/ \(.*/, '')

/** The findings, and what to do about each. */
export function judgeFacts(facts: Facts): Finding[] {
  const { permission, host, kernel, jit, directory, device, deviceName, deviceError } = facts
  return [
    { name: 'permission', ...permissionOf(facts), value: permission },
    { name: 'libpcap', ...libpcapOf(host.libpcap), value: host.libpcap },
    { name: 'kernel', ...kernelOf(kernel), value: kernel },
    { name: 'jit', ...jitOf(jit), value: jit },
    { name: 'device', ...deviceOf(facts), value: { name: deviceName, device, error: deviceError } },
    { name: 'offloads', ...offloadsOf(facts), value: host.offloads },
    { name: 'directory', ...directoryOf(directory), value: directory },
    { name: 'clock', ...clockOf(host.clock), value: host.clock },
  ]
}

function permissionOf({ permission: { granted, root, effective, ambient }, node }: Facts): Judged {
  const unit = 'AmbientCapabilities=CAP_NET_RAW in its systemd unit'
  if (granted === false || !effective) {
    const text = `none: without CAP_NET_RAW packets are counted only${root ? ', though this is root' : ''}`
    const elsewhere = root ? 'docker run --cap-add NET_RAW, or a unit that does not take it away' : unit
    return { level: 'failure', text, remedy: `${elsewhere}; or setcap cap_net_raw+ep ${node}` }
  }
  if (root) {
    const remedy = `run it as a user of its own, with ${unit}`
    return { level: 'note', text: 'root, which may capture, and much that capturing does not need', remedy }
  }
  if (ambient) return ok('CAP_NET_RAW without root: all that capturing needs')
  const text = 'CAP_NET_RAW without root, by the file of node: every script that it runs may capture'
  return { level: 'note', text, remedy: `${unit}, and setcap -r ${node}` }
}

function libpcapOf(text: string): Judged {
  const [, major = '0', minor = '0'] = /(\d+)\.(\d+)/.exec(text) ?? []
  const old = Number(major) < 1 || (Number(major) === 1 && Number(minor) < 10)
  const remedy =
    'the addon that the package brings has a newer one; or install libpcap 1.10 or newer (apt-get install libpcap0.8)'
  if (old) return { level: 'warning', text: `${text}: older than what is tested`, remedy }
  if (text.includes('TPACKET_V3')) return ok(text)
  return { level: 'warning', text: `${text}, without TPACKET_V3: each packet costs more`, remedy }
}

function kernelOf(text: string): Judged {
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(text) ?? []
  if (Number(major) > 4 || (Number(major) === 4 && Number(minor) >= 18)) return ok(text)
  return { level: 'warning', text: `${text}: older than Node 20 asks for`, remedy: 'Linux 4.18 or newer' }
}

function jitOf(jit: string | null): Judged {
  if (jit === null) return ok('not told in this network namespace')
  if (jit !== '0') return ok('filters are compiled')
  const text = 'filters are interpreted, also the one that samples: each packet costs the kernel more'
  return { level: 'warning', text, remedy: 'sysctl -w net.core.bpf_jit_enable=1' }
}

function deviceOf({ deviceName, device, deviceError, devices }: Facts): Judged {
  const name = deviceName ?? ''
  if (deviceName === null || device === null) {
    const text = deviceName === null ? 'there is no default route' : `there is no ${name}`
    return { level: 'failure', text, remedy: `pcap-ring doctor, and one of ${devices.join(', ')}` }
  }
  if (!device.up) return { level: 'failure', text: `${name} is down`, remedy: `ip link set ${name} up` }
  if (deviceError !== null) {
    return { level: 'failure', text: `${name} cannot be opened (${deviceError.code})`, remedy: deviceError.message }
  }
  if (!device.running) {
    const remedy = 'look at the cable, and at what is at its other end'
    return { level: 'warning', text: `${name} is up and has no carrier: nothing comes in`, remedy }
  }
  const text = [`${name} is up`, ...device.addresses].join(', ')
  if (!device.loopback) return ok(text)
  return { level: 'note', text: `${text}: only what this machine sends to itself`, remedy: 'name another device' }
}

function offloadsOf({ deviceName, host: { offloads } }: Facts): Judged {
  const { gro, lro, tso, gso } = offloads
  if (gro === null && lro === null && tso === null && gso === null) return ok('the device does not tell of any')
  const named = Object.entries(offloads).flatMap(([name, on]) => (on === true ? [name] : []))
  if (named.length === 0) return ok('none: frames are those of the wire')
  const joined = gro === true || lro === true
  const cut = tso === true || gso === true
  const text = [
    named.map((name) => name.toUpperCase()).join(', '),
    joined && cut
      ? ': TCP frames are joined before they are captured, or cut behind that'
      : joined
        ? ': received TCP frames are joined before they are captured'
        : ': sent TCP frames are captured before they are cut',
    '; files have fewer and larger ones than the wire',
  ].join('')
  const off = named.map((name) => `${name} off`).join(' ')
  return { level: 'note', text, remedy: `where each frame counts: ethtool -K ${deviceName} ${off}` }
}

function directoryOf({ path, existing, refused, free, minFree }: Facts['directory']): Judged {
  if (refused !== null) {
    const remedy = `write --dir and a directory of this user's, or give it ${existing}`
    return { level: 'failure', text: `${existing} cannot be written to (${refused})`, remedy }
  }
  const text = `${path}: ${short(free)} free, ${short(minFree)} are to stay`
  if (free >= minFree) return ok(text)
  return { level: 'failure', text: `${text}: no incident begins`, remedy: 'make room, or write --dir and another' }
}

function clockOf({ synchronised, maxErrorUs }: Facts['host']['clock']): Judged {
  if (synchronised === null || maxErrorUs === null) return ok('not told')
  const error = duration(maxErrorUs / 1_000)
  if (synchronised) return ok(`synchronised, off by ${error} at the most`)
  const text = `not synchronised, and off by up to ${error}: times in captures cannot be held against others'`
  return { level: 'warning', text, remedy: 'timedatectl set-ntp true, or run chrony' }
}
