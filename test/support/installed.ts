// A copy of the built library that everybody may read: for hosts with another user's rights.

import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { repository } from './host.js'
import { sanitizerParts } from './sanitizer.js'

const library = ['lib', 'package.json', 'node_modules/node-gyp-build', 'build/Release/pcap_ring.node']

/** Its directory, removed with the test; `parts` of the repository are copied besides. */
export function installedCopy(t: { teardown(fn: () => void): void }, ...parts: string[]): string {
  const root = mkdtempSync(join(tmpdir(), 'pcap-ring-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  for (const part of [...library, ...sanitizerParts, ...parts]) {
    cpSync(join(repository, part), join(root, part), { recursive: true })
  }
  execFileSync('chmod', ['-R', 'a+rX', root])
  return root
}
