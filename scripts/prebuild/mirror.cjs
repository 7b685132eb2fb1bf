'use strict'

const { execFileSync } = require('node:child_process')
const { fail } = require('../bootstrap.cjs')

/** Where this machine gets Debian's packages from. */
function mirror() {
  const fields = '$(REPO_URI) $(ORIGIN) $(COMPONENT) $(CODENAME)'
  const targets = execFileSync('apt-get', ['indextargets', '--format', fields], { encoding: 'utf8' })
  const found = /^(\S+) Debian main [a-z]+$/m.exec(targets)
  return found?.[1] ?? fail('apt-get knows no mirror of Debian here; after apt-get update it should.')
}

module.exports = { mirror }
