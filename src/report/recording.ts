import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, extname, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'

import { linkTypeName } from '../formats/link-types.js'
import { RecordingReader } from '../formats/recording-reader.js'
import { formatTime } from '../time.js'
import type { Precision } from '../types.js'
import { TrafficTally } from './traffic-tally.js'
import type { RecordingReport } from './types.js'

/** @throws {PcapRingError} `ERR_PCAP_BAD_FILE` with `errno` if the system does not let it be read */
export async function readRecording(file: string): Promise<RecordingReport> {
  const reader = new RecordingReader(file)
  const tally = new TrafficTally()
  const perLinkType = new Map<number, number>()
  let packets = 0
  let bytesOnWire = 0
  let least: bigint | null = null
  let most: bigint | null = null
  let precision: Precision = 'micro'
  let error: string | null = null
  try {
    for await (const packet of reader) {
      packets += 1
      bytesOnWire += packet.length
      perLinkType.set(packet.linkType, (perLinkType.get(packet.linkType) ?? 0) + 1)
      if (packet.precision === 'nano') precision = 'nano'
      // Simple packet blocks of a pcapng have no time.
      const timed = packet.timeNs !== 0n || reader.format !== 'pcapng'
      tally.add(packet, timed)
      if (!timed) continue
      if (least === null || packet.timeNs < least) least = packet.timeNs
      if (most === null || packet.timeNs > most) most = packet.timeNs
    }
  } catch (thrown) {
    const { code, errno, message } = thrown as NodeJS.ErrnoException
    // What the system refused is a failure; what the file lacks is its report.
    if (code !== 'ERR_PCAP_BAD_FILE' || errno !== undefined) throw thrown
    error = message
  }
  const from = least === null ? null : formatTime(least, precision)
  const to = most === null ? null : formatTime(most, precision)
  const section = {
    name: 'recording',
    packets,
    bytes: bytesOnWire,
    firstFrame: 1,
    lastFrame: packets,
    sampling: null,
  } as const
  return {
    version: 1,
    kind: 'recording',
    id: basename(file, extname(file)),
    file: resolve(file),
    format: reader.format,
    linkTypes: [...reader.linkTypes].map((type) => ({ name: linkTypeName(type), packets: perLinkType.get(type) ?? 0 })),
    bytes: (await stat(file)).size,
    packets,
    sha256: await sha256Of(file),
    error,
    from,
    to,
    duration: least === null || most === null ? null : Number(most - least) / 1e6,
    sections: from === null || to === null ? [] : [{ ...section, from, to }],
    traffic: tally.result(precision),
  }
}

/** Of a file, hexadecimal. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}
