// Of every command: help that fits 80 columns, and wrong usage that is one line and status 2.

import { test } from 'tap'

import { everyCommand } from '../../src/cli/args.js'
import { columns } from '../../src/cli/help.js'
import { run } from '../../src/cli/run.js'

interface Told {
  status: number
  out: string
  err: string[]
}

async function pcapRing(...argv: string[]): Promise<Told> {
  const told: Told = { status: -1, out: '', err: [] }
  const output = {
    out: (text: string) => {
      told.out += text
    },
    err: (line: string) => void told.err.push(line),
    status: () => {},
    color: false,
    width: 80,
  }
  told.status = await run(argv, output, new AbortController().signal)
  return told
}

const tooWide = (text: string): string[] => text.split('\n').filter((line) => [...line].length > 80)

test('help of all', async (t) => {
  for (const words of [['--help'], ['-h'], ['help'], ['archive', '--help'], ['help', 'archive']]) {
    const { status, out, err } = await pcapRing(...words)
    t.match({ status, err }, { status: 0, err: [] }, words.join(' '))
    t.strictSame(tooWide(out), [], words.join(' '))
    for (const command of everyCommand) t.match(out, `pcap-ring ${command}`)
  }
})

for (const command of everyCommand) {
  const words = command.split(' ')

  test(`help of ${command}`, async (t) => {
    const { status, out, err } = await pcapRing(...words, '--help')
    t.match({ status, err }, { status: 0, err: [] })
    t.strictSame(tooWide(out), [])
    t.match(out, new RegExp(`^Usage: pcap-ring ${command}`))
    t.match(out, /^ {2}--json /m)
    t.strictSame(await pcapRing('help', ...words), { status, out, err }, 'either way')
  })

  test(`wrong usage of ${command}`, async (t) => {
    const wrong = [
      [...words, '--nosuch'],
      [...words, '--json=yes'],
      [...words, '--nosuch=x'],
      [...words, 'one', 'two', 'three'],
      [...words, ''],
    ]
    for (const argv of wrong) {
      const { status, out, err } = await pcapRing(...argv)
      t.match({ status, out }, { status: 2, out: '' }, argv.join(' '))
      t.equal(err.length, 1)
      t.match(err[0], /^pcap-ring: .*; write .*$/)
    }
  })
}

test('columns: what does not fit goes on below itself, and a word is not cut', (t) => {
  t.strictSame(columns([['a', 'b']]), ['  a  b'])
  const [first, second, ...others] = columns([['--name', `${'word '.repeat(20)}end`]])
  t.match(first, /^ {2}--name {2}word/)
  t.match(second, /^ {10}word.*end$/)
  t.strictSame(others, [])
  t.match(columns([['a', 'x'.repeat(90)]]).join('\n'), 'x'.repeat(90))
  t.end()
})
