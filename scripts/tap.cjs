// TAP on standard output, for checks that are no tests of tap's.
'use strict'

const levels = [{ points: 0, failed: false }]

function say(text) {
  console.log(text.replace(/^(?=.)/gm, '    '.repeat(levels.length - 1)))
}

function tell(good, name, more = '') {
  const level = levels.at(-1)
  level.points++
  level.failed ||= !good
  say(`${good ? 'ok' : 'not ok'} ${level.points} - ${name}${more}`)
}

/** One point: `body` throws where it is not so. What it returns is why it was skipped. */
async function point(name, body) {
  try {
    const why = await body()
    tell(true, name, why === undefined ? '' : ` # SKIP ${why}`)
  } catch (error) {
    tell(false, name, `\n  ---\n${error.message.trim().replace(/^/gm, '  ')}\n  ...`)
  }
}

/** The points that another program told. */
function told(text) {
  const level = levels.at(-1)
  for (const line of text.trimEnd().split('\n')) {
    const [, bad] = /^(not )?ok\b/.exec(line) ?? []
    if (/^(not )?ok\b/.test(line)) level.points++
    level.failed ||= bad !== undefined
    if (!/^1\.\.\d+$/.test(line)) say(line)
  }
}

/** The points of `body`, and the one that sums them up. */
async function subtest(name, body) {
  say(`# Subtest: ${name}`)
  levels.push({ points: 0, failed: false })
  await body()
  const { points, failed } = levels.at(-1)
  say(`1..${points}`)
  levels.pop()
  tell(!failed, name)
}

/** All that a program has to tell; its exit status with it. */
async function tap(body) {
  console.log('TAP version 14')
  await body()
  const [{ points, failed }] = levels
  console.log(`1..${points}`)
  process.exitCode = failed ? 1 : 0
}

module.exports = { point, subtest, tap, told }
