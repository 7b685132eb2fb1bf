import { test } from 'tap'

import { invalidArgType, invalidArgValue, outOfRange, PcapRingError } from '../src/errors.js'

test('PcapRingError has a code and, only where there are such, errno, syscall and cause', (t) => {
  const cause = new Error('below')
  const full = new PcapRingError('ERR_PCAP_PERMISSION', 'may not', { errno: -13, syscall: 'socket', cause })
  t.ok(full instanceof Error)
  t.equal(full.name, 'PcapRingError')
  t.equal(full.message, 'may not')
  t.equal(full.code, 'ERR_PCAP_PERMISSION')
  t.equal(full.errno, -13)
  t.equal(full.syscall, 'socket')
  t.equal(full.cause, cause)
  t.match(full.stack, /^PcapRingError: may not\n/)

  const bare = new PcapRingError('ERR_PCAP_CLOSED', 'closed')
  t.strictSame(Object.keys(bare), ['code'])
  t.notOk('cause' in bare)
  t.end()
})

// Node's own errors are the measure: provoke them and compare word for word.
function nodeError(provoke: () => unknown): Error & { code: string } {
  try {
    provoke()
  } catch (error) {
    return error as Error & { code: string }
  }
  throw new Error('not provoked')
}

test('a wrong type reads as in Node', (t) => {
  const wrong = [
    '5',
    null,
    undefined,
    {},
    [],
    () => {},
    function named() {},
    true,
    5n,
    Symbol('s'),
    new Map(),
    Object.create(null),
    'a text that is too long to be shown whole',
  ]
  for (const value of wrong) {
    const theirs = nodeError(() => Buffer.alloc(value as number))
    const ours = invalidArgType('size', 'number', value)
    t.equal(ours.message, theirs.message)
    t.equal(ours.code, theirs.code)
    t.equal(ours.name, theirs.name)
    t.ok(ours instanceof TypeError)
  }
  t.equal(
    invalidArgType('options.snaplen', 'number', '5').message,
    'The "options.snaplen" property must be of type number. Received type string (\'5\')',
  )
  t.equal(
    invalidArgType('file', ['string', 'URL', 'Uint8Array'], 1).message,
    'The "file" argument must be of type string or an instance of URL or Uint8Array. Received type number (1)',
  )
  t.equal(
    invalidArgType('a', ['string', 'number', 'boolean'], null).message,
    'The "a" argument must be one of type string, number, or boolean. Received null',
  )
  t.end()
})

test('a wrong value reads as in Node', (t) => {
  const theirs = nodeError(() => Buffer.alloc(5, 'x', 'zz' as BufferEncoding))
  const ours = invalidArgValue('options.pace', 'slow', "must be one of: 'lockstep', 'recorded'")
  t.equal(theirs.name, 'TypeError')
  t.ok(ours instanceof TypeError)
  t.equal(ours.code, 'ERR_INVALID_ARG_VALUE')
  t.equal(ours.message, "The property 'options.pace' must be one of: 'lockstep', 'recorded'. Received 'slow'")
  t.equal(invalidArgValue('id', '../x').message, "The argument 'id' is invalid. Received '../x'")
  t.end()
})

test('a value out of range reads as in Node', (t) => {
  for (const value of [-1, 2 ** 33, -(2 ** 40), 1.5]) {
    const theirs = nodeError(() => Buffer.alloc(4).readUInt8(value))
    const range = value === 1.5 ? 'an integer' : '>= 0 and <= 3'
    const ours = outOfRange('offset', range, value)
    t.equal(ours.message, theirs.message)
    t.equal(ours.code, theirs.code)
    t.ok(ours instanceof RangeError)
  }
  t.end()
})

test('the stack names the code and begins at the caller', (t) => {
  function judge(): Error {
    return outOfRange('x', '> 0', 0)
  }
  const lines = String(judge().stack).split('\n')
  t.match(lines[0], /^RangeError \[ERR_OUT_OF_RANGE\]: The value of "x"/)
  t.match(lines[1], /at judge /)
  t.equal(judge().name, 'RangeError')
  t.end()
})
