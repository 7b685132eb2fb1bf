import { createContext, runInContext } from 'node:vm'
import { test } from 'tap'

import { formatTime, maxTimeNs, minTimeNs, parseDuration, parseTime } from '../src/time.js'

test('durations in every unit', (t) => {
  const all: [unknown, number][] = [
    [0, 0],
    [250, 250],
    [0.5, 0.5],
    ['250ms', 250],
    ['30s', 30_000],
    ['1.5s', 1_500],
    ['15m', 900_000],
    ['2h', 7_200_000],
    ['7d', 604_800_000],
    ['0s', 0],
  ]
  for (const [value, ms] of all) t.equal(parseDuration(value, 'x'), ms, String(value))
  t.end()
})

test('what is no duration', (t) => {
  for (const value of [undefined, null, {}, true, 5n, []]) {
    t.throws(() => parseDuration(value, 'options.latency'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
  for (const value of ['', '5', 's', '5 s', ' 5s', '5S', '5sec', '1e3s', '0x5s', '5s ', '5s\n', '.5s', '5.s', '+5s']) {
    t.throws(
      () => parseDuration(value, 'options.latency'),
      {
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: /^The property 'options\.latency' must be milliseconds or a string such as '250ms'/,
      },
      JSON.stringify(value),
    )
  }
  for (const value of [-1, NaN, Infinity, -Infinity, '-5s', `${'9'.repeat(400)}d`, 2 ** 60]) {
    t.throws(() => parseDuration(value, 'options.latency'), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  }
  t.end()
})

test('a range includes its ends', (t) => {
  const range = { min: 50, max: 60_000 }
  t.equal(parseDuration('50ms', 'x', range), 50)
  t.equal(parseDuration('1m', 'x', range), 60_000)
  for (const value of [49, '49ms', '60001ms', '61s']) {
    t.throws(() => parseDuration(value, 'options.statsInterval', range), {
      code: 'ERR_OUT_OF_RANGE',
      message: /^The value of "options\.statsInterval" is out of range\. It must be a duration of 50 ms to 60000 ms\./,
    })
  }
  t.end()
})

test('times are cut, never rounded', (t) => {
  t.equal(formatTime(0n), '1970-01-01T00:00:00.000000Z')
  t.equal(formatTime(1_999_999_999n), '1970-01-01T00:00:01.999999Z')
  t.equal(formatTime(1_999_999_999n, 'nano'), '1970-01-01T00:00:01.999999999Z')
  t.equal(formatTime(5n, 'nano'), '1970-01-01T00:00:00.000000005Z')
  t.equal(formatTime(-1n), '1969-12-31T23:59:59.999999Z')
  t.equal(formatTime(-1_000_000_000n), '1969-12-31T23:59:59.000000Z')
  t.equal(formatTime(4_294_967_295_000_128_000n), '2106-02-07T06:28:15.000128Z')
  t.equal(formatTime(maxTimeNs, 'nano'), '2262-04-11T23:47:16.854775807Z')
  t.end()
})

test('our own strings are read back exactly', (t) => {
  for (const ns of [0n, 1n, 1_795_334_400_123_456_789n, maxTimeNs, minTimeNs, -1n]) {
    t.equal(parseTime(formatTime(ns, 'nano'), 'x'), ns)
  }
  t.equal(parseTime('2024-02-29T12:00:00.123456Z', 'x'), 1_709_208_000_123_456_000n)
  t.end()
})

test('Dates, their strings, and Dates of another realm', (t) => {
  const date = new Date(1_709_208_000_123)
  t.equal(parseTime(date, 'x'), 1_709_208_000_123_000_000n)
  t.equal(parseTime(date.toISOString(), 'x'), 1_709_208_000_123_000_000n)
  t.equal(parseTime(runInContext('new Date(5)', createContext()), 'x'), 5_000_000n)
  t.end()
})

test('what is no time', (t) => {
  for (const value of [undefined, null, 5, {}, []]) {
    t.throws(() => parseTime(value, 'options.since'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' })
  }
  const wrong = [
    new Date(NaN),
    '',
    'yesterday',
    '2024-02-29',
    '2024-02-29T12:00:00Z',
    '2024-02-29T12:00:00.12Z',
    '2024-02-29T12:00:00.1234567890Z',
    '2024-02-29T12:00:00.123456',
    '2024-02-29T12:00:00.123456+01:00',
    '2023-02-29T12:00:00.123456Z',
    '2024-13-01T12:00:00.123456Z',
    '2024-01-01T24:00:00.000000Z',
    '2024-01-01T12:00:60.000000Z',
  ]
  for (const value of wrong) {
    t.throws(
      () => parseTime(value, 'options.since'),
      { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' },
      String(value),
    )
  }
  for (const value of ['1677-01-01T00:00:00.000000Z', '2262-04-12T00:00:00.000000Z', new Date(8.64e15)]) {
    t.throws(() => parseTime(value, 'options.since'), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' })
  }
  t.end()
})
