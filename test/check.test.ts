// `npm run check`: what it makes of its parts, and the parts that are our own.

import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import t from 'tap'

const root = resolve(__dirname, '..')
const script = (name: string): string => resolve(root, 'scripts', name)

function run(name: string, ...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script(name), ...args], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

t.test('a part that fails is told of with what it said, and stops no other', (t) => {
  const parts = {
    good: [process.execPath, '-e', 'console.log("not to be seen")'],
    bad: [process.execPath, '-e', 'console.error("on standard error"); process.exitCode = 3'],
    dies: [process.execPath, '-e', 'console.log("on standard output"); process.kill(process.pid, "SIGKILL")'],
    missing: ['no-such-program'],
    other: [process.execPath, '-e', ''],
  }
  const code = `require(${JSON.stringify(script('check.cjs'))}).runAll(${JSON.stringify(parts)}, 1).then((failed) => console.log(failed.join()))`
  const { status, stdout } = spawnSync(process.execPath, ['-e', code], { encoding: 'utf8' })
  t.equal(status, 0)
  t.equal(
    stdout.replace(/ +\d+\.\d s$/gm, ''),
    [
      'ok     good',
      'on standard error',
      'FAILED bad',
      'on standard output',
      'ended by SIGKILL',
      'FAILED dies',
      'spawn no-such-program ENOENT',
      'FAILED missing',
      'ok     other',
      'bad,dies,missing',
      '',
    ].join('\n'),
  )
  t.end()
})

t.test('some parts by name', (t) => {
  const { status, stdout } = run('check.cjs', 'rooms')
  t.match(stdout, /^ok {5}rooms +\d+\.\d s\ncheck: all is well\n$/)
  t.equal(status, 0)
  const wrong = run('check.cjs', 'rooms', 'room')
  t.equal(wrong.status, 1)
  t.match(wrong.stderr, /no such check: room\nusage: npm run check \[-- eslint\|/)
  t.equal(wrong.stdout, '', 'nothing was run')
  t.end()
})
