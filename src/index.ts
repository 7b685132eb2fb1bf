export { PcapRingError, type PcapRingErrorCode, type PcapRingErrorOptions } from './errors.js'
export { Incident, type IncidentState } from './incident.js'
export { devices, PcapRing } from './pcap-ring.js'
export type * from './types.js'
