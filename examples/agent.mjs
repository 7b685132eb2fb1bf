import { PcapRing } from '@flowtriq/pcap-ring'
import { FloodDetector } from '@flowtriq/pcap-ring/detect'

const ring = new PcapRing({ device: process.argv[2], keep: { age: '7d' } })
const detector = new FloodDetector()

ring.on('warning', (error) => console.warn(error.message))
detector.on('attack', ({ vector, severity, pps }, incident) => {
  console.log(`${vector}, ${severity}, ${Math.round(pps)} packets a second: ${incident?.file}`)
})
detector.on('clear', ({ vector }, report) => {
  console.log(`${vector}, over: ${report?.packets} packets, ${report?.loss.kernel} lost, in ${report?.file}`)
  for (const { name, packets, from, to } of report?.sections ?? []) console.log(name, packets, from, to)
})

detector.watch(ring)
await ring.start()
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => ring.close())
console.log(`watching ${ring.device}`)
