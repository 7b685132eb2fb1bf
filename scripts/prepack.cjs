// `npm pack` and `npm publish`: a complete package. The addons of `npm run prebuildify` go into it where they are made of the sources
// as they are; else this machine's own, which needs the libpcap that is installed here, and is for trying the package out.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { at, fail, must, needEverything, say } = require('./bootstrap.cjs')
const { addonOf, architectures, isCurrent, prebuilds } = require('./prebuild/prebuilds.cjs')

needEverything()

// For machines without a prebuilt addon: node-addon-api is headers alone, so they travel along with our sources.
const addonApi = at('node_modules/node-addon-api')
fs.rmSync(at('vendor'), { recursive: true, force: true })
fs.mkdirSync(at('vendor/node-addon-api'), { recursive: true })
for (const file of ['napi.h', 'napi-inl.h', 'napi-inl.deprecated.h', 'LICENSE.md']) {
  fs.copyFileSync(`${addonApi}/${file}`, at('vendor/node-addon-api', file))
}

const missing = architectures.filter((arch) => !isCurrent(arch))
if (missing.length > 0 && process.env.npm_command === 'publish') {
  fail(`prebuilds/ has no addon of these sources for ${missing.join(' and ')}: npm run prebuildify makes them.`)
}
// Nothing stale is packed.
if (missing.length === architectures.length) fs.rmSync(prebuilds, { recursive: true, force: true })
for (const arch of missing) fs.rmSync(path.dirname(addonOf(arch)), { recursive: true, force: true })
if (!isCurrent(process.arch)) {
  say('packing the addon of this machine alone; npm run prebuildify makes those that run anywhere')
  fs.mkdirSync(path.dirname(addonOf(process.arch)), { recursive: true })
  must('strip', 'strip', ['--strip-all', '-o', addonOf(process.arch), at('build/Release/pcap_ring.node')])
}
