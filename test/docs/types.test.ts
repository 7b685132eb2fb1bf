// All code of all pages is of the right types: no option, event or field in it that does not exist.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { repository } from '../support/host.js'
import { type Block, blocksOf, placeOf } from '../support/markdown.js'
import { makeProject } from '../support/page-host.js'

const notBuilt = existsSync(join(repository, 'lib', 'index.js')) ? false : 'not built: npm run build'

/** A file of examples/testing, which examples.test.ts runs: it reads others beside it. */
const testing = join(repository, 'examples/testing')
const examples = readdirSync(testing, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.m?js$/.test(name))
  .map((name) => readFileSync(join(testing, name), 'utf8'))
const isExample = ({ code }: Block): boolean => examples.includes(code)

test('TypeScript as strict as a host may be; JavaScript, which cannot say its types', { skip: notBuilt }, (t) => {
  const dir = t.testdir({})
  makeProject(dir)
  const files = blocksOf('ts', 'js', 'cjs').filter((block) => !isExample(block))
  t.ok(files.length > 15)
  files.forEach((block, i) => {
    const name = `${placeOf(block).replace(/\W/g, '-')}-${i}`
    // A module of its own, though it should import nothing.
    const text = block.language === 'cjs' ? block.code : `${block.code}\nexport {}\n`
    writeFileSync(join(dir, `${name}.${{ ts: 'mts', js: 'mjs', cjs: 'cjs' }[block.language as 'ts']}`), text)
  })
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'node16',
    noEmit: true,
    skipLibCheck: true,
    types: ['node'],
    allowJs: true,
    checkJs: true,
  }
  for (const strict of [true, false]) {
    const include = strict ? ['*.mts'] : ['*.mjs', '*.cjs']
    const config = { compilerOptions: { ...compilerOptions, strict }, include }
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(config))
    const command = [join(repository, 'node_modules/typescript/bin/tsc'), '-p', dir]
    const tsc = spawnSync(process.execPath, command, { encoding: 'utf8' })
    t.equal(tsc.stdout, '', `${include}`)
    t.equal(tsc.status, 0, 'exit status')
  }
  t.end()
})
