// `npm run build:debug`: the addon with ASan and UBSan in build/Debug; test/sanitized.test.ts shows how to load it.
'use strict'

const { needAddon, needEverything } = require('./bootstrap.cjs')

needEverything()
needAddon('Debug')
