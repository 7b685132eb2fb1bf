// Links of all pages, also of those that are for whoever works on the library.

import { existsSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'tap'

import { repository } from '../support/host.js'
import { Page, pages } from '../support/markdown.js'

const all = [...pages, new Page('DESIGN.md'), new Page('CHANGELOG.md')]
const anchorsOf = (name: string): string[] => (all.find((page) => page.name === name) ?? new Page(name)).anchors

test('links lead somewhere', (t) => {
  for (const { name, links } of all) {
    for (const link of links) {
      if (link.includes('://')) {
        t.match(link, /^https:\/\//, `${name}: ${link}`)
        continue
      }
      const [path, anchor] = link.split('#') as [string, string?]
      const target = path === '' ? name : normalize(join(dirname(name), path))
      t.ok(existsSync(join(repository, target)), `${name}: ${link} is there`)
      if (anchor !== undefined) t.ok(anchorsOf(target).includes(anchor), `${name}: ${link} has such a heading`)
    }
  }
  t.end()
})

test('each guide is to be found from the README', (t) => {
  const [readme] = all
  for (const { name } of all) if (name !== 'README.md') t.ok(readme?.links.includes(name), name)
  t.end()
})
