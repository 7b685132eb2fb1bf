import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'

import { PcapRingError } from '../errors.js'
import type { Known } from './vault.js'

/** A capture on its way into an archive: its end comes only if it is what is known of it. */
export async function* checked(
  { id, bytes, sha256 }: Known,
  capture: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let size = 0
  for await (const piece of capture) {
    hash.update(piece)
    size += piece.length
    yield piece
  }
  if (size !== bytes || hash.digest('hex') !== sha256) {
    throw new PcapRingError(
      'ERR_PCAP_ARCHIVE_CORRUPT',
      `capture ${id} is not what its report says: it was changed since; it is not archived`,
    )
  }
}

/**
 * Pieces of a capture on its way out of one.
 * @param close what they are read from
 * @param failed what ended it early, but for whoever destroyed it
 */
export function readableOf(
  pieces: AsyncGenerator<Buffer, void, undefined>,
  highWaterMark: number,
  close: () => Promise<void>,
  failed?: (error: Error) => void,
): Readable {
  return new Readable({
    highWaterMark,
    read() {
      pieces.next().then(
        ({ done, value }) => void this.push(done ? null : value),
        (error: unknown) => {
          failed?.(error as Error)
          this.destroy(error as Error)
        },
      )
    },
    destroy: (error, callback) => {
      // A read under way ends first.
      pieces
        .return(undefined)
        .catch(() => {})
        .then(close)
        .then(() => callback(error), callback)
    },
  })
}
