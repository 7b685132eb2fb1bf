import type { RecordingReport } from '../../src/report/index.js'
import type { IncidentReport } from '../../src/types.js'

/** A complete report of a capped incident of three sections, `over` laid over it. */
export function exampleReport(over: Partial<IncidentReport> = {}): IncidentReport {
  const from = '2024-01-01T00:00:00.000000Z'
  const to = '2024-01-01T00:00:12.345678Z'
  const section = { bytes: 64_000, from, to, sampling: null }
  return {
    version: 1,
    id: '3f9a1c22',
    kind: 'incident',
    reason: 'inbound 52.1 kpps',
    labels: {},
    attack: null,
    source: 'device',
    mode: 'capture',
    file: '/var/captures/incident_3f9a1c22.pcap',
    format: 'pcap',
    linkType: 'EN10MB',
    snaplen: 2_048,
    filter: null,
    direction: 'both',
    bytes: 1_482_113,
    packets: 10_000,
    sha256: 'ab'.repeat(32),
    capped: 'packets',
    recovered: false,
    error: null,
    frozenAt: from,
    resolvedAt: to,
    duration: 12_345.678,
    from,
    to,
    sections: [
      { ...section, name: 'pre-buffer', packets: 500, firstFrame: 1, lastFrame: 500 },
      { ...section, name: 'attack', packets: 9_400, firstFrame: 501, lastFrame: 9_900 },
      { ...section, name: 'resolution', packets: 100, firstFrame: 9_901, lastFrame: 10_000 },
    ],
    coverage: {
      onsetAt: null,
      onsetSource: null,
      preOnsetPackets: 0,
      preOnsetSpan: 0,
      complete: true,
      gaps: [],
      clock: { backSteps: 0, largestBackStep: 0 },
    },
    loss: { kernel: 0, interface: 0, writer: 0 },
    statistics: {
      packets: 640_000,
      bytes: 40_960_000,
      peakPps: { value: 52_100, at: to },
      peakBps: { value: 26_675_200, at: to },
      protocols: { tcp: 0, udp: 640_000, icmp: 0, other: 0 },
      tcpFlags: { syn: 0, synack: 0, ack: 0, rst: 0, fin: 0 },
      fragments: 0,
      timeline: [],
    },
    traffic: {
      protocols: { tcp: 0, udp: 10_000, icmp: 0, other: 0 },
      tcpFlags: { syn: 0, synack: 0, ack: 0, rst: 0, fin: 0 },
      fragments: 0,
      sizes: [64, 127, 255, 511, 1_023, 1_518, 9_018, null].map((upTo) => ({
        upTo,
        packets: upTo === 64 ? 10_000 : 0,
      })),
      sources: {
        count: 1,
        estimated: false,
        top: [{ address: '192.0.2.1', packets: 10_000, bytes: 640_000 }],
        other: 0,
      },
      destinations: {
        count: 1,
        estimated: false,
        top: [{ address: '192.0.2.2', packets: 10_000, bytes: 640_000 }],
        other: 0,
      },
      ports: [
        { proto: 'udp', side: 'source', port: 53, packets: 10_000 },
        { proto: 'udp', side: 'destination', port: 80, packets: 10_000 },
      ],
      timeline: [],
    },
    custody: {
      host: { hostname: 'edge1', bootId: '00000000-0000-0000-0000-000000000000', kernel: '6.1.0' },
      software: { version: '0.1.0', libpcap: '1.10.3', node: '20.20.2' },
      device: null,
      clock: { synchronised: true, maxErrorUs: 500 },
    },
    ...over,
  }
}

/** A complete report of a recording that no report came with, `over` laid over it. */
export function exampleRecording(over: Partial<RecordingReport> = {}): RecordingReport {
  const { traffic, from, to } = exampleReport() as IncidentReport & { traffic: NonNullable<IncidentReport['traffic']> }
  return {
    version: 1,
    kind: 'recording',
    id: 'x',
    file: '/tmp/x.pcap',
    format: 'pcap',
    linkTypes: [{ name: 'EN10MB', packets: 10_000 }],
    bytes: 800_024,
    packets: 10_000,
    sha256: 'cd'.repeat(32),
    error: null,
    from,
    to,
    duration: 12_345.678,
    sections: [
      {
        name: 'recording',
        packets: 10_000,
        bytes: 640_000,
        from: from as string,
        to: to as string,
        firstFrame: 1,
        lastFrame: 10_000,
        sampling: null,
      },
    ],
    traffic: { ...traffic, timeline: [] },
    ...over,
  }
}
