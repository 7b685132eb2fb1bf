import type { BucketLifecycleConfiguration } from '@aws-sdk/client-s3'

const dayMs = 86_400_000
const tag = 'pcap-ring-retention-days'

const daysOf = (retentionMs: number): string => String(Math.ceil(retentionMs / dayMs))

/** What a capture is tagged with: whole days, rounded up. */
export const retentionTag = (retentionMs: number): Record<string, string> => ({ [tag]: daysOf(retentionMs) })

/**
 * As `put-bucket-lifecycle-configuration` takes it. A day more, as the store counts from its own midnight. In a bucket with versions a
 * marker hides what has expired; its version goes when the same days have passed since it was the newest. Not sooner: what somebody put
 * something over is the newest no more, but stands.
 */
export function lifecycleOf(prefix: string, retentionMs: number): BucketLifecycleConfiguration {
  const days = daysOf(retentionMs)
  const captures = `${prefix}captures/`
  return {
    Rules: [
      {
        ID: `pcap-ring ${prefix}: captures kept for ${days} days`,
        Status: 'Enabled',
        Filter: { And: { Prefix: captures, Tags: [{ Key: tag, Value: days }] } },
        Expiration: { Days: Number(days) + 1 },
        NoncurrentVersionExpiration: { NoncurrentDays: Number(days) + 1 },
      },
      {
        ID: `pcap-ring ${prefix}: uploads and markers that were left behind`,
        Status: 'Enabled',
        Filter: { Prefix: captures },
        Expiration: { ExpiredObjectDeleteMarker: true },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
      },
    ],
  }
}
