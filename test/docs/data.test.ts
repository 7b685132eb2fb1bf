// Blocks that are no code: data and pictures of it. One that nobody knows here fails.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import { card } from '../../src/cli/card.js'
import { members } from '../support/declared.js'
import { repository } from '../support/host.js'
import { type Block, blocksOf, pages, placeOf } from '../support/markdown.js'
import { exampleReport } from '../support/report.js'

const settingsOf = (unit: string): Map<string, string> =>
  new Map([...unit.matchAll(/^(\w+)=(.*)$/gm)].map(([, name, value]) => [`${name}`, `${value}`]))

const known: { page: string; language: string; has: string; judge: (t: Test, block: Block) => void }[] = [
  {
    page: 'README.md',
    language: '',
    has: '── Incident ',
    judge: (t, { code }) => t.equal(code, card(exampleReport(), { color: false, width: 80 })),
  },
  {
    page: 'docs/files.md',
    language: 'json',
    has: 'firstFrame',
    judge: (t, { code }) => t.strictSame(Object.keys(JSON.parse(code)), members('Section')),
  },
  {
    page: 'docs/operations.md',
    language: 'json',
    has: 'hostNetwork',
    judge: (t, { code }) => {
      const pod = JSON.parse(code)
      const [container] = pod.containers
      t.strictSame(container.securityContext.capabilities, { drop: ['ALL'], add: ['NET_RAW'] })
      t.strictSame(
        container.volumeMounts.map(({ name }: { name: string }) => name),
        pod.volumes.map(({ name }: { name: string }) => name),
      )
    },
  },
  {
    page: 'docs/operations.md',
    language: 'ini',
    has: '[Service]',
    judge: (t, { code }) => {
      // Nothing but what the unit among the examples has, which systemd-analyze reads in examples.test.ts; and where it runs.
      const example = settingsOf(readFileSync(join(repository, 'examples/systemd/pcap-ring.service'), 'utf8'))
      const own = ['ExecStart', 'StateDirectory', 'WorkingDirectory']
      const settings = settingsOf(code)
      for (const [name, value] of settings) if (!own.includes(name)) t.equal(value, example.get(name), name)
      t.equal(settings.get('WorkingDirectory'), `/var/lib/${settings.get('StateDirectory')}`)
      t.equal(code.trim().split('\n').length, settings.size + 1, 'every line is a setting, or the section')
    },
  },
  // Their bytes are judged by test/archive/format.test.ts; here, that the names and their order are those of the sources.
  {
    page: 'docs/archive.md',
    language: 'json',
    has: '"retainedUntil"',
    judge: (t, { code }) => {
      const head = readFileSync(join(repository, 'src/archive/envelope.ts'), 'utf8')
      for (const name of Object.keys(JSON.parse(code))) t.match(head, new RegExp(`\\b${name}\\b`), name)
    },
  },
  {
    page: 'docs/archive.md',
    language: 'json',
    has: '"seq"',
    judge: (t, { code }) => t.strictSame(Object.keys(JSON.parse(code)), members('AuditEntry', 'archive/types.ts')),
  },
  {
    page: 'docs/archive.md',
    language: '',
    has: '<id>.sealed',
    judge: (t, { code }) => {
      for (const part of ['.sealed', '.tmp', 'audit/', '.jsonl']) t.match(code, part)
    },
  },
  {
    page: 'docs/archive.md',
    language: '',
    has: 'captures/<id>',
    judge: (t, { code }) => {
      for (const part of ['captures/', 'reports/', 'audit/', '.jsonl']) t.match(code, part)
    },
  },
]

test('each block is known, and right', (t) => {
  const elsewhere = ['ts', 'js', 'cjs', 'sh']
  const languages = new Set(pages.flatMap(({ blocks }) => blocks.map(({ language }) => language)))
  const blocks = blocksOf(...[...languages].filter((language) => !elsewhere.includes(language)))
  for (const block of blocks) {
    const found = known.filter(
      ({ page, language, has }) => block.page === page && block.language === language && block.code.includes(has),
    )
    t.equal(found.length, 1, `${placeOf(block)}: known once`)
    found[0]?.judge(t, block)
  }
  t.equal(blocks.length, known.length, 'each that is known is on its page')
  t.end()
})
