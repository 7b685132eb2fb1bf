// A host of CommonJS that uses every entry point. Compiled, never run: each @ts-expect-error is what must not compile.

import events = require('node:events')
import sdk = require('@aws-sdk/client-s3')
import pcapRing = require('@flowtriq/pcap-ring')
import archives = require('@flowtriq/pcap-ring/archive')
import s3 = require('@flowtriq/pcap-ring/archive/s3')
import detect = require('@flowtriq/pcap-ring/detect')
import reports = require('@flowtriq/pcap-ring/report')
import testing = require('@flowtriq/pcap-ring/testing')

const { PcapRing, PcapRingError, devices } = pcapRing
const maybe: string | undefined = process.argv[2]

async function host(): Promise<void> {
  const ring: pcapRing.PcapRing = new PcapRing({ device: maybe, statsInterval: '250ms', cap: { bytes: 1_000 } })
  // @ts-expect-error: it is a number
  new PcapRing({ snaplen: '2048' })
  ring.on('stats', (figures) => {
    // @ts-expect-error: null in statistics-only mode
    figures.protocols.tcp
    if (figures.mode === 'capture') console.log(figures.protocols.tcp)
  })
  // @ts-expect-error: it gets an incident and its report
  ring.on('resolve', (_incident: pcapRing.Incident, report: string) => report)
  await ring.start()
  const incident = ring.freeze({ reason: 'said so' })
  const report: pcapRing.IncidentReport = await incident.resolve()
  console.log(report.statistics.peakPps.value, devices().length)

  const detector = new detect.FloodDetector({ pps: 50_000 })
  const [attack] = (await events.once(detector, 'attack')) as [detect.Attack]
  detector.on('clear', ({ vector }, report) => console.log(vector, attack.at, report?.packets))
  detector.watch(ring)

  const keys: archives.Key[] = [{ id: 'first', secret: new Uint8Array(32) }]
  const bucket = new s3.S3Archive({ client: new sdk.S3Client({}), bucket: 'captures', prefix: 'node-1/', keys })
  const local: archives.Archive = new archives.LocalArchive({ directory: 'archive', keys })
  await local.copyTo('id', bucket, { actor: 'noc' })
  console.log(reports.render(await reports.summarize('incident.pcap')))

  const recording = testing.encodePcap([{ time: new Date(), data: Buffer.alloc(60) }])
  for await (const { time } of testing.readPackets(recording)) console.log(time.length)
  await new PcapRing({ file: recording }).close()
}

host().catch((error: unknown) => {
  if (error instanceof PcapRingError) console.error(error.code)
})
