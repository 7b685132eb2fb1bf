// A host of ES modules that uses every entry point. Compiled, never run: each @ts-expect-error is what must not compile.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { S3Client } from '@aws-sdk/client-s3'
import {
  type ArchivedCapture,
  type ArchiveSink,
  devices,
  type Incident,
  type IncidentReport,
  PcapRing,
  PcapRingError,
  type PcapRingErrorCode,
  type PcapRingOptions,
  type Section,
  type Stats,
} from '@flowtriq/pcap-ring'
import { type Archive, type AuditEntry, type Key, LocalArchive } from '@flowtriq/pcap-ring/archive'
import { S3Archive } from '@flowtriq/pcap-ring/archive/s3'
import { type Attack, type DetectorState, FloodDetector } from '@flowtriq/pcap-ring/detect'
import { type RecordingReport, render, summarize } from '@flowtriq/pcap-ring/report'
import { encodePcap, type ReadPacket, readPackets, stats } from '@flowtriq/pcap-ring/testing'

const maybe: string | undefined = process.argv[2]

class Store implements ArchiveSink {
  async put({ file, report }: { file: string; report: IncidentReport }): Promise<ArchivedCapture> {
    const { id, bytes, sha256 } = report
    if (sha256 === null) throw new Error('without a digest')
    return { id, location: file, bytes, sha256, storedAt: report.resolvedAt, retainedUntil: report.resolvedAt }
  }
}

// A value that is undefined stands for one that is not given, under exactOptionalPropertyTypes, too.
const options: PcapRingOptions = {
  device: maybe,
  filter: undefined,
  cap: { packets: 1_000, duration: '30s' },
  keep: { age: '7d' },
  archive: new Store(),
}
const ring = new PcapRing(options)
// @ts-expect-error: it is a number
new PcapRing({ snaplen: '2048' })
// @ts-expect-error: there is no such unit
new PcapRing({ statsInterval: '250us' })
// @ts-expect-error: there is no such option
new PcapRing({ devise: 'lo' })

ring.on('stats', (figures: Stats) => {
  // @ts-expect-error: null in statistics-only mode
  figures.protocols.tcp
  if (figures.mode === 'capture') console.log(figures.protocols.tcp, figures.inbound.pps, figures.ring.oldest)
  else console.log(figures.loss.interface, figures.protocols satisfies null)
})
ring.on('warning', (error) => console.warn(error.code satisfies PcapRingErrorCode, error.errno, error.syscall))
ring.on('flush', (incident, sections) => console.log(incident.id, sections.map(({ name }: Section) => name)))
ring.on('cap', (_incident, reason) => console.log(reason satisfies 'packets' | 'bytes' | 'duration'))
// @ts-expect-error: it gets an incident and its report
ring.on('resolve', (_incident: Incident, report: string) => report)

await ring.start({ signal: AbortSignal.timeout(1_000) })
const incident: Incident = ring.freeze({ reason: 'said so', labels: { customer: '17' }, since: new Date() })
const flushed: Section[] = await incident.flushed
const report: IncidentReport = await incident.resolve()
// @ts-expect-error: may be null
const digest: string = report.sha256
console.log(flushed, digest, report.coverage.gaps.length, devices()[0]?.addresses)
ring.capture({ signal: AbortSignal.timeout(1_000) })
await ring.dump('ring.pcap')
await ring.close()
await ring[Symbol.asyncDispose]()
try {
  ring.freeze()
} catch (error) {
  if (error instanceof PcapRingError) console.log(error.code)
}

const state: DetectorState | undefined = undefined
const detector = new FloodDetector({ bps: 1e9, baseline: null, state })
detector.on('attack', ({ vector, severity }: Attack, incident) => console.log(vector, severity, incident?.file))
const [attack] = (await once(detector, 'attack')) as [Attack]
const watching = detector.watch(ring)
watching[Symbol.dispose]()
const { change } = detector.update(stats({ inbound: { pps: 10 } }))
console.log(attack.baseline.pps, change satisfies 'attack' | 'clear' | null)

const keys: Key[] = [{ id: 'first', secret: new Uint8Array(32) }]
const archives: Archive[] = [
  new LocalArchive({ directory: 'archive', keys, retention: '30d', baseUrl: maybe }),
  new S3Archive({ client: new S3Client({}), bucket: 'captures', prefix: 'node-1/', keys, encryption: { kms: 'key' } }),
]
for (const archive of archives) {
  for await (const { id } of archive.list()) {
    const { url } = await archive.sign(id, { actor: 'noc', expiresIn: '1h' })
    console.log(url)
  }
  const entries: AuditEntry[] = []
  for await (const entry of archive.audit.entries()) entries.push(entry)
  const body: NodeJS.ReadableStream = await archive.open('id', { actor: 'noc', range: { start: 0, end: 9 } })
  body.pipe(process.stdout)
  createServer(archive.handler()).listen(8080)
}

const summary: IncidentReport | RecordingReport = await summarize('incident.pcap')
console.log(render(summary, { format: 'markdown' }))

const recording: Uint8Array = encodePcap([{ time: 0, data: new Uint8Array(60), length: undefined }])
for await (const packet of readPackets(recording)) console.log((packet satisfies ReadPacket).data.length)
