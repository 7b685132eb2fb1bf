// The addon for arm64, under an emulator: one recording, replayed there and here, gives the same file to the byte.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import { encodePcap } from '../../src/testing.js'
import { defaultStart, udpPackets } from '../support/generate.js'

const project = process.env.PCAP_RING_PROJECT as string
const emulated = (process.env.PCAP_RING_ARM64_NODE as string).split(' ')

const replay = `
  const { PcapRing } = require('@flowtriq/pcap-ring')
  const [file, directory, format] = process.argv.slice(2)
  const ring = new PcapRing({ file, directory, format })
  let incident = null
  ring.on('stats', ({ inbound }) => {
    if (incident === null && inbound.pps > 20_000) incident = ring.freeze({ id: '0a1b2c3d', reason: 'emulated' })
  })
  ring.on('resolve', (_incident, { sha256, packets, sections, coverage, loss, statistics, traffic }) => {
    console.log(JSON.stringify({ arch: process.arch, report: { sha256, packets, sections, coverage, loss, statistics, traffic } }))
  })
  ring.on('end', () => ring.close())
  ring.start()`

test('a replay on arm64', (t) => {
  const directory = t.testdir({})
  const recording = join(directory, 'recording.pcap')
  const calm = { pps: 5_000, count: 5_000 }
  const flood = { pps: 60_000, count: 30_000, start: defaultStart + 1_000, firstSequence: 5_000 }
  writeFileSync(recording, encodePcap([calm, flood].flatMap((timing) => udpPackets(timing))))
  writeFileSync(join(project, 'replay.cjs'), replay)

  for (const format of ['pcap', 'pcapng']) {
    const run = (node: string[], name: string): { arch: string; report: IncidentFigures; bytes: Buffer } => {
      const captures = join(directory, `${name}-${format}`)
      const [command, ...args] = [...node, 'replay.cjs', recording, captures, format]
      const { NODE_OPTIONS: _, ...env } = process.env
      const options = { cwd: project, encoding: 'utf8', env, timeout: 60_000 } as const
      const { stdout, stderr, status } = spawnSync(command, args, options)
      t.equal(status, 0, `${name} ends well`, { stderr })
      const { arch, report } = JSON.parse(stdout) as { arch: string; report: IncidentFigures }
      return { arch, report, bytes: readFileSync(join(captures, `incident_0a1b2c3d.${format}`)) }
    }
    const [here, there] = [run([process.execPath], 'here'), run(emulated, 'arm64')]
    t.equal(there.arch, 'arm64')
    t.ok(here.report.packets > 5_000)
    t.ok(here.bytes.equals(there.bytes), `${format}: the same bytes`)
    t.strictSame(there.report, here.report, `${format}: the same figures`)
  }
  t.end()
})

interface IncidentFigures {
  packets: number
}
