import { promisify } from 'node:util'

import { type HostFacts, loadAddon } from './native.js'

export type { HostFacts } from './native.js'

/** Of this host, and of one of its devices. @throws {PcapRingError} `ERR_PCAP_NATIVE_MISSING` */
export const hostFacts = (device: string): HostFacts => loadAddon().host(device)

/**
 * Sends small datagrams to 127.0.0.1, the discard port, for `ms` at `pps`; 0: as many as go.
 * @throws {PcapRingError} `ERR_PCAP_NATIVE_MISSING`
 */
export function sendToLoopback(ms: number, pps: number): Promise<{ sent: number; tookMs: number }> {
  const { sendToLoopback } = loadAddon()
  return promisify(
    (done: (error: Error | null, sent: { sent: number; tookMs: number }) => void) =>
      void sendToLoopback(ms, pps, (error, sent, tookMs) => done(error, { sent, tookMs })),
  )()
}
