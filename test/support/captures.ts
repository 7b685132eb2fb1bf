import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const directory = process.env.PCAP_RING_CAPTURES

/** Why the real captures are not there; false when they are. For tap's `skip`. */
export const noCaptures: string | false =
  directory === undefined
    ? 'PCAP_RING_CAPTURES is not set to the directory of the real captures'
    : existsSync(join(directory, 'INDEX.tsv'))
      ? false
      : `PCAP_RING_CAPTURES: there is no INDEX.tsv in ${directory}`

/** Path of a real capture. */
export function capturePath(name: string): string {
  return join(directory ?? '', name)
}

/** Names of all of them. */
export function captureNames(): string[] {
  return readFileSync(capturePath('INDEX.tsv'), 'utf8')
    .split('\n')
    .slice(1)
    .filter(Boolean)
    .map((line) => line.split('\t')[0] as string)
}
