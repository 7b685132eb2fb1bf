import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync, statfsSync } from 'node:fs'
import { release, tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'

import { type HostFacts, hostFacts } from '../../host.js'
import { type Device, devices, PcapRing, type PcapRingError } from '../../index.js'

/** What this process may do, and whether it has it by being root, by its starter, or by the file of node. */
export interface Permission {
  /** As the kernel judged it when a ring was opened; null: it came to no judgement. */
  granted: boolean | null
  root: boolean
  /** Of the kernel's sets of the process: CAP_NET_RAW is in the effective one, in the ambient one. */
  effective: boolean
  ambient: boolean
}

interface DirectoryFacts {
  path: string
  /** The directory itself, or the nearest above it that is there. */
  existing: string
  /** What the system said to writing there; null: nothing against it. */
  refused: string | null
  /** Bytes. */
  free: number
  minFree: number
}

export interface Facts {
  permission: Permission
  host: HostFacts
  kernel: string
  /** `'0'`, `'1'`, `'2'`; null: not told, as in a network namespace of its own. */
  jit: string | null
  /** Null: none was given, and there is no default route. */
  deviceName: string | null
  device: Device | null
  devices: string[]
  /** Why a ring on it does not start; null: it does. */
  deviceError: { code: string; message: string } | null
  directory: DirectoryFacts
  node: string
}

const netRaw = 13n

/** @throws {PcapRingError} `ERR_PCAP_NATIVE_MISSING` */
export async function gatherFacts(device: string | undefined, directory: string): Promise<Facts> {
  const opened = await open(device)
  const all = devices()
  const deviceName = opened.device ?? device ?? null
  return {
    permission: { granted: opened.granted, ...ownPermission(readFileSync('/proc/self/status', 'utf8')) },
    host: hostFacts(deviceName ?? ''),
    kernel: release(),
    jit: lineOf('/proc/sys/net/core/bpf_jit_enable'),
    deviceName,
    device: all.find(({ name }) => name === deviceName) ?? null,
    devices: all.map(({ name }) => name),
    deviceError: opened.error,
    directory: directoryFacts(directory),
    node: process.execPath,
  }
}

/** Only trying tells: a capability counts for the network namespace that it was given for. */
async function open(
  device: string | undefined,
): Promise<{ device: string | null; granted: boolean | null; error: Facts['deviceError'] }> {
  const scratch = mkdtempSync(join(tmpdir(), 'pcap-ring-doctor-'))
  const ring = new PcapRing({ device, directory: scratch })
  // Without the permission it starts all the same, and warns of that.
  ring.on('warning', () => {})
  try {
    await ring.start()
    return { device: ring.device, granted: ring.mode === 'capture', error: null }
  } catch (error) {
    const { code, message } = error as PcapRingError
    return { device: ring.device, granted: null, error: { code, message } }
  } finally {
    await ring.close()
    rmSync(scratch, { recursive: true, force: true })
  }
}

/** From the text of /proc/self/status. */
export function ownPermission(status: string): Omit<Permission, 'granted'> {
  const has = (set: string): boolean => {
    const mask = new RegExp(`^${set}:\\s*([0-9a-f]+)$`, 'm').exec(status)?.[1] ?? '0'
    return ((BigInt(`0x${mask}`) >> netRaw) & 1n) === 1n
  }
  // Real, effective, saved, of the file system.
  return { root: /^Uid:\s*\d+\s+0\s/m.test(status), effective: has('CapEff'), ambient: has('CapAmb') }
}

function lineOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}

function directoryFacts(directory: string): DirectoryFacts {
  const path = resolve(directory)
  let existing = path
  while (!existsSync(existing)) existing = dirname(existing)
  const { bavail, blocks, bsize } = statfsSync(existing)
  let refused: string | null = null
  try {
    accessSync(existing, constants.W_OK | constants.X_OK)
  } catch (error) {
    refused = (error as Error).message
  }
  // As the ring's default is.
  const minFree = Math.min(256 * 1_024 * 1_024, Math.floor((blocks * bsize) / 20))
  return { path, existing, refused, free: bavail * bsize, minFree }
}
