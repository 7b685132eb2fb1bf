// Incidents over HTTP: a list of them, the report page of each, and links to the captures that expire.
//
//   ARCHIVE_KEY=$(openssl rand -base64 32) node express.mjs eth0
//
// Whoever reaches this reads addresses and payloads: put your own login and TLS in front of all of it but /captures, where the
// link is the password.
import { PcapRing } from '@flowtriq/pcap-ring'
import { LocalArchive } from '@flowtriq/pcap-ring/archive'
import { FloodDetector } from '@flowtriq/pcap-ring/detect'
import { render, summarize } from '@flowtriq/pcap-ring/report'
import express from 'express'

const port = Number(process.env.PORT ?? 8080)
const archive = new LocalArchive({
  directory: 'archive',
  keys: [{ id: '2026', secret: Buffer.from(process.env.ARCHIVE_KEY ?? '', 'base64') }],
  retention: '30d',
  // As whoever gets a link sees it.
  baseUrl: process.env.BASE_URL ?? `http://localhost:${port}/captures`,
})
const ring = new PcapRing({ device: process.argv[2], archive })
ring.on('warning', (error) => console.warn(error.message))
ring.on('archive', ({ id }, { retainedUntil }) => console.log(`incident ${id} archived until ${retainedUntil}`))
new FloodDetector().watch(ring)

const app = express()
app.use('/captures', archive.handler())

app.get('/incidents', async (_req, res) => {
  const incidents = []
  for await (const { id, bytes, storedAt, retainedUntil } of archive.list()) {
    incidents.push({ id, bytes, storedAt, retainedUntil, report: `/incidents/${id}` })
  }
  res.json(incidents)
})

// An id becomes part of a path.
app.param('id', (_req, res, next, id) => (/^(?!\.)[\w.-]{1,64}$/.test(id) ? next() : res.sendStatus(404)))

app.get('/incidents/:id', async (req, res) => {
  res.type('html').send(render(await summarize(`captures/incident_${req.params.id}.pcap`)))
})

app.post('/incidents/:id/link', async (req, res) => {
  // For the trail: the name that your login knows.
  const actor = `${req.socket.remoteAddress}`
  res.json(await archive.sign(req.params.id, { actor, expiresIn: '15m' }))
})

const absent = ['ERR_PCAP_BAD_FILE', 'ERR_PCAP_ARCHIVE_NOT_FOUND', 'ERR_PCAP_ARCHIVE_EXPIRED']
app.use((error, _req, res, _next) => {
  res.status(absent.includes(error.code) ? 404 : 500).json({ error: error.code ?? 'ERR_INTERNAL' })
})

await ring.start()
const server = app.listen(port, '127.0.0.1', () => console.log(`incidents of ${ring.device} on port ${port}`))
const sweep = setInterval(() => archive.sweep().catch(console.error), 3_600_000)
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    clearInterval(sweep)
    server.close()
    ring.close()
  })
}
