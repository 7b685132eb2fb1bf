// What only the bench needs: programs of the system, and modules from npm. None of it is a dependency of this package; it is
// installed when it is measured, and what cannot be had is named.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import type { Need } from './contestants.js'

interface Ran {
  ok: boolean
  why: string
}

/** Of scripts/bootstrap.cjs. */
interface Bootstrap {
  at: (...parts: string[]) => string
  inPath: (command: string) => boolean
  installPackages: (packages: readonly string[]) => Ran
  nodeDir: () => string | null
  npm: (args: readonly string[], options?: object) => Ran
  run: (command: string, args: readonly string[], options?: object) => Ran
  say: (text: string) => void
  needStore: () => void
  whyNoStore: () => string | null
}

export const bootstrap = require(resolve(__dirname, '../../../../scripts/bootstrap.cjs')) as Bootstrap
const { at, inPath, installPackages, nodeDir, npm, run, say } = bootstrap

/** Programs without which nothing can be measured, and their packages. */
const required = { ip: 'iproute2', sysctl: 'procps', taskset: 'util-linux', cc: 'gcc' }
const programs = { tcpdump: 'tcpdump', dumpcap: 'wireshark-common', 'netsniff-ng': 'netsniff-ng' }
const addons = { cap: '0.2.1', pcap: '3.1.0' }
const plotting = { vega: '6.4.0', 'vega-lite': '6.4.3' }

const directory = at('build/bench')

/** Why the bench cannot run; null when it can. */
export function needRequired(): string | null {
  const missing = Object.entries(required).filter(([command]) => !inPath(command))
  if (missing.length === 0) return null
  const { ok, why } = installPackages(missing.map(([, name]) => name))
  return ok ? null : `missing: ${missing.map(([command]) => command).join(', ')}. ${why}`
}

function needProgram(command: keyof typeof programs): string | null {
  if (inPath(command)) return null
  const { ok, why } = installPackages([programs[command]])
  if (!ok) return why
  return inPath(command) ? null : `the package ${programs[command]} brought no ${command}`
}

const installed = (name: string, version: string): boolean => {
  const manifest = join(directory, 'node_modules', name, 'package.json')
  return existsSync(manifest) && (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version === version
}

function needModules(modules: Readonly<Record<string, string>>): string | null {
  const missing = Object.entries(modules).filter(([name, version]) => !installed(name, version))
  if (missing.length === 0) return null
  const wanted = missing.map(([name, version]) => `${name}@${version}`)
  say(`installing ${wanted.join(' ')} (npm)`)
  mkdirSync(directory, { recursive: true })
  const manifest = join(directory, 'package.json')
  // A project of its own: else npm would take ours, which encloses it.
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n')
  // Without scripts: newer npm refuses them anyway, and addons are compiled below with the headers that Node brings.
  const args = [
    'install',
    '--prefix',
    directory,
    '--save-exact',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    ...wanted,
  ]
  const { ok, why } = npm(args, { cwd: directory })
  return ok ? null : `npm ${args.join(' ')} failed (${why})`
}

function needAddon(name: keyof typeof addons): string | null {
  const why = needModules({ [name]: addons[name] })
  if (why !== null) return why
  const home = join(directory, 'node_modules', name)
  const stamp = join(home, '.pcap-ring-stamp')
  // Both are made for one version of Node.
  const wanted = `${process.versions.modules} ${process.arch}`
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return null
  say(`compiling ${name}`)
  const nodedir = nodeDir()
  const args = [
    at('node_modules/node-gyp/bin/node-gyp.js'),
    'rebuild',
    '--loglevel=error',
    ...(nodedir ? [`--nodedir=${nodedir}`] : []),
  ]
  // Its warnings are nobody's business here; a failure is told with the command that shows why.
  const ran = run(process.execPath, args, { cwd: home, stdio: 'ignore' })
  if (!ran.ok) return `${name} does not compile (${ran.why}): cd ${home} && node ${args.join(' ')}`
  writeFileSync(stamp, wanted)
  return null
}

/** Why a contestant's program or module cannot be had; null when it is there. */
export function need(what: Need): string | null {
  return what === 'cap' || what === 'pcap' ? needAddon(what) : needProgram(what)
}

export const needPlotting = (): string | null => needModules(plotting)
