import type { PutObjectCommandInput } from '@aws-sdk/client-s3'

import { PcapRingError } from '../../errors.js'

/** Who encrypts: we do, or the store with a key of its own, or with one of its key service. */
export type Encryption = 'client' | 'sse-s3' | { kms: string }

interface Answer {
  ServerSideEncryption?: string | undefined
  SSEKMSKeyId?: string | undefined
}

/** What asks the store for it. */
export function askFor(encryption: Encryption): Partial<PutObjectCommandInput> {
  if (encryption === 'client') return {}
  if (encryption === 'sse-s3') return { ServerSideEncryption: 'AES256' }
  return { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: encryption.kms }
}

/** Whether it says that it did so. Behind an alias there may be any key. */
function isAsAsked(encryption: Encryption, { ServerSideEncryption: how, SSEKMSKeyId: key }: Answer): boolean {
  if (encryption === 'client') return true
  if (encryption === 'sse-s3') return how === 'AES256'
  const idOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1)
  const sameKey = key === undefined || encryption.kms.includes('alias/') || idOf(key) === idOf(encryption.kms)
  return how === 'aws:kms' && sameKey
}

/** @throws {PcapRingError} `ERR_PCAP_ARCHIVE_UNAVAILABLE` */
export function expectEncrypted(encryption: Encryption, answer: Answer, where: string): void {
  if (isAsAsked(encryption, answer)) return
  const said = answer.ServerSideEncryption ?? 'none'
  throw new PcapRingError(
    'ERR_PCAP_ARCHIVE_UNAVAILABLE',
    `${where} was to be encrypted by the store, which does not say that it did (its answer: ${said}); nothing of it is kept. ` +
      "Leave 'encryption' at 'client', or set the store up for it",
  )
}
