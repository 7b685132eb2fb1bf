// What a ring sees, and what its detector finds, as metrics for Prometheus.
//
//   node prometheus.mjs eth0    # on http://127.0.0.1:9464/metrics
import { createServer } from 'node:http'
import { PcapRing } from '@flowtriq/pcap-ring'
import { FloodDetector } from '@flowtriq/pcap-ring/detect'
import { Counter, Gauge, register } from 'prom-client'

const ring = new PcapRing({ device: process.argv[2] })
const detector = new FloodDetector()
ring.on('warning', (error) => console.warn(error.message))
detector.watch(ring)

/** Read when Prometheus asks: of the last interval. What nobody knows, as in statistics-only mode, is NaN. */
function gauge(name, help, value) {
  new Gauge({
    name: `pcap_ring_${name}`,
    help,
    collect() {
      this.set(value(ring.stats()) ?? Number.NaN)
    },
  })
}
gauge('inbound_packets_per_second', 'Inbound packets a second', ({ inbound }) => inbound.pps)
gauge('inbound_bits_per_second', 'Inbound bits a second', ({ inbound }) => inbound.bps)
gauge('sampling', 'The kernel keeps 1 of so many packets', ({ sampling }) => sampling)
gauge('span_seconds', 'How far back the packets in memory reach', ({ ring }) => ring && ring.span / 1_000)
gauge('baseline_packets_per_second', 'Inbound packets a second that are normal', () => detector.baseline?.pps)
gauge('attack_packets_per_second', 'Inbound packets a second that would be an attack', () => detector.thresholds.pps)
gauge('incidents', 'Open incidents', () => ring.incidents.length)

/** The ring counts since its start, as Prometheus wants it. */
function counter(name, help, value) {
  const collect = function () {
    this.reset()
    this.inc(value(ring.stats().total) ?? 0)
  }
  new Counter({ name: `pcap_ring_${name}_total`, help, collect })
}
counter('packets', 'Packets seen, estimated where they are sampled', ({ packets }) => packets)
counter('bytes', 'Their bytes', ({ bytes }) => bytes)
counter('kernel_lost_packets', 'Packets that the kernel dropped', ({ kernelLoss }) => kernelLoss)

const labelNames = ['vector', 'severity']
const attacks = new Counter({ name: 'pcap_ring_attacks_total', help: 'Attacks found', labelNames })
const recorded = new Counter({ name: 'pcap_ring_incident_packets_total', help: 'Packets in files of incidents' })
detector.on('attack', ({ vector, severity }) => attacks.inc({ vector, severity }))
ring.on('resolve', (_incident, report) => recorded.inc(report.packets))

const server = createServer(async (req, res) => {
  if (req.url !== '/metrics') return res.writeHead(404).end()
  res.writeHead(200, { 'content-type': register.contentType }).end(await register.metrics())
})
await ring.start()
const port = Number(process.env.PORT ?? 9464)
server.listen(port, '127.0.0.1', () => console.log(`metrics of ${ring.device} on port ${port}`))
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    server.close()
    ring.close()
  })
}
