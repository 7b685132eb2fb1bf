// `npm run demo`: makes a fresh clone runnable, then runs the demo with the arguments given.
'use strict'

const { spawn } = require('node:child_process')
const { at, needEverything } = require('./bootstrap.cjs')

needEverything()

// A terminal sends Ctrl-C to the demo as well; it completes its file, and we wait for that.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && demo.kill(signal))
const demo = spawn(process.execPath, [at('scripts/demo/main.cjs'), ...process.argv.slice(2)], { stdio: 'inherit' })
demo.on('exit', (code) => process.exit(code ?? 1))
