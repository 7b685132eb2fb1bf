// A reader of sealed captures, written from docs/archive.md alone: it shares no code with src/archive.

import { createDecipheriv, hkdfSync } from 'node:crypto'

const CHUNK = 65_536

function openGcm(key: Buffer, nonce: Buffer, sealed: Buffer, aad?: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce)
  if (aad !== undefined) decipher.setAAD(aad)
  decipher.setAuthTag(sealed.subarray(-16))
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
}

export function readSealed(
  file: Buffer,
  id: string,
  secret: Buffer,
): { head: Record<string, unknown>; report: string; capture: Buffer } {
  if (file.subarray(0, 8).toString('hex') !== '895052410d0a1a0a') throw new Error('no sealed capture')
  const length = file.readUInt32BE(8)
  const clear = file.subarray(0, 12 + length)
  const wrapKey = Buffer.from(hkdfSync('sha256', secret, '', 'pcap-ring archive v1 wrap', 32))
  const nonce = file.subarray(12 + length, 24 + length)
  const dataKey = openGcm(wrapKey, nonce, file.subarray(24 + length, 72 + length), clear)
  const head = JSON.parse(clear.toString('utf8', 12)) as Record<string, unknown>
  if (head.id !== id) throw new Error('another capture')

  const size = Number(head.report) + Number(head.bytes)
  const chunks = Math.max(1, Math.ceil(size / CHUNK))
  if (file.length !== 72 + length + size + 16 * chunks) throw new Error('cut or lengthened')
  const plain: Buffer[] = []
  for (let i = 0; i < chunks; i++) {
    const at = 72 + length + i * (CHUNK + 16)
    const chunkNonce = Buffer.alloc(12)
    chunkNonce.writeUInt32BE(i, 7)
    chunkNonce[11] = i === chunks - 1 ? 1 : 0
    plain.push(openGcm(dataKey, chunkNonce, file.subarray(at, at + CHUNK + 16)))
  }
  const all = Buffer.concat(plain)
  const report = all.toString('utf8', 0, Number(head.report))
  return { head, report, capture: all.subarray(Number(head.report)) }
}
