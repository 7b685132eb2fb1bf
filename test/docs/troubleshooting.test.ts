// docs/troubleshooting.md has every code, and what it quotes is what the library says.

import { test } from 'tap'

import { allSources, union } from '../support/declared.js'
import { coded, pageOf } from '../support/markdown.js'

const page = pageOf('docs/troubleshooting.md')

test('every code of an error, and so of a warning, has its line', (t) => {
  // There are no others: a `warning` is of the same class.
  t.strictSame(page.firstColumn('Error codes').sort(), union('PcapRingErrorCode', 'errors.ts').sort())
  for (const [code, seen, says, remedy] of page.table('Error codes')) {
    for (const cell of [seen, says, remedy]) t.ok(cell && cell.length > 5, `${code}: complete`)
  }
  t.end()
})

test('what it quotes of messages is in the sources', (t) => {
  const sources = allSources().replaceAll('\\"', '"')
  let quoted = 0
  for (const [code, , says] of page.table('Error codes')) {
    for (const words of coded(`${says}`)) {
      quoted++
      t.ok(sources.includes(words), `${code}: ${words}`)
    }
  }
  t.ok(quoted > 25)
  t.end()
})
