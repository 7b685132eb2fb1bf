// The package as `npm pack` makes it, installed as a stranger has it.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { repository } from './host.js'

/**
 * The directory of a project that has it, and besides it `modules` of this repository; removed with the test. Other tests may run
 * meanwhile: packing makes prebuilds/ and vendor/ anew, which none of them loads, as the addon in build/ goes before.
 */
export function packedProject(t: { teardown(fn: () => void): void }, ...modules: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'pcap-ring-packed-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  execFileSync('npm', ['pack', '--pack-destination', root], { cwd: repository, stdio: ['ignore', 'ignore', 'pipe'] })

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
