import type { ListObjectVersionsCommandInput, ListObjectVersionsCommandOutput, ObjectVersion } from '@aws-sdk/client-s3'

import { PcapRingError } from '../../errors.js'
import { type Bucket, isAnswer } from './bucket.js'
import { s3 } from './sdk.js'

/** Most objects have one or two; more than they have would be those of keys that only begin so. */
const pageSize = 10

/**
 * The versions of an object that no delete marker hides, the newest first.
 * @param ignored a marker that is taken for none
 */
export async function versionsOf(bucket: Bucket, key: string, ignored?: string): Promise<ObjectVersion[]> {
  const versions: ObjectVersion[] = []
  let hiddenUpTo = 0
  let next: Pick<ListObjectVersionsCommandInput, 'KeyMarker' | 'VersionIdMarker'> | null = {}
  while (next !== null) {
    const list = new s3.ListObjectVersionsCommand({ Bucket: bucket.name, Prefix: key, MaxKeys: pageSize, ...next })
    const page: ListObjectVersionsCommandOutput = await bucket.send(list)
    const { Versions = [], DeleteMarkers = [], NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = page
    versions.push(...Versions.filter(({ Key }) => Key === key))
    for (const { Key, VersionId, LastModified } of DeleteMarkers) {
      if (Key === key && VersionId !== ignored) hiddenUpTo = Math.max(hiddenUpTo, LastModified?.getTime() ?? 0)
    }
    // Other keys come behind.
    next = page.IsTruncated && KeyMarker === key ? { KeyMarker, VersionIdMarker } : null
  }
  return versions.filter(({ IsLatest, LastModified }) => IsLatest || (LastModified?.getTime() ?? 0) > hiddenUpTo)
}

/**
 * Of an object in a bucket with versions, the one that stands: the first that is no placeholder. There can be others where the store
 * puts a version whatever the condition says, as Ceph's gateway 16 does; their writers see that they were second, and withdraw them
 * as far as a lock lets them. undefined: whichever the store gives, as we may not ask.
 */
export async function standing(
  bucket: Bucket,
  key: string,
  unable: readonly number[] = [403, 501],
): Promise<string | undefined> {
  try {
    const versions = await versionsOf(bucket, key)
    return (versions.findLast(({ Size }) => Size !== 0) ?? versions.at(-1))?.VersionId
  } catch (error) {
    if (isAnswer(error, ...unable)) return undefined
    throw error
  }
}

/**
 * The one that stands, of an object that was just put as one of several versions. Who may not ask cannot know whether that is their own,
 * so it is taken away again, as far as a lock lets it.
 * @param put that version, if the store has told
 */
export async function standingBeside(
  bucket: Bucket,
  key: string,
  put: string | undefined,
): Promise<string | undefined> {
  try {
    return await standing(bucket, key, [501])
  } catch (cause) {
    if (!isAnswer(cause, 403)) throw cause
    const own = new s3.DeleteObjectCommand({ Bucket: bucket.name, Key: key, VersionId: put })
    if (put !== undefined) await bucket.send(own).catch(() => {})
    throw new PcapRingError(
      'ERR_PCAP_ARCHIVE_UNAVAILABLE',
      `s3://${bucket.name}/${key} was put into a bucket with versions, and the credentials do not allow to see which one stands: allow s3:ListBucketVersions`,
      { cause },
    )
  }
}

/** Puts a delete marker over a placeholder that a lock keeps; over nothing else, whether or not the store looks at the condition. */
export async function hide(bucket: Bucket, key: string, placeholder: string | undefined): Promise<void> {
  const what = { Bucket: bucket.name, Key: key }
  try {
    const { VersionId } = await bucket.send(new s3.DeleteObjectCommand({ ...what, IfMatch: placeholder }))
    const hidden = await versionsOf(bucket, key, VersionId)
    if (hidden.some(({ Size }) => Size !== 0)) await bucket.send(new s3.DeleteObjectCommand({ ...what, VersionId }))
  } catch (error) {
    if (!isAnswer(error, 412)) throw error
  }
}
