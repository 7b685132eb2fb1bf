// What a prebuilt addon asks of a machine. Run by scripts/check-prebuilds.cjs, as all here.

import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { repository } from '../support/host.js'

const prebuilds = join(process.env.PCAP_RING_PROJECT as string, 'node_modules/@flowtriq/pcap-ring/prebuilds')
const readme = readFileSync(join(repository, 'README.md'), 'utf8')
/** The libraries of glibc, which are there wherever it is. */
const ofLibc = /^(lib(c|m|dl|rt|pthread)\.so\.\d+|ld-linux.*\.so\.\d+)$/

const elf = (option: string, file: string): string =>
  execFileSync('readelf', ['--wide', option, file], { encoding: 'utf8' })
const matches = (pattern: RegExp, text: string): string[] => [...text.matchAll(pattern)].map(([, found]) => `${found}`)
const newest = (versions: string[]): number => Math.max(...versions.map((version) => Number(version.split('.')[1])))

for (const arch of ['x64', 'arm64']) {
  test(`linux-${arch}`, (t) => {
    const addon = join(prebuilds, `linux-${arch}`, '@flowtriq+pcap-ring.glibc.node')
    const libraries = matches(/\(NEEDED\).*\[(.*)\]/g, elf('--dynamic', addon))
    t.ok(libraries.length > 0)
    t.strictSame(
      libraries.filter((name) => !ofLibc.test(name)),
      [],
      'nothing but the libc',
    )

    const symbols = elf('--dyn-syms', addon)
    const exported = matches(/ (?:GLOBAL|WEAK|UNIQUE) +DEFAULT +(?!UND)\w+ (\S+)$/gm, symbols)
    t.strictSame(exported.sort(), ['napi_register_module_v1', 'node_api_module_get_api_version_v1'])

    const [, floor] = /glibc (2\.\d+)/.exec(readme) as RegExpExecArray
    const asked = matches(/@GLIBC_(2\.\d+)/g, symbols)
    t.ok(asked.length > 0)
    t.ok(newest(asked) <= Number(`${floor}`.split('.')[1]), `no symbol newer than glibc ${floor}`)

    const [, size] = /(\d\.\d) MB with libpcap/.exec(readme) as RegExpExecArray
    t.ok(statSync(addon).size <= Number(size) * 1e6, `${statSync(addon).size} bytes, the README says ${size} MB`)
    t.end()
  })
}

test('the licence of what is linked in', (t) => {
  t.match(
    readFileSync(join(prebuilds, 'libpcap.LICENSE.txt'), 'utf8'),
    /Redistribution and use in source and binary forms/,
  )
  t.notOk(existsSync(join(prebuilds, '..', 'build')), 'nothing was compiled')
  t.end()
})
