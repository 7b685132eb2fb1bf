export { PcapRingError, type PcapRingErrorCode } from './errors.js'
export { Incident, type IncidentState } from './incident.js'
export { devices, PcapRing } from './pcap-ring.js'
export type * from './types.js'
