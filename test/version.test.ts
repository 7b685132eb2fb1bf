import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { test } from 'tap'

import { version } from '../src/version.js'

test('the version in reports is that of the package', (t) => {
  const manifest = JSON.parse(readFileSync(join(__dirname, '../package.json'), 'utf8')) as { version: string }
  t.equal(version, manifest.version)
  t.end()
})
