// `npm run check -- clang-format`, and with `--write` part of `npm run format`: whether C and C++ look as .clang-format says, or
// making them.
'use strict'

const { spawnSync } = require('node:child_process')
const path = require('node:path')
const { at, fail, filesUnder, needClangFormat, root } = require('./bootstrap.cjs')

const [flag, ...others] = process.argv.slice(2)
if ((flag !== undefined && flag !== '--write') || others.length > 0)
  fail('usage: node scripts/clang-format.cjs [--write]')

const files = ['native', 'bench', 'test/support']
  .flatMap((place) => filesUnder(at(place), (name) => /\.(c|cc|h)$/.test(name)))
  .map((file) => path.relative(root, file))
const how = flag === undefined ? ['--dry-run', '--Werror'] : ['-i']
const { status, error } = spawnSync(needClangFormat(), [...how, ...files], { cwd: root, stdio: 'inherit' })
if (error) fail(error.message)
if (status === 0) console.log(`clang-format: ${files.length} files`)
else if (flag === undefined) console.error('clang-format: npm run format mends it')
process.exitCode = status ?? 1
