// `npm run check:hosts`: the packed package, compiled against by TypeScript hosts of every kind, and bundled. TAP.
'use strict'

const assert = require('node:assert/strict')
const { spawnSync } = require('node:child_process')
const fs = require('node:fs')
const path = require('node:path')
const { at, needNodeModules } = require('./bootstrap.cjs')
const { downloaded, packedProject } = require('./packed.cjs')
const { point, subtest, tap } = require('./tap.cjs')

function run(cwd, command, ...args) {
  const ended = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 120_000, killSignal: 'SIGKILL' })
  return { status: ended.status ?? ended.signal ?? ended.error?.message, text: `${ended.stdout}${ended.stderr}` }
}

// --- TypeScript ------------------------------------------------------------------------------------------------------

// The oldest that is promised, with types of Node as old; this repository's; the newest.
const oldest = { typescript: '5.4.5', types: '20.11.24' }
const newest = { typescript: '7.0.2', types: '26.6.6' }
needNodeModules()
const { version: ours } = require(at('node_modules/typescript/package.json'))
const es = ['host.mts']
const commonjs = ['host.cts']
const both = [...es, ...commonjs]
const kinds = {
  nodenext: { options: { module: 'nodenext' }, files: both },
  node16: { options: { module: 'node16' }, files: both },
  bundler: { options: { module: 'esnext', moduleResolution: 'bundler' }, files: es },
  preserve: { options: { module: 'preserve' }, files: both },
  // By typesVersions, as this knows no exports. TypeScript 7 has it no longer.
  node10: { options: { module: 'commonjs', moduleResolution: 'node10' }, files: commonjs },
}
const compiled = [
  [oldest.typescript, oldest.types, 'nodenext'],
  [oldest.typescript, oldest.types, 'node10'],
  [ours, '20.19.43', 'nodenext'],
  [ours, newest.types, 'node10'],
  ...['20.19.43', '22.20.5', '24.19.4', newest.types].map((types) => [newest.typescript, types, 'nodenext']),
  ...['node16', 'bundler', 'preserve'].map((kind) => [newest.typescript, newest.types, kind]),
]
// The oldest that peerDependencies let in.
const sdk = ['client-s3', 'lib-storage', 's3-request-presigner'].map((name) => `@aws-sdk/${name}@3.700.0`)

/** Copies, as the types of Node have to be the same for the host and for all that it imports. */
function addModules(project, from) {
  for (const name of fs.readdirSync(path.join(from, 'node_modules'))) {
    if (name.startsWith('.')) continue
    const to = path.join(project, 'node_modules', name)
    fs.rmSync(to, { recursive: true, force: true })
    fs.cpSync(path.join(from, 'node_modules', name), to, { recursive: true })
  }
}

function compile(directory, typescript, kind) {
  const { options, files } = kinds[kind]
  const compilerOptions = {
    ...options,
    ...(kind === 'node10' && typescript.startsWith('6.') ? { ignoreDeprecations: '6.0' } : {}),
    target: 'es2022',
    lib: ['es2022'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    noEmit: true,
  }
  fs.writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
  const home = typescript === ours ? at('.') : downloaded(`typescript-${typescript}`, `typescript@${typescript}`)
  const tsc = path.join(home, 'node_modules/typescript/bin/tsc')
  const { status, text } = run(directory, process.execPath, tsc, '-p', '.')
  assert.ok(status === 0, `status ${status}:\n${text}`)
}

async function checkTypes(project) {
  addModules(project, downloaded('aws-sdk-3.700.0', ...sdk))
  for (const file of both) fs.copyFileSync(at('scripts/types', file), path.join(project, file))
  for (const types of new Set(compiled.map(([, types]) => types))) {
    addModules(project, downloaded(`types-node-${types}`, `@types/node@${types}`))
    for (const [typescript, , kind] of compiled.filter(([, its]) => its === types)) {
      await point(`TypeScript ${typescript}, @types/node ${types}, ${kind}`, () => compile(project, typescript, kind))
    }
  }
}

// --- bundlers --------------------------------------------------------------------------------------------------------

const program = `import { writeFileSync } from 'node:fs'
import { devices } from '@flowtriq/pcap-ring'
import { encodePcap } from '@flowtriq/pcap-ring/testing'
import { render, summarize } from '@flowtriq/pcap-ring/report'
writeFileSync('bundled.pcap', encodePcap([{ time: 0, data: new Uint8Array(60) }]))
summarize('bundled.pcap').then((report) => console.log(render(report).length > 1_000 && devices().length > 0))
`

async function checkBundles(project) {
  const { build } = require('esbuild')
  const entry = path.join(project, 'app.mjs')
  fs.writeFileSync(entry, program)
  const bundled = async (format, name, options) => {
    const outfile = path.join(project, 'bundles', name)
    await build({
      entryPoints: [entry],
      bundle: true,
      platform: 'node',
      logLevel: 'silent',
      format,
      outfile,
      ...options,
    })
    return run(project, process.execPath, outfile)
  }
  for (const [format, ending] of [
    ['esm', 'mjs'],
    ['cjs', 'cjs'],
  ]) {
    await point(`esbuild, ${format}: external, it works`, async () => {
      assert.deepEqual(await bundled(format, `external.${ending}`, { external: ['@flowtriq/pcap-ring'] }), {
        status: 0,
        text: 'true\n',
      })
    })
  }
  // What esbuild's own documentation has for packages that are CommonJS in a bundle of ES modules.
  const js = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)"
  for (const [format, name, options] of [
    ['esm', 'inside.mjs', { banner: { js } }],
    ['cjs', 'inside.cjs', {}],
  ]) {
    await point(`esbuild, ${format}: inside of the bundle it says what to do`, async () => {
      const { status, text } = await bundled(format, name, options)
      assert.equal(status, 1)
      assert.match(
        text,
        /PcapRingError: the native addon .* cannot be loaded .*esbuild: --external:@flowtriq\/pcap-ring/,
      )
      assert.match(text, /code: 'ERR_PCAP_NATIVE_MISSING'/)
    })
  }
}

tap(async () => {
  const project = packedProject()
  await subtest('types', () => checkTypes(project))
  await subtest('bundles', () => checkBundles(project))
})
