// Preload (node --require): the library then loads a sanitizer's addon in place of what node-gyp-build would find.
'use strict'

const Module = require('node:module')
const path = require('node:path')

const { PCAP_RING_SANITIZER: sanitizer } = process.env
// The runtime is in this process; what the process starts is tcpdump, ip and the like, which are better off without.
delete process.env.LD_PRELOAD

const load = Module._load
Module._load = function (request, ...rest) {
  if (request !== 'node-gyp-build') return Reflect.apply(load, this, [request, ...rest])
  const addon = path.resolve(__dirname, '../../build/native', sanitizer, 'pcap_ring.node')
  return () => require(addon)
}
