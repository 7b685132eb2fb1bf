import type * as clientS3 from '@aws-sdk/client-s3'
import type * as libStorage from '@aws-sdk/lib-storage'
import type * as presigner from '@aws-sdk/s3-request-presigner'

const names = ['@aws-sdk/client-s3', '@aws-sdk/lib-storage', '@aws-sdk/s3-request-presigner'] as const

/** The SDK is the host's to install: who keeps captures elsewhere does not need it. */
function load<T>(name: (typeof names)[number]): T {
  try {
    return require(name) as T
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code !== 'MODULE_NOT_FOUND' || !message.includes(`'${name}'`)) throw cause
    const error = new Error(
      `@flowtriq/pcap-ring/archive/s3 needs ${name}, which is not installed; run: npm install ${names.join(' ')}`,
      { cause },
    )
    throw Object.assign(error, { code })
  }
}

export const s3: typeof clientS3 = load('@aws-sdk/client-s3')
export const { Upload }: typeof libStorage = load('@aws-sdk/lib-storage')
export const { getSignedUrl }: typeof presigner = load('@aws-sdk/s3-request-presigner')
