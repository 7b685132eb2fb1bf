// What the README's tables of options say in the words "A to B": each end is taken, and what lies beyond it is not.

import { test } from 'tap'

import { FloodDetector } from '../../src/detect/index.js'
import { judgeRingOptions } from '../../src/options.js'
import { pageOf } from '../support/markdown.js'

const units: Record<string, number> = {
  '': 1,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
  ms: 1,
  s: 1_000,
  day: 86_400_000,
}
const amount = String.raw`(\d[\d,.]*(?:e\d+)?) ?(KiB|MiB|GiB|ms|s|day)?(?![\w-])`
const range = new RegExp(`(?<![\\w.,-])${amount} to ${amount}`)
const numberOf = (digits = '', unit = ''): number => Number(digits.replaceAll(',', '')) * (units[unit] as number)

/** `{ ring: { packets: value } }` of `ring.packets`. */
const optionOf = (path: string, value: number): object =>
  path.split('.').reduceRight<unknown>((inner, name) => ({ [name]: inner }), value) as object

const judges: Record<string, (options: object) => unknown> = {
  Options: judgeRingOptions,
  'Detecting floods': (options) => new FloodDetector(options),
}

for (const [title, judge] of Object.entries(judges)) {
  test(title, (t) => {
    let found = 0
    for (const [name = '', , meaning = ''] of pageOf('README.md').table(title)) {
      const path = name.replaceAll('`', '')
      const [, least, leastUnit, most, mostUnit] = range.exec(meaning) ?? []
      if (most === undefined) continue
      found++
      const [from, to] = [numberOf(least, leastUnit), numberOf(most, mostUnit)]
      for (const value of [from, to]) t.doesNotThrow(() => judge(optionOf(path, value)), `${path}: ${value}`)
      for (const value of [Number.isInteger(from) ? from - 1 : from - 1e-6, to + 1]) {
        t.throws(
          () => judge(optionOf(path, value)),
          { message: new RegExp(path.replace('.', '\\.')) },
          `${path}: ${value}`,
        )
      }
    }
    t.equal(found, title === 'Options' ? 9 : 2, 'ranges')
    t.end()
  })
}
