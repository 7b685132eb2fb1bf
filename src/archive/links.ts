import { createHmac, timingSafeEqual } from 'node:crypto'

import type { ArchiveKey, KeyRing } from './keys.js'

/**
 * `/<id>?expires=<ms>&actor=<whom>&key=<key id>&signature=<…>`. The signature is an HMAC-SHA-256 of all before it, as it stands
 * there: no character of a link can be changed, and none can be written in two ways.
 */

export interface Link {
  id: string
  actor: string
  expiresMs: number
}

const pattern =
  /^\/(?<id>[A-Za-z0-9._-]{1,64})\?expires=(?<expires>\d{1,15})&actor=(?<actor>[^&?#]{1,768})&key=(?<key>[A-Za-z0-9._-]{1,64})$/
const before = '&signature='

const signatureOf = (text: string, key: ArchiveKey): string =>
  createHmac('sha256', key.sign).update(`pcap-ring link v1\n${text}`).digest('base64url')

/** Without what some clients write otherwise: a browser makes `%27` of an apostrophe. */
const encoded = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)

export function writeLink({ id, actor, expiresMs }: Link, key: ArchiveKey): string {
  const text = `/${id}?expires=${expiresMs}&actor=${encoded(actor)}&key=${key.id}`
  return `${text}${before}${signatureOf(text, key)}`
}

/** What a link says, once it is found to be one of ours; whether it has expired is the caller's question. null: it is none. */
export function readLink(link: string, keys: KeyRing): Link | null {
  const end = link.lastIndexOf(before)
  const text = link.slice(0, Math.max(0, end))
  const said = pattern.exec(text)?.groups as { id: string; expires: string; actor: string; key: string } | undefined
  const key = said && keys.get(said.key)
  // With a key that is not there, or no link at all, it takes as long.
  const wanted = Buffer.from(signatureOf(text, key ?? keys.first))
  const given = Buffer.from(link.slice(end + before.length))
  const equal = given.length === wanted.length && timingSafeEqual(given, wanted)
  if (said === undefined || key === undefined || !equal) return null
  return { id: said.id, actor: decodeURIComponent(said.actor), expiresMs: Number(said.expires) }
}
