// A real S3 server, and clients of it.

import { randomUUID } from 'node:crypto'

import { CreateBucketCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'

import { repository } from './host.js'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** As scripts/rgw.cjs starts one. */
export interface Gateway {
  endpoint: string
  credentials: { accessKeyId: string; secretAccessKey: string }
  /** The id of a key that its key service has. */
  kmsKey: string
  bytesAtRest(bucket: string, key: string): Promise<Buffer[]>
}

/** One that can be stopped, and started again with what it stored. */
export interface OwnGateway extends Gateway {
  pause(): Promise<void>
  resume(): Promise<void>
  stop(): Promise<void>
}

const { bytesAtRestIn, startRgw } = require(`${repository}/scripts/rgw.cjs`) as {
  bytesAtRestIn(directory: string): Gateway['bytesAtRest']
  startRgw(): Promise<OwnGateway>
}
const { whyNoStore } = require(`${repository}/scripts/bootstrap.cjs`) as { whyNoStore(): string | null }

/** Why there can be no server here; false: there can. `npm test` installs it where it may. */
export const rgwSkip: string | false = whyNoStore() ?? false

/** The one that scripts/test.cjs has started for all test files; one for this file, where it has not. */
export async function startGateway(t: Teardown): Promise<Gateway> {
  const shared = process.env.PCAP_RING_GATEWAY
  if (shared === undefined) return startOwnGateway(t)
  const { directory, ...told } = JSON.parse(shared) as Omit<Gateway, 'bytesAtRest'> & { directory: string }
  return { ...told, bytesAtRest: bytesAtRestIn(directory) }
}

export async function startOwnGateway(t: Teardown): Promise<OwnGateway> {
  const gateway = await startRgw()
  t.teardown(() => gateway.stop())
  return gateway
}

export function clientOf(t: Teardown, gateway: Gateway, options: S3ClientConfig = {}): S3Client {
  const { endpoint, credentials } = gateway
  const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials, ...options })
  t.teardown(() => client.destroy())
  return client
}

/** As a store says no, thrown by the middleware of a client. */
export const refusal = (name: string, httpStatusCode: number) =>
  Object.assign(new Error(name), { name, $metadata: { httpStatusCode } })

interface Listing {
  Contents?: { LastModified?: Date }[]
  Uploads?: { Initiated?: Date }[]
  Parts?: { LastModified?: Date }[]
}

/** A client for which all that is listed was put or begun two hours ago; parts too, but for `freshParts`. */
export function agedClient(t: Teardown, gateway: Gateway, { freshParts = false } = {}): S3Client {
  const client = clientOf(t, gateway)
  const hoursAgo = (date: Date | undefined): Date => new Date((date?.getTime() ?? 0) - 2 * 3_600_000)
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args)
      const { Contents = [], Uploads = [], Parts = [] } = result.output as Listing
      for (const one of [...Contents, ...(freshParts ? [] : Parts)]) one.LastModified = hoursAgo(one.LastModified)
      for (const one of Uploads) one.Initiated = hoursAgo(one.Initiated)
      return result
    },
    { step: 'initialize' },
  )
  return client
}

/** A new bucket. It goes with the server, which other files may share. */
export async function bucketOf(client: S3Client, { locked = false } = {}): Promise<string> {
  const Bucket = `bucket-${randomUUID()}`
  await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: locked }))
  return Bucket
}
