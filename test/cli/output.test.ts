import { PassThrough } from 'node:stream'
import { test } from 'tap'

import { jsonLine, processOutput } from '../../src/cli/output.js'

function terminal(isTTY: boolean, columns: number | undefined, env: NodeJS.ProcessEnv = {}) {
  const stdout = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY, columns })
  const stderr = Object.assign(new PassThrough({ encoding: 'utf8' }), { isTTY, columns })
  const fake = { stdout, stderr, env } as unknown as NodeJS.Process
  const closed: (Error | null)[] = []
  const output = processOutput(fake, (error) => void closed.push(error))
  return { output, stdout, stderr, closed }
}

test('the live line is taken away before anything else is written, and put back', (t) => {
  const { output, stdout, stderr } = terminal(true, 20)
  output.status('a rate that is wider than the terminal')
  t.equal(stderr.read(), '\r\x1b[Ka rate that is wide')
  output.err('news')
  t.equal(stderr.read(), '\r\x1b[Knews\na rate that is wide')
  output.out('card\n')
  t.equal(stdout.read(), 'card\n')
  t.equal(stderr.read(), '\r\x1b[Ka rate that is wide')
  output.status(null)
  t.equal(stderr.read(), '\r\x1b[K')
  output.err('more')
  t.equal(stderr.read(), 'more\n')
  t.end()
})

test('no live line and no colour without a terminal', (t) => {
  const { output, stderr } = terminal(false, undefined)
  output.status('12 pps')
  output.err('news')
  t.equal(stderr.read(), 'news\n')
  t.equal(output.color, false)
  t.equal(output.width, 80)
  t.end()
})

test('colour on a terminal, unless it is not wanted', (t) => {
  t.equal(terminal(true, 100).output.color, true)
  t.equal(terminal(true, 100).output.width, 100)
  t.equal(terminal(true, 0).output.width, 80)
  t.equal(terminal(true, 100, { NO_COLOR: '1' }).output.color, false)
  t.equal(terminal(true, 100, { TERM: 'dumb' }).output.color, false)
  t.end()
})

for (const code of ['EPIPE', 'ENOSPC', 'EIO']) {
  test(`standard output that fails with ${code} is told of once and written to no more`, (t) => {
    const { output, stdout, stderr, closed } = terminal(false, undefined)
    const error = Object.assign(new Error(code), { code })
    stdout.emit('error', error)
    stdout.emit('error', Object.assign(new Error('again'), { code: 'EIO' }))
    t.strictSame(closed, [code === 'EPIPE' ? null : error], 'a closed pipe is no failure')
    output.out('late\n')
    t.equal(stdout.read(), null)
    t.doesNotThrow(() => stderr.emit('error', error), 'of standard error there is nowhere left to tell')
    t.end()
  })
}

test('an event is one line', (t) => {
  const line = jsonLine('cap', { reason: 'a\nb' }, '2024-01-01T00:00:00.000000Z')
  t.equal(line, '{"v":1,"event":"cap","time":"2024-01-01T00:00:00.000000Z","data":{"reason":"a\\nb"}}\n')
  t.match(JSON.parse(jsonLine('end', {})), { time: /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/ })
  t.end()
})
