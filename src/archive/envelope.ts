import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject, randomBytes } from 'node:crypto'

import { PcapRingError } from '../errors.js'
import type { CaptureFormat } from '../types.js'
import type { ArchiveKey, KeyRing } from './keys.js'
import { isName } from './keys.js'

/**
 * The head of an archived capture (docs/archive.md): what is known of it, in the clear, and the key of what follows, wrapped.
 * The wrapping authenticates every byte of the head.
 */

type Form = 'sealed' | 'plain'

/** Neither text nor touched by a transfer that takes it for text, as in PNG. */
const magics: Record<Form, Buffer> = {
  sealed: Buffer.from('\x89PRA\r\n\x1a\n', 'latin1'),
  /** Of a capture that lies in the clear: so the head of a sealed one cannot be put before other bytes. */
  plain: Buffer.from('\x89PRP\r\n\x1a\n', 'latin1'),
}
const lengthAt = magics.sealed.length
const textAt = lengthAt + 4
const longestText = 4096
const nonceSize = 12
const keySize = 32
const wrappedSize = nonceSize + keySize + 16
const cipher = 'aes-256-gcm'

/** No head is longer. */
export const longestHead = textAt + longestText + wrappedSize

export interface Head {
  version: 1
  id: string
  /** The id of the key that wraps this capture's own. */
  key: string
  format: CaptureFormat
  /** Sizes of the plain report, which comes first, and of the plain capture. */
  report: number
  bytes: number
  /** Of the plain capture. */
  sha256: string
  storedAt: string
  retainedUntil: string
}

/** What random bytes a head takes: given in tests only. */
export interface Randomness {
  dataKey: Uint8Array
  nonce: Uint8Array
}

export const random = (): Randomness => ({ dataKey: randomBytes(keySize), nonce: randomBytes(nonceSize) })

/** The head's bytes, and the key to seal the rest with. */
export function sealHead(
  known: Omit<Head, 'version' | 'key'>,
  key: ArchiveKey,
  { dataKey, nonce }: Randomness = random(),
  form: Form = 'sealed',
): { bytes: Buffer; dataKey: KeyObject } {
  const { id, format, report, bytes, sha256, storedAt, retainedUntil } = known
  const head: Head = { version: 1, id, key: key.id, format, report, bytes, sha256, storedAt, retainedUntil }
  const text = Buffer.from(JSON.stringify(head))
  const length = Buffer.alloc(4)
  length.writeUInt32BE(text.length)
  const clear = Buffer.concat([magics[form], length, text])
  const wrap = createCipheriv(cipher, key.wrap, nonce).setAAD(clear)
  const wrapped = Buffer.concat([nonce, wrap.update(dataKey), wrap.final(), wrap.getAuthTag()])
  return { bytes: Buffer.concat([clear, wrapped]), dataKey: createSecretKey(dataKey) }
}

export interface OpenedHead {
  head: Head
  dataKey: KeyObject
  /** Its own bytes: the chunks begin behind them. */
  size: number
}

const corrupt = (where: string, what: string): PcapRingError =>
  new PcapRingError(
    'ERR_PCAP_ARCHIVE_CORRUPT',
    `${where} ${what}; nothing of it is delivered: restore this file from a copy`,
  )

/**
 * @param bytes the file's first ones, {@link longestHead} or all
 * @param where it is, for errors
 * @throws {PcapRingError} `ERR_PCAP_ARCHIVE_CORRUPT`, `ERR_PCAP_ARCHIVE_KEY`
 */
export function openHead(bytes: Buffer, id: string, keys: KeyRing, where: string, form: Form = 'sealed'): OpenedHead {
  if (!bytes.subarray(0, lengthAt).equals(magics[form]))
    throw corrupt(where, 'does not begin as an archived capture does')
  const length = bytes.length >= textAt ? bytes.readUInt32BE(lengthAt) : Infinity
  const wrappedAt = textAt + length
  const end = wrappedAt + wrappedSize
  if (length > longestText || end > bytes.length) throw corrupt(where, 'is cut within its head, or its head is damaged')
  let claimed: Head
  try {
    claimed = JSON.parse(bytes.toString('utf8', textAt, wrappedAt)) as Head
  } catch {
    throw corrupt(where, 'has a damaged head')
  }
  const name = claimed?.key
  if (typeof name !== 'string' || !isName(name)) throw corrupt(where, 'has a damaged head')
  const key = keys.get(name)
  if (key === undefined) {
    throw new PcapRingError(
      'ERR_PCAP_ARCHIVE_KEY',
      `${where} was sealed with the key "${name}", which is not among the keys given (or its head is damaged): add it to "keys"`,
    )
  }
  let dataKey: KeyObject
  try {
    const nonce = bytes.subarray(wrappedAt, wrappedAt + nonceSize)
    const unwrap = createDecipheriv(cipher, key.wrap, nonce, { authTagLength: 16 })
      .setAAD(bytes.subarray(0, wrappedAt))
      .setAuthTag(bytes.subarray(end - 16, end))
    const plain = unwrap.update(bytes.subarray(wrappedAt + nonceSize, end - 16))
    unwrap.final()
    dataKey = createSecretKey(plain)
  } catch {
    throw corrupt(where, `has a damaged head, or another secret than that of the key "${name}" sealed it`)
  }
  // All that was claimed is authentic from here on.
  if (claimed.version !== 1) throw corrupt(where, `is of version ${claimed.version}, which this reader does not know`)
  if (claimed.id !== id) throw corrupt(where, `holds the capture ${claimed.id}, not ${id}`)
  return { head: claimed, dataKey, size: end }
}

/** @throws {PcapRingError} `ERR_PCAP_ARCHIVE_CORRUPT` */
export function expectSize(size: number, wanted: number, where: string): void {
  if (size !== wanted) throw corrupt(where, `has ${size} bytes in place of ${wanted}`)
}
