// What is in prebuilds/: for each architecture the addon as node-gyp-build looks for it, and of what it was made, in a JSON file
// beside it: `{ libpcap, sources, sha256 }`.
'use strict'

const { createHash } = require('node:crypto')
const fs = require('node:fs')
const path = require('node:path')
const { at, filesUnder, hash, hashFiles } = require('../bootstrap.cjs')

const prebuilds = at('prebuilds')
/** Of the addons that a release has. */
const architectures = ['x64', 'arm64']
const isGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined
// One Node-API build serves every Node from 20 on. The libc is part of the name, since glibc's does not load on musl.
const libc = isGlibc ? 'glibc' : 'musl'

const addonOf = (arch) => path.join(prebuilds, `linux-${arch}`, `@flowtriq+pcap-ring.${libc}.node`)
/** Of libpcap, which is in the addons for glibc. */
const licence = path.join(prebuilds, 'libpcap.LICENSE.txt')
const descriptionOf = (arch) => path.join(prebuilds, `linux-${arch}`, `${libc}.json`)
const sha256 = (file) => createHash('sha256').update(fs.readFileSync(file)).digest('hex')

/** What is compiled, and how. */
function sources() {
  const apart = [at('native/test'), at('native/fuzz')]
  const ours = filesUnder(at('native'), (name) => /\.(cc|h)$/.test(name)).filter(
    (file) => !apart.some((directory) => file.startsWith(directory)),
  )
  const how = ['Makefile', 'exports.map'].map((name) => at('scripts/prebuild', name))
  return hash([hashFiles([...ours, ...how]), fs.readFileSync(at('node_modules/node-addon-api/package.json'))])
}

/** Whether it is there, whole, with the licence of what is in it, and made of the sources as they are. */
function isCurrent(arch) {
  if (![addonOf(arch), descriptionOf(arch), licence].every((file) => fs.existsSync(file))) return false
  try {
    const description = JSON.parse(fs.readFileSync(descriptionOf(arch), 'utf8'))
    return description.sources === sources() && description.sha256 === sha256(addonOf(arch))
  } catch {
    return false // half written
  }
}

/** Puts an addon there, and what it was made of: `made`, what sources() said before. */
function put(arch, addon, made) {
  fs.mkdirSync(path.dirname(addonOf(arch)), { recursive: true })
  fs.copyFileSync(addon, addonOf(arch))
  fs.writeFileSync(descriptionOf(arch), `${JSON.stringify({ ...made, sha256: sha256(addon) }, null, 2)}\n`)
}

module.exports = { addonOf, architectures, isCurrent, isGlibc, licence, prebuilds, put, sources }
