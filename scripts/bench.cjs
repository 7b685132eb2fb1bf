// `npm run bench`, and with `archive` or `detect` in front `npm run bench:archive`, `npm run bench:detect`: makes a fresh clone
// runnable, compiles the bench, and runs it with the arguments given.
'use strict'

const { spawn } = require('node:child_process')
const { at, must, needEverything } = require('./bootstrap.cjs')

needEverything()
must('tsc', process.execPath, [at('node_modules/typescript/bin/tsc'), '-p', at('bench/tsconfig.json')])

// A terminal sends Ctrl-C to the bench as well; it removes what it made, and we wait for that.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => signal === 'SIGTERM' && bench.kill(signal))
const [first, ...others] = process.argv.slice(2)
const own = first === 'archive' || first === 'detect'
const [program, args] = own ? [`${first}.js`, others] : ['main.js', process.argv.slice(2)]
const bench = spawn(process.execPath, [at('build/bench/js/bench', program), ...args], {
  stdio: 'inherit',
})
bench.on('exit', (code) => process.exit(code ?? 1))
