// A copy of the built library that everybody may read: for hosts with another user's rights.

import { chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { repository } from './host.js'

/** Its directory, removed with the test. */
export function installedCopy(t: { teardown(fn: () => void): void }): string {
  const root = mkdtempSync(join(tmpdir(), 'pcap-ring-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  chmodSync(root, 0o755)
  const copy = (path: string): void => {
    cpSync(join(repository, path), join(root, path), { recursive: true })
  }
  mkdirSync(join(root, 'build/Release'), { recursive: true })
  for (const path of ['lib', 'package.json', 'node_modules/node-gyp-build']) copy(path)
  for (const name of readdirSync(join(repository, 'build/Release'))) {
    if (name.endsWith('.node')) copy(join('build/Release', name))
  }
  return root
}
