import { existsSync } from 'node:fs'

import { type Archive, type ArchiveOptions, LocalArchive } from '../archive/index.js'
import { CommandError } from './output.js'

/**
 * An archive in a directory, or in a bucket: `s3://BUCKET/PREFIX`. Credentials, region and endpoint of that come from where the SDK looks
 * for them (the environment, its files, the machine's role): never from the arguments, which every user of the machine sees.
 * @throws {CommandError}
 */
export async function archiveAt(place: string, options: ArchiveOptions, env: NodeJS.ProcessEnv): Promise<Archive> {
  const [, bucket, prefix] = /^s3:\/\/([^/]+)\/?(.*)$/s.exec(place) ?? []
  if (bucket !== undefined) return inBucket(bucket, prefix, options, env)
  if (/^s3:/.test(place)) throw new CommandError(`there is no bucket in ${place}; write s3://BUCKET/PREFIX`)
  return new LocalArchive({ directory: place, ...options })
}

/** Loaded here, as nobody else needs the SDK. */
async function inBucket(
  bucket: string,
  prefix: string | undefined,
  options: ArchiveOptions,
  env: NodeJS.ProcessEnv,
): Promise<Archive> {
  const { S3Archive } = await import('../archive/s3/index.js')
  const { s3 } = await import('../archive/s3/sdk.js')
  // A store of one's own seldom has a name for each bucket.
  const forcePathStyle = (env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL) !== undefined
  const client = new s3.S3Client({ forcePathStyle })
  await client.config.region().catch(() => {
    throw new CommandError(`s3://${bucket} needs a region; set AWS_REGION (us-east-1 for most stores of one's own)`)
  })
  return new S3Archive({ client, bucket, prefix, ...options })
}

/** That there is something to look at. A bucket tells that itself. */
export function expectPlace(place: string): void {
  if (!place.startsWith('s3:') && !existsSync(place)) {
    throw new CommandError(`there is no archive ${place}; write --archive DIR`)
  }
}
