import { setTimeout as delay } from 'node:timers/promises'

import type { S3Client, ServiceInputTypes, ServiceOutputTypes } from '@aws-sdk/client-s3'

import { PcapRingError } from '../../errors.js'

/** One of the SDK's: what is asked, and what is answered. Its own type is in a package that nobody has to have. */
interface Command<I, O> {
  readonly input: I
  resolveMiddleware(stack: never, configuration: never, options: never): (args: { input: I }) => Promise<{ output: O }>
}

interface Answer {
  name: string
  status: number | undefined
}

/** What the store said, or null where it said nothing. */
const answers = new WeakMap<PcapRingError, Answer>()

/**
 * What the SDK threw, without what hangs on it: requests and answers hold signatures, and providers of credentials may say
 * anything. A message is repeated where it came from the store or from the system.
 */
function told(error: unknown): { text: string; answer: Answer; errno?: number; syscall?: string } {
  const { name, message, $metadata, errno, syscall, code } = error as NodeJS.ErrnoException & {
    $metadata?: { httpStatusCode?: number }
  }
  const status = $metadata?.httpStatusCode
  const said = status === undefined ? code !== undefined : !/^(UnknownError|Unknown)?$/.test(message ?? '')
  const kind = status === undefined ? (code ?? name) : `${name}, HTTP ${status}`
  return {
    text: said && message ? `${kind}: ${message}` : kind,
    answer: { name: String(name), status },
    ...(typeof errno === 'number' && { errno }),
    ...(typeof syscall === 'string' && { syscall }),
  }
}

/** Whether the store answered so. */
export function isAnswer(error: unknown, ...what: (string | number)[]): boolean {
  const answer = error instanceof PcapRingError ? answers.get(error) : undefined
  return answer !== undefined && (what.includes(answer.name) || what.includes(answer.status ?? Number.NaN))
}

/** There is no such object; but the bucket is there, as far as the answer tells. */
export const isAbsent = (error: unknown): boolean => isAnswer(error, 404) && !isAnswer(error, 'NoSuchBucket')

/** The store said nothing, or not all of it. */
export const isBrokenOff = (error: unknown): boolean =>
  error instanceof PcapRingError && answers.has(error) && answers.get(error)?.status === undefined

const attempts = 5
const pauseMs = 20

/** A bucket: what it refuses, and that it is away, is `ERR_PCAP_ARCHIVE_UNAVAILABLE`. */
export class Bucket {
  readonly client: S3Client
  readonly name: string

  constructor(client: S3Client, name: string) {
    this.client = client
    this.name = name
  }

  /** @throws the signal's reason, once it has fired */
  async send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: Command<I, O>,
    signal?: AbortSignal,
  ): Promise<O> {
    try {
      return await this.client.send(command as never, signal === undefined ? {} : { abortSignal: signal })
    } catch (error) {
      signal?.throwIfAborted()
      throw this.unavailable(error)
    }
  }

  /** What makes an object. Where others take versions of it away, Ceph's gateway may say that there is none. */
  async put<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: Command<I, O>,
    signal?: AbortSignal,
  ): Promise<O> {
    let absent: unknown
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.send(command, signal)
      } catch (error) {
        // Of an upload that it had completed all the same.
        if (isAnswer(error, 'NoSuchUpload')) throw absent ?? error
        if (!isAbsent(error) || attempt === attempts) throw error
        absent = error
        await delay(pauseMs * attempt)
      }
    }
  }

  unavailable(error: unknown): PcapRingError {
    const { text, answer, errno, syscall } = told(error)
    const remedy = 'see that it is there, that the credentials are right, and that they allow this'
    const ours = new PcapRingError('ERR_PCAP_ARCHIVE_UNAVAILABLE', `the bucket ${this.name}: ${text}; ${remedy}`, {
      errno,
      syscall,
    })
    answers.set(ours, answer)
    return ours
  }
}
