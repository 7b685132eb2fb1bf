import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto'

/**
 * Authenticated chunks: the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár ("Online Authenticated-Encryption
 * and its Nonce-Reuse Misuse-Resistance", CRYPTO 2015) with AES-256-GCM. A chunk's nonce is its number, in 11 bytes, and a
 * byte that is 1 in the last one; so order, number and end are authenticated with the bytes. A key seals one stream only.
 */

/** Bytes of plain text in each chunk but the last, which may have fewer, down to none in an empty stream. */
export const chunkSize = 64 * 1024
const tagSize = 16
export const sealedChunkSize = chunkSize + tagSize

const cipher = 'aes-256-gcm'

export const chunksOf = (plainSize: number): number => Math.max(1, Math.ceil(plainSize / chunkSize))
export const sealedSize = (plainSize: number): number => plainSize + chunksOf(plainSize) * tagSize

function nonceOf(chunk: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUIntBE(chunk, 5, 6)
  nonce[11] = last ? 1 : 0
  return nonce
}

/** Seals what it is given in pieces of any size, in order. */
export class Sealer {
  readonly #key: KeyObject
  /** The last chunk is known to be that only at the end: so the newest is held back. */
  readonly #held = Buffer.allocUnsafe(chunkSize)
  #heldSize = 0
  #chunk = 0

  constructor(key: KeyObject) {
    this.#key = key
  }

  /** The chunks that these bytes complete. */
  update(plain: Uint8Array): Buffer {
    const sealed: Buffer[] = []
    let at = 0
    while (at < plain.length) {
      if (this.#heldSize === chunkSize) {
        this.#seal(this.#held, false, sealed)
        this.#heldSize = 0
      }
      if (this.#heldSize === 0 && plain.length - at > chunkSize) {
        this.#seal(plain.subarray(at, at + chunkSize), false, sealed)
        at += chunkSize
        continue
      }
      const size = Math.min(chunkSize - this.#heldSize, plain.length - at)
      this.#held.set(plain.subarray(at, at + size), this.#heldSize)
      this.#heldSize += size
      at += size
    }
    return Buffer.concat(sealed)
  }

  /** The last chunk. */
  final(): Buffer {
    const sealed: Buffer[] = []
    this.#seal(this.#held.subarray(0, this.#heldSize), true, sealed)
    return Buffer.concat(sealed)
  }

  #seal(plain: Uint8Array, last: boolean, to: Buffer[]): void {
    const seal = createCipheriv(cipher, this.#key, nonceOf(this.#chunk++, last))
    to.push(seal.update(plain), seal.final(), seal.getAuthTag())
  }
}

/** One chunk's plain text. Throws where a bit of it, its number, or that it is the last is not as it was sealed. */
export function openChunk(key: KeyObject, chunk: number, last: boolean, sealed: Uint8Array): Buffer {
  const open = createDecipheriv(cipher, key, nonceOf(chunk, last), { authTagLength: tagSize })
  open.setAuthTag(sealed.subarray(sealed.length - tagSize))
  const plain = open.update(sealed.subarray(0, sealed.length - tagSize))
  open.final()
  return plain
}
