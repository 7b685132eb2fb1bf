// A span for each attack, from its first packet to its end, with the incident's sections as events.
//
//   node opentelemetry.mjs eth0
import { PcapRing } from '@flowtriq/pcap-ring'
import { FloodDetector } from '@flowtriq/pcap-ring/detect'
import { trace } from '@opentelemetry/api'
import { BasicTracerProvider, ConsoleSpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'

// In place of what your service has: an OTLP exporter, and its resource.
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(new ConsoleSpanExporter())] })
trace.setGlobalTracerProvider(provider)

const tracer = trace.getTracer('pcap-ring')
const ring = new PcapRing({ device: process.argv[2] })
const detector = new FloodDetector()
ring.on('warning', (error) => console.warn(error.message))

let span
detector.on('attack', ({ at, onsetAt, vector, severity, cause }, incident) => {
  span = tracer.startSpan('flood', {
    startTime: new Date(onsetAt ?? at),
    attributes: {
      'network.interface.name': ring.device ?? undefined,
      'flood.vector': vector,
      'flood.severity': severity,
      'flood.cause': cause,
      'incident.id': incident?.id,
      'incident.file': incident?.file ?? undefined,
    },
  })
  span.addEvent('attack found', {}, new Date(at))
})
detector.on('clear', ({ vector, severity, pps, bps }, report) => {
  // Now it is known what the packets were, and how high it went.
  span.setAttributes({
    'flood.vector': vector,
    'flood.severity': severity,
    'flood.peak.pps': pps,
    'flood.peak.bps': bps,
  })
  for (const { name, packets, bytes, from } of report?.sections ?? []) {
    span.addEvent(name, { packets, bytes }, new Date(from))
  }
  if (report !== null) {
    span.setAttributes({ 'incident.packets': report.packets, 'incident.sha256': report.sha256 ?? undefined })
    span.setAttribute('incident.loss', report.loss.kernel)
  }
  span.end(report === null ? undefined : new Date(report.resolvedAt))
})

detector.watch(ring)
await ring.start()
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, async () => {
    await ring.close()
    await provider.shutdown()
  })
}
console.log(`tracing attacks on ${ring.device}`)
