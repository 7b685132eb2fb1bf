// What a store has to answer for a capture to be taken for encrypted by it.

import { test } from 'tap'

import { type Encryption, expectEncrypted } from '../../src/archive/s3/encryption.js'

const arn = 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd'
const kms = (key?: string) => ({ ServerSideEncryption: 'aws:kms', ...(key !== undefined && { SSEKMSKeyId: key }) })
const aes = { ServerSideEncryption: 'AES256' }

test('as asked', (t) => {
  for (const [encryption, answer] of [
    ['client', {}],
    ['client', aes],
    ['sse-s3', aes],
    [{ kms: '1234abcd' }, kms('1234abcd')],
    [{ kms: '1234abcd' }, kms(arn)],
    [{ kms: arn }, kms(arn)],
    [{ kms: 'alias/captures' }, kms(arn)],
    [{ kms: arn }, kms()],
  ] as [Encryption, object][]) {
    t.doesNotThrow(() => expectEncrypted(encryption, answer, 'it'), JSON.stringify([encryption, answer]))
  }
  t.end()
})

test('not as asked, or not said', (t) => {
  for (const [encryption, answer] of [
    ['sse-s3', {}],
    ['sse-s3', kms(arn)],
    [{ kms: arn }, {}],
    [{ kms: arn }, aes],
    [{ kms: arn }, kms('another')],
    [{ kms: arn }, kms(arn.replace('1234', '5678'))],
  ] as [Encryption, object][]) {
    t.throws(
      () => expectEncrypted(encryption, answer, 's3://b/k'),
      { code: 'ERR_PCAP_ARCHIVE_UNAVAILABLE', message: /^s3:\/\/b\/k was to be encrypted by the store/ },
      JSON.stringify([encryption, answer]),
    )
  }
  t.end()
})
