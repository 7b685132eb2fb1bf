import { once } from 'node:events'
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'

import type { CaptureFormat } from '../types.js'
import { type Answer, answerFor, type Representation } from './http.js'

/** What the handler serves; known to be asked for with a link that holds. */
export interface Served extends Representation {
  id: string
  format: CaptureFormat
  /** The plain bytes; what is entered in the trail is entered before. */
  send(start: number, end: number): Promise<NodeJS.ReadableStream>
  close(): Promise<void>
}

export interface Serving {
  /** That the archive's base URL has. */
  path: string
  /** Finds what a request's link leads to, given all of the URL behind the archive's own; null: it is refused. */
  find: (link: string) => Promise<Served | null>
  /** The status for what is wrong with the archive, rather than with the request. */
  broken: (error: unknown) => number
  /** A client that takes nothing for so long is not there any more. */
  stalledAfterMs: number
}

/** tcpdump's is registered with IANA, pcapng's is what is in use. */
export const mediaType: Record<CaptureFormat, string> = {
  pcap: 'application/vnd.tcpdump.pcap',
  pcapng: 'application/x-pcapng',
}

const always = {
  'cache-control': 'private, no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

function end(res: ServerResponse, status: number, headers: OutgoingHttpHeaders = {}): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  const length = status === 304 ? {} : { 'content-length': 0 }
  res.writeHead(status, { ...always, ...headers, ...length })
  res.end()
}

function headersOf(answer: Answer, { id, format, bytes, etag, modifiedMs }: Served): OutgoingHttpHeaders {
  if (answer.status === 416) return { 'content-range': `bytes */${bytes}` }
  const validators = { etag, 'last-modified': new Date(modifiedMs).toUTCString() }
  if (answer.status === 304 || answer.status === 412) return validators
  const { start, end } = answer.part
  return {
    ...validators,
    'accept-ranges': 'bytes',
    'content-type': mediaType[format],
    'content-disposition': `attachment; filename="incident_${id}.${format}"`,
    'content-length': end - start,
    ...(answer.status === 206 && { 'content-range': `bytes ${start}-${end - 1}/${bytes}` }),
  }
}

async function serve(req: IncomingMessage, res: ServerResponse, served: Served, stalledAfterMs: number): Promise<void> {
  if (req.method !== 'GET' && req.method !== 'HEAD') return end(res, 405, { allow: 'GET, HEAD' })
  const answer = answerFor(req.headers, served)
  const headers = headersOf(answer, served)
  if (answer.status !== 200 && answer.status !== 206) return end(res, answer.status, headers)
  if (req.method === 'HEAD') {
    res.writeHead(answer.status, { ...always, ...headers })
    res.end()
    return
  }
  const stream = await served.send(answer.part.start, answer.part.end)
  res.writeHead(answer.status, { ...always, ...headers })
  res.setTimeout(stalledAfterMs, () => res.destroy())
  // What ends it early (a client that goes away, a damaged file) ends both, and is no error of the host's.
  await pipeline(stream, res).catch(() => {})
}

/** What lies elsewhere is for `next`, where there is one. */
export async function handle(
  req: IncomingMessage,
  res: ServerResponse,
  { path, find, broken, stalledAfterMs }: Serving,
  next: (() => void) | undefined,
): Promise<void> {
  // Express takes the path that it is mounted at off `url`.
  const { originalUrl } = req as { originalUrl?: unknown }
  const url = typeof originalUrl === 'string' ? originalUrl : (req.url ?? '')
  const ours = url.startsWith(`${path}/`)
  if (!ours && next !== undefined) return next()
  let served: Served | null = null
  try {
    // Of requests that a client sends without waiting for answers, each has its turn: nothing is opened for those that wait, as
    // nobody tells them when the client goes away.
    if (res.socket === null && !res.destroyed) await once(res, 'socket')
    served = await find(ours ? url.slice(path.length) : '')
    if (served === null) end(res, 403)
    else await serve(req, res, served, stalledAfterMs)
  } catch (error) {
    end(res, broken(error))
  } finally {
    await served?.close().catch(() => {})
  }
}
