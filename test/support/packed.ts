// The package as `npm pack` makes it of what is built here, installed as a stranger has it.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { repository } from './host.js'

const written = ['CHANGELOG.md', 'DESIGN.md', 'LICENSE', 'README.md', 'SECURITY.md', 'docs']
const parts = [...written, 'package.json', 'binding.gyp', 'lib', 'native']

/**
 * The directory of a project that has it, and besides it `modules` of this repository; removed with the test. Not packed by
 * `npm pack` in the repository itself: that would take the addon out of build/, where other tests run with it.
 */
export function packedProject(t: { teardown(fn: () => void): void }, ...modules: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'pcap-ring-packed-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const copy = (from: string, to = from): void =>
    cpSync(join(repository, from), join(root, 'source', to), { recursive: true })
  for (const part of parts) copy(part)
  copy('build/Release/pcap_ring.node', `prebuilds/${process.platform}-${process.arch}/pcap-ring.node`)
  const npm = ['pack', '--ignore-scripts', '--pack-destination', root]
  execFileSync('npm', npm, { cwd: join(root, 'source'), stdio: ['ignore', 'ignore', 'pipe'] })

  const project = join(root, 'project')
  const home = join(project, 'node_modules/@flowtriq/pcap-ring')
  mkdirSync(home, { recursive: true })
  const tarball = readdirSync(root).find((name) => name.endsWith('.tgz')) as string
  execFileSync('tar', ['-xzf', join(root, tarball), '-C', home, '--strip-components=1'])
  for (const name of ['node-gyp-build', ...modules]) {
    const at = join(project, 'node_modules', name)
    mkdirSync(dirname(at), { recursive: true })
    symlinkSync(join(repository, 'node_modules', name), at)
  }
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n')
  // Also for hosts with another user's rights.
  execFileSync('chmod', ['-R', 'a+rX', root])
  return project
}
