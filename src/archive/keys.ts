import { createSecretKey, hkdfSync, KeyObject } from 'node:crypto'
import { types } from 'node:util'

import { type CodedError, invalidArgType, invalidArgValue } from '../errors.js'

const secretSize = 32
const purposes = ['wrap', 'sign', 'audit'] as const
type Purpose = (typeof purposes)[number]

/** What is derived from one of the host's keys: one key for each purpose, so that none is ever used for two. */
export interface ArchiveKey extends Readonly<Record<Purpose, KeyObject>> {
  readonly id: string
}

export const isName = (text: string): boolean => /^(?!\.)[A-Za-z0-9._-]{1,64}$/.test(text)

/** RFC 5869, without a salt, as the secret is random already. */
function derive(secret: Uint8Array, purpose: Purpose): KeyObject {
  const info = `pcap-ring archive v1 ${purpose}`
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', info, secretSize)))
}

/** The same error, without the value: it may be a secret. */
function hidden(error: CodedError, value: unknown): CodedError {
  error.message = error.message.replace(/Received .*$/s, `Received a ${typeof value}, which is not shown`)
  error.stack = error.stack?.replace(/Received .*$/m, `Received a ${typeof value}, which is not shown`) as string
  return error
}

function judgeSecret(value: unknown, name: string): Uint8Array {
  const isKey = value instanceof KeyObject || types.isKeyObject(value)
  if (!isKey && !types.isUint8Array(value))
    throw hidden(invalidArgType(name, ['KeyObject', 'Uint8Array'], value), value)
  if (isKey && value.type !== 'secret') {
    throw invalidArgValue(name, value.type, 'must be a secret key')
  }
  const secret = isKey ? value.export() : value
  if (secret.length !== secretSize) throw invalidArgValue(name, secret.length, `must be ${secretSize} bytes long`)
  return secret
}

/** The keys of an archive. Shows none of them when it is inspected. */
export class KeyRing {
  readonly #keys: ReadonlyMap<string, ArchiveKey>
  readonly #first: ArchiveKey

  /** @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` */
  constructor(keys: unknown) {
    const name = 'options.keys'
    if (!Array.isArray(keys)) throw hidden(invalidArgType(name, 'Array', keys), keys)
    const all = new Map<string, ArchiveKey>()
    for (const [i, key] of keys.entries()) {
      if (typeof key !== 'object' || key === null) throw hidden(invalidArgType(`${name}[${i}]`, 'object', key), key)
      const { id, secret } = key as { id?: unknown; secret?: unknown }
      if (typeof id !== 'string') throw hidden(invalidArgType(`${name}[${i}].id`, 'string', id), id)
      // Whoever mistakes one for the other gives the secret here.
      if (!isName(id)) throw hidden(invalidArgValue(`${name}[${i}].id`, id, 'must be 1 to 64 of A-Z a-z 0-9 . _ -'), id)
      if (all.has(id)) throw invalidArgValue(`${name}[${i}].id`, id, 'must not be the id of another key')
      const bytes = judgeSecret(secret, `${name}[${i}].secret`)
      all.set(id, { id, wrap: derive(bytes, 'wrap'), sign: derive(bytes, 'sign'), audit: derive(bytes, 'audit') })
    }
    const [first] = all.values()
    if (first === undefined) throw invalidArgValue(name, [], 'must hold a key')
    this.#keys = all
    this.#first = first
  }

  get first(): ArchiveKey {
    return this.#first
  }

  get(id: string): ArchiveKey | undefined {
    return this.#keys.get(id)
  }

  [Symbol.iterator](): IterableIterator<ArchiveKey> {
    return this.#keys.values()
  }
}
