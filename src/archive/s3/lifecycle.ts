import type { BucketLifecycleConfiguration } from '@aws-sdk/client-s3'

const dayMs = 86_400_000
const tag = 'pcap-ring-retention-days'

const daysOf = (retentionMs: number): string => String(Math.ceil(retentionMs / dayMs))

/** What a capture is tagged with: whole days, rounded up. */
export const retentionTag = (retentionMs: number): Record<string, string> => ({ [tag]: daysOf(retentionMs) })

/** As `put-bucket-lifecycle-configuration` takes it. A day more, as the store counts from its own midnight. */
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
      },
      {
        ID: `pcap-ring ${prefix}: uploads that were left behind`,
        Status: 'Enabled',
        Filter: { Prefix: captures },
        AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
      },
    ],
  }
}
