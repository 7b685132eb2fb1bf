import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { test } from 'tap'

const root = resolve(__dirname, '..')

const skip = existsSync(join(root, 'build/Debug/pcap_ring.node'))
  ? false
  : 'build/Debug is not there: npm run build:debug'

test('the addon inside Node, under ASan and UBSan', { skip }, async (t) => {
  const library = (name: string): string =>
    execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--expose-gc',
      '--unhandled-rejections=strict',
      `--require=${join(__dirname, 'support/debug-addon.cjs')}`,
      join(__dirname, 'support/sanitized-scenario.cjs'),
      t.testdir(),
    ],
    {
      encoding: 'utf8',
      timeout: 100_000,
      env: {
        PATH: process.env.PATH,
        // The runtime must be there before anything else is loaded. Node itself leaks on purpose at its end.
        LD_PRELOAD: `${library('libasan.so')} ${library('libubsan.so')}`,
        ASAN_OPTIONS: 'detect_leaks=0',
        UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1',
      },
    },
  )
  t.equal(stderr, '', 'nothing to say')
  t.equal(stdout, 'done\n')
  t.equal(signal, null)
  t.equal(status, 0)
})
