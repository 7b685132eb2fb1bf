// `npm pack` and `npm publish`: a complete package for this platform, which needs no compiler where it is installed.
'use strict'

const fs = require('node:fs')
const path = require('node:path')
const { at, must, needEverything } = require('./bootstrap.cjs')

needEverything()

// For machines without a prebuilt addon: node-addon-api is headers alone, so they travel along with our sources.
const addonApi = at('node_modules/node-addon-api')
fs.rmSync(at('vendor'), { recursive: true, force: true })
fs.mkdirSync(at('vendor/node-addon-api'), { recursive: true })
for (const file of ['napi.h', 'napi-inl.h', 'napi-inl.deprecated.h', 'LICENSE.md']) {
  fs.copyFileSync(`${addonApi}/${file}`, at('vendor/node-addon-api', file))
}

// One Node-API build serves every Node from 20.0.0 on. The libc is part of the name, since glibc's does not load on musl.
const { glibcVersionRuntime } = process.report.getReport().header
const directory = at('prebuilds', `${process.platform}-${process.arch}`)
const prebuild = path.join(directory, `@flowtriq+pcap-ring.${glibcVersionRuntime ? 'glibc' : 'musl'}.node`)
fs.rmSync(at('prebuilds'), { recursive: true, force: true })
fs.mkdirSync(directory, { recursive: true })
must('strip', 'strip', ['--strip-all', '-o', prebuild, at('build/Release/pcap_ring.node')])
