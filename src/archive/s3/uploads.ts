import type {
  ListMultipartUploadsCommandInput,
  ListMultipartUploadsCommandOutput,
  ListPartsCommandOutput,
  MultipartUpload,
} from '@aws-sdk/client-s3'

import { type Bucket, isAbsent } from './bucket.js'
import { s3 } from './sdk.js'

/** Those that were begun, and neither completed nor aborted. */
export async function* uploadsUnder(bucket: Bucket, prefix: string): AsyncGenerator<MultipartUpload> {
  let next: Pick<ListMultipartUploadsCommandInput, 'KeyMarker' | 'UploadIdMarker'> | null = {}
  while (next !== null) {
    const list = new s3.ListMultipartUploadsCommand({ Bucket: bucket.name, Prefix: prefix, ...next })
    const page: ListMultipartUploadsCommandOutput = await bucket.send(list)
    yield* page.Uploads ?? []
    const { NextKeyMarker: KeyMarker, NextUploadIdMarker: UploadIdMarker } = page
    next = page.IsTruncated && KeyMarker !== undefined ? { KeyMarker, UploadIdMarker } : null
  }
}

/** Whether somebody went on with it since. A slow line may take hours for an upload, but not for a part of it. */
export async function hasPartSince(ms: number, bucket: Bucket, key: string, uploadId: string): Promise<boolean> {
  let PartNumberMarker: string | undefined
  try {
    do {
      const list = new s3.ListPartsCommand({ Bucket: bucket.name, Key: key, UploadId: uploadId, PartNumberMarker })
      const page: ListPartsCommandOutput = await bucket.send(list)
      if (page.Parts?.some(({ LastModified }) => (LastModified?.getTime() ?? 0) > ms)) return true
      PartNumberMarker = page.IsTruncated ? page.NextPartNumberMarker : undefined
    } while (PartNumberMarker !== undefined)
  } catch (error) {
    // It was completed or aborted meanwhile.
    if (!isAbsent(error)) throw error
  }
  return false
}
