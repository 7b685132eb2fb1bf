// The package as a stranger has it: packed, and installed by npm without install scripts into an empty project.
'use strict'

const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { at, npm } = require('./bootstrap.cjs')

const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']

/** Installs packages by their `name@version`, or tarballs, into a project of its own; throws when they cannot be had. Options of npm may be among them. */
function install(directory, ...packages) {
  const json = path.join(directory, 'package.json')
  fs.mkdirSync(directory, { recursive: true })
  if (!fs.existsSync(json)) fs.writeFileSync(json, '{ "private": true }\n')
  const { ok, why } = npm(['install', ...quiet, ...packages], { cwd: directory })
  if (!ok) throw new Error(`npm install ${packages.join(' ')} failed (${why})`)
}

/** A project that has the package and nothing else, gone with this process. */
function packedProject() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pcap-ring-packed-'))
  process.on('exit', () => fs.rmSync(directory, { recursive: true, force: true }))
  const { ok, why } = npm(['pack', '--pack-destination', directory])
  if (!ok) throw new Error(`npm pack failed (${why})`)
  const tarball = fs.readdirSync(directory).find((name) => name.endsWith('.tgz'))
  const project = path.join(directory, 'project')
  install(project, path.join(directory, tarball))
  return project
}

/**
 * The directory in build/ that has these packages, in just these versions; downloaded once. They stand in it by the name before
 * their `@version`, or before `@npm:`.
 */
function downloaded(name, ...packages) {
  const directory = at('build/downloads', name)
  const stamp = path.join(directory, 'stamp')
  const wanted = packages.join('\n')
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === wanted) return directory
  fs.rmSync(directory, { recursive: true, force: true })
  install(directory, ...packages)
  fs.writeFileSync(stamp, wanted)
  return directory
}

module.exports = { downloaded, packedProject }
