// Preload (node --require): the library then loads build/Debug in place of what node-gyp-build would find.
'use strict'

const Module = require('node:module')
const path = require('node:path')

const load = Module._load
Module._load = function (request, ...rest) {
  if (request !== 'node-gyp-build') return Reflect.apply(load, this, [request, ...rest])
  const options = {
    bindings: 'pcap_ring',
    module_root: path.resolve(__dirname, '../..'),
    try: [['module_root', 'build', 'Debug', 'bindings']],
  }
  return () => require('bindings')(options)
}
