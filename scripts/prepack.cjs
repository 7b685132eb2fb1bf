// `npm pack` and `npm publish`: a complete package for this platform, which needs no compiler where it is installed.
'use strict'

const fs = require('node:fs')
const { at, must, needEverything, nodeDir } = require('./bootstrap.cjs')

needEverything()

// For machines without a prebuilt addon: node-addon-api is headers alone, so they travel along with our sources.
const addonApi = at('node_modules/node-addon-api')
fs.rmSync(at('vendor'), { recursive: true, force: true })
fs.mkdirSync(at('vendor/node-addon-api'), { recursive: true })
for (const file of ['napi.h', 'napi-inl.h', 'napi-inl.deprecated.h', 'LICENSE.md']) {
  fs.copyFileSync(`${addonApi}/${file}`, at('vendor/node-addon-api', file))
}

// One Node-API build serves every Node from 20.0.0 on. The libc is part of the name, since glibc's does not load on musl.
fs.rmSync(at('prebuilds'), { recursive: true, force: true })
const nodedir = nodeDir()
must(
  'prebuildify',
  process.execPath,
  [at('node_modules/prebuildify/bin.js'), '--napi', '--strip', '--tag-libc', '-t', '20.0.0'],
  { env: nodedir ? { npm_config_nodedir: nodedir } : {} },
)

// prebuildify moved the addon out of build/; linking it again leaves the clone as it was.
needEverything()
