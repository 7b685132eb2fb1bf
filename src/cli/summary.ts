import { linkTypeName } from '../formats/link-types.js'
import { RecordingReader } from '../formats/recording-reader.js'
import { formatTime } from '../time.js'
import type { Precision } from '../types.js'
import { CommandError } from './output.js'

/** What reading a recording tells; all about the part that could be read. */
export interface RecordingSummary {
  file: string
  /** null: neither of the two, or too short to tell. */
  format: 'pcap' | 'pcapng' | null
  /** Of the file. */
  bytes: number
  packets: number
  /** Smallest and largest packet time; packets without one are left out. */
  from: string | null
  to: string | null
  /** From the smallest time to the largest, ms. */
  duration: number | null
  /** Every link type the file declares, in order of appearance. */
  linkTypes: { name: string; packets: number }[]
  /** Where it ended and why, if it is damaged. */
  error: string | null
}

/** @throws {CommandError} if the system does not let it be read */
export async function summarise(file: string, bytes: number): Promise<RecordingSummary> {
  const reader = new RecordingReader(file)
  const perLinkType = new Map<number, number>()
  let packets = 0
  let least: bigint | null = null
  let most: bigint | null = null
  let precision: Precision = 'micro'
  let error: string | null = null
  try {
    for await (const packet of reader) {
      packets += 1
      perLinkType.set(packet.linkType, (perLinkType.get(packet.linkType) ?? 0) + 1)
      if (packet.precision === 'nano') precision = 'nano'
      // Simple packet blocks of a pcapng have no time.
      if (packet.timeNs === 0n && reader.format === 'pcapng') continue
      if (least === null || packet.timeNs < least) least = packet.timeNs
      if (most === null || packet.timeNs > most) most = packet.timeNs
    }
  } catch (thrown) {
    const { code, errno, message } = thrown as NodeJS.ErrnoException
    // What the system refused is a failure; what the file lacks is its summary.
    if (code !== 'ERR_PCAP_BAD_FILE' || errno !== undefined) throw new CommandError(message)
    error = message
  }
  return {
    file,
    format: reader.format,
    bytes,
    packets,
    from: least === null ? null : formatTime(least, precision),
    to: most === null ? null : formatTime(most, precision),
    duration: least === null || most === null ? null : Number(most - least) / 1e6,
    linkTypes: [...reader.linkTypes].map((type) => ({ name: linkTypeName(type), packets: perLinkType.get(type) ?? 0 })),
    error,
  }
}
