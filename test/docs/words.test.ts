// What is in code style on a page exists: options, events, fields, codes, flags, paths.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { everyCommand, parseCommandLine } from '../../src/cli/args.js'
import { declaredNames, union } from '../support/declared.js'
import { repository } from '../support/host.js'
import { coded, pages } from '../support/markdown.js'

/** Words of others: tools, systems, protocols. Each is on a page, so that the list stays short. */
const foreign = new Set(
  [
    // Linux, libc
    'CAP_NET_ADMIN CAP_SYS_NICE O_EXCL RENAME_NOREPLACE TZ docker0 eth0 flock ksoftirqd memcpy',
    // tools
    'TimeoutStopSec collect_attack_pcap_dumps dumpcap netsniff-ng python3 systemd-analyze vlan',
    // JavaScript, npm, TypeScript
    'bundler engines import instanceof node10 node_modules terminate',
    // S3, its SDK, frameworks
    'If-Match If-None-Match X-Amz-Credential maxAttempts requestHandler app request reply hijack raw',
    'ceph-common ceph-mon ceph-osd kms-key radosgw',
    // .pcap and .pcapng: magic numbers, options
    'a1b23c4d a1b2c3d4 isb_ifdrop isb_osdrop',
  ].flatMap((line) => line.split(' ')),
)
/** Flags of others. */
const foreignFlags = new Set(['allow-ffi', 'cap-add', 'ignore-scripts', 'network'])

const codes = union('PcapRingErrorCode', 'errors.ts')
const nodeCodes = ['ERR_INVALID_ARG_TYPE', 'ERR_INVALID_ARG_VALUE', 'ERR_OUT_OF_RANGE']
const names = declaredNames()
for (const protocol of union('AmplificationProtocol', 'types.ts')) names.add(`${protocol}-amplification`)

const flags = new Set(
  everyCommand.flatMap((command) => {
    const help = parseCommandLine([...command.split(' '), '--help'])
    const text = help.command === 'help' ? help.text : ''
    return [...text.matchAll(/^ +--([a-z-]+)/gm), ['', 'help']].map(([, flag]) => `${flag}`)
  }),
)

/** What whoever works on the library deals with: everything that is not for users. */
const workshop = ['native', 'test', 'bench', 'soak', 'scripts', 'src', '.ci']
  .flatMap((directory) =>
    readdirSync(join(repository, directory), { recursive: true, encoding: 'utf8' }).map((name) =>
      join(directory, name),
    ),
  )
  .filter((name) => /\.(ts|cjs|cc|h|c)$|Makefile$|\.ci\/run$/.test(name))
  // Not this list itself.
  .filter((name) => name !== 'test/docs/words.test.ts')
  .map((name) => readFileSync(join(repository, name), 'utf8'))
  .join('\n')
const workshopHas = (word: string): boolean => new RegExp(`(?<![\\w-])${word}(?![\\w-])`).test(workshop)

test('error codes', (t) => {
  for (const { name, text } of pages) {
    for (const [code] of text.matchAll(/ERR_PCAP_[A-Z_]+\w/g)) t.ok(codes.includes(code), `${name}: ${code}`)
    for (const [code] of text.matchAll(/ERR_(?!PCAP_)[A-Z_]+/g)) t.ok(nodeCodes.includes(code), `${name}: ${code}`)
  }
  t.end()
})

test('options, events, fields, functions', (t) => {
  const seen = new Set<string>()
  for (const { name, prose } of pages) {
    const known = (word: string): boolean => {
      seen.add(word)
      return names.has(word) || foreign.has(word) || (name === 'CONTRIBUTING.md' && workshopHas(word))
    }
    for (const text of coded(prose)) {
      // A name, with what it is a member of: `stats().loss.kernel`, `ring.packets: 100_000`, `'syn-flood'`.
      const [path] = /^'?[A-Za-z_$][\w$-]*(\(.*?\))?(\.[A-Za-z_$][\w$]*(\(.*?\))?)*'?(?=$|: \S+$)/.exec(text) ?? []
      // Within braces: names of members.
      const [, braces = ''] = /\{ (\w[^{}]*) \}/.exec(text) ?? []
      const words = [
        ...(path ?? '')
          .replace(/\([^()]*\)/g, '')
          .replaceAll("'", '')
          .split('.'),
        ...braces.split(', ').map((member) => member.replace(/:.*/, '')),
      ].filter((word) => /^[A-Za-z_$][\w$-]*$/.test(word) && !/\.\w+$/.test(word))
      // `census.csv`: a file's name is judged below.
      if (/^[\w-]+\.(csv|md|js|svg|json)$/.test(text)) continue
      for (const word of words) t.ok(known(word), `${name}: ${word} (${text})`)
    }
  }
  for (const word of foreign) t.ok(seen.has(word), `still on a page: ${word}`)
  t.ok(seen.size > 200)
  t.end()
})

test('flags of commands', (t) => {
  const seen = new Set<string>()
  for (const { name, prose } of pages) {
    for (const text of coded(prose)) {
      // In a command line each is judged as that program's own, in commands.test.ts.
      const [, flag] = /^(?:-- )?--([a-z][a-z0-9-]*)/.exec(text) ?? []
      if (flag === undefined) continue
      seen.add(flag)
      const known = flags.has(flag) || foreignFlags.has(flag) || (name === 'CONTRIBUTING.md' && workshopHas(flag))
      t.ok(known, `${name}: --${flag}`)
    }
  }
  for (const flag of foreignFlags) t.ok(seen.has(flag), `still on a page: --${flag}`)
  t.end()
})

test('paths of the repository, and entry points', (t) => {
  const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'))
  for (const { name, prose } of pages) {
    for (const text of coded(prose)) {
      const [, entry] = /^(?:@flowtriq\/pcap-ring)?(\/(?:archive|detect|report|testing)[\w/]*)$/.exec(text) ?? []
      if (entry !== undefined) t.ok(Object.hasOwn(manifest.exports, `.${entry}`), `${name}: ${text}`)
      if (!/^(\.ci|bench|docs|examples|native|scripts|soak|src|test)\/[\w./-]+$/.test(text)) continue
      t.ok(existsSync(join(repository, text)), `${name}: ${text}`)
    }
  }
  t.end()
})
