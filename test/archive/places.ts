// Where an archive can lie, for tests that hold wherever it does; and what is behind it, for those that damage it.

import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'

import { type Archive, type ArchiveOptions, LocalArchive } from '../../src/archive/index.js'
import { S3Archive } from '../../src/archive/s3/index.js'
import { clientOf, type Gateway } from '../support/rgw.js'
import { keyOf, scratch } from './support.js'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** One archive's. Names are of files, or of objects. */
export interface Place {
  archive(options?: Partial<ArchiveOptions>): Archive
  /** The name of a capture. */
  capture(id: string): string
  location(id: string): string
  names(): Promise<string[]>
  read(name: string): Promise<Buffer>
  /** Over what is there, as somebody with access to the store can. */
  write(name: string, bytes: Uint8Array | string): Promise<void>
  remove(name: string): Promise<void>
}

export interface Backend {
  name: string
  place(t: Teardown): Promise<Place>
  /** Whether what was opened can be read to its end, though it is removed meanwhile. */
  readsOn: boolean
}

export const localBackend: Backend = {
  name: 'LocalArchive',
  readsOn: true,
  async place(t) {
    const directory = join(scratch(t), 'archive')
    const key = keyOf()
    const at = (name: string): string => join(directory, name)
    return {
      archive: (options = {}) => new LocalArchive({ directory, keys: [key], ...options }),
      capture: (id) => `${id}.sealed`,
      location: (id) => at(`${id}.sealed`),
      async names() {
        const entries = readdirSync(directory, { recursive: true, withFileTypes: true })
        return entries
          .filter((entry) => entry.isFile())
          .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
          .sort()
      },
      read: async (name) => readFileSync(at(name)),
      async write(name, bytes) {
        rmSync(at(name), { force: true })
        mkdirSync(dirname(at(name)), { recursive: true })
        writeFileSync(at(name), bytes)
      },
      remove: async (name) => rmSync(at(name)),
    }
  },
}

/** A prefix of its own for each place, of one bucket; and a client, as each remembers how far its clock is off. */
export function s3Backend(gateway: Gateway, Bucket: string): Backend {
  let places = 0
  return {
    name: 'S3Archive',
    readsOn: false,
    async place(t) {
      const client = clientOf(t, gateway)
      const prefix = `node-${++places}/`
      const key = keyOf()
      return {
        archive: (options = {}) => new S3Archive({ client, bucket: Bucket, prefix, keys: [key], ...options }),
        capture: (id) => `captures/${id}`,
        location: (id) => `s3://${Bucket}/${prefix}captures/${id}`,
        names: () => namesIn(client, Bucket, prefix),
        async read(name) {
          const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: prefix + name }))
          return Buffer.from((await Body?.transformToByteArray()) ?? [])
        },
        async write(name, bytes) {
          await client.send(new PutObjectCommand({ Bucket, Key: prefix + name, Body: Buffer.from(bytes) }))
        },
        async remove(name) {
          await client.send(new DeleteObjectCommand({ Bucket, Key: prefix + name }))
        },
      }
    },
  }
}

/** Without the prefix. */
export async function namesIn(client: S3Client, Bucket: string, prefix = ''): Promise<string[]> {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix }))
  return Contents.map(({ Key = '' }) => Key.slice(prefix.length)).sort()
}
