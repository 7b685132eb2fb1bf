import { inspect } from 'node:util'

/** The codes of {@link PcapRingError}. */
export type PcapRingErrorCode =
  | 'ERR_PCAP_PERMISSION'
  | 'ERR_PCAP_NO_SUCH_DEVICE'
  | 'ERR_PCAP_DEVICE_DOWN'
  | 'ERR_PCAP_DEVICE_GONE'
  | 'ERR_PCAP_BAD_FILTER'
  | 'ERR_PCAP_BAD_FILE'
  | 'ERR_PCAP_FILE_EXISTS'
  | 'ERR_PCAP_WRITE'
  | 'ERR_PCAP_NO_SPACE'
  | 'ERR_PCAP_CLOSED'
  | 'ERR_PCAP_NOT_STARTED'
  | 'ERR_PCAP_NATIVE_MISSING'
  | 'ERR_PCAP_KERNEL'
  | 'ERR_PCAP_ARCHIVE_NOT_FOUND'
  | 'ERR_PCAP_ARCHIVE_CORRUPT'
  | 'ERR_PCAP_ARCHIVE_KEY'
  | 'ERR_PCAP_ARCHIVE_UNAVAILABLE'
  | 'ERR_PCAP_ARCHIVE_EXPIRED'

/** What an error may know besides. */
export interface PcapRingErrorOptions {
  /** Negative, as in Node's own system errors. */
  errno?: number | undefined
  /** The system call that failed. */
  syscall?: string | undefined
  /** The error behind it. */
  cause?: unknown
}

/** The one class of this library's errors. Wrong arguments are Node's `TypeError` and `RangeError` instead. */
export class PcapRingError extends Error {
  /** What went wrong, for programs; the message says it for people, with what to do. */
  readonly code: PcapRingErrorCode
  // Declared only: an error without them does not have the keys at all, as Node's own.
  /** What the operating system said, negative as in Node's own system errors: `-13` is EACCES. */
  declare readonly errno?: number
  /** The system call that failed. */
  declare readonly syscall?: string

  constructor(code: PcapRingErrorCode, message: string, { errno, syscall, cause }: PcapRingErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause })
    this.code = code
    if (errno !== undefined) this.errno = errno
    if (syscall !== undefined) this.syscall = syscall
  }
}

// On the prototype and not enumerable, as in the built-in classes.
Object.defineProperty(PcapRingError.prototype, 'name', { value: 'PcapRingError', writable: true, configurable: true })

/** A Node-style error: a built-in class with a `code`. */
export type CodedError<E extends Error = Error> = E & { code: string }

const coded = <E extends Error>(error: E, code: string, hideFrom: (...args: never[]) => unknown): CodedError<E> => {
  // The stack begins where the caller was wrong, and names the code as Node's does.
  const { name } = error
  error.name = `${name} [${code}]`
  Error.captureStackTrace(error, hideFrom)
  void error.stack
  delete (error as { name?: string }).name
  return Object.assign(error, { code })
}

const cut = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length)}...` : text)

const received = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'function') return `function ${value.name}`
  if (typeof value === 'object') {
    return value.constructor?.name ? `an instance of ${value.constructor.name}` : inspect(value, { depth: -1 })
  }
  return `type ${typeof value} (${typeof value === 'string' ? inspect(cut(value, 25)) : cut(inspect(value), 28)})`
}

const list = (items: readonly string[]): string =>
  items.length < 3 ? items.join(' or ') : `${items.slice(0, -1).join(', ')}, or ${items.at(-1)}`

const kind = (name: string): string => (name.includes('.') ? 'property' : 'argument')

/**
 * @param name of the argument, `'options.snaplen'` for a property
 * @param expected `'number'`, `'Date'`: types in lower case, classes capitalised
 */
export function invalidArgType(
  name: string,
  expected: string | readonly string[],
  actual: unknown,
): CodedError<TypeError> {
  const all = typeof expected === 'string' ? [expected] : expected
  const types = all.filter((word) => /^[a-z]/.test(word))
  const classes = all.filter((word) => /^[A-Z]/.test(word))
  const parts = []
  if (types.length > 0) parts.push(`${types.length > 1 ? 'one of type' : 'of type'} ${list(types)}`)
  if (classes.length > 0) parts.push(`an instance of ${list(classes)}`)
  const message = `The "${name}" ${kind(name)} must be ${parts.join(' or ')}. Received ${received(actual)}`
  return coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE', invalidArgType)
}

/** @param reason what is wrong, following the name: `'must be one of: …'` */
export function invalidArgValue(name: string, actual: unknown, reason = 'is invalid'): CodedError<TypeError> {
  const message = `The ${kind(name)} '${name}' ${reason}. Received ${cut(inspect(actual), 128)}`
  return coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE', invalidArgValue)
}

/** @param range what it must be: `'>= 64 and <= 262144'` */
export function outOfRange(name: string, range: string, actual: unknown): CodedError<RangeError> {
  const text =
    Number.isInteger(actual) && Math.abs(actual as number) > 2 ** 32
      ? String(actual).replace(/\B(?=(\d{3})+$)/g, '_')
      : cut(inspect(actual), 128)
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${text}`
  return coded(new RangeError(message), 'ERR_OUT_OF_RANGE', outOfRange)
}
