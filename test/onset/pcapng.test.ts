// Acceptance 10: the same incidents as .pcapng, and what others read in them.

import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'tap'

import type { IncidentReport, PcapRingOptions } from '../../src/index.js'
import { frozenAt } from '../support/freezes.js'
import { arrivals, ramp } from '../support/generate.js'
import { noTool } from '../support/netns.js'
import { type Asked, judgeOnset, placed } from '../support/onset-evidence.js'
import { parsePcapng } from '../support/pcapng-file.js'
import { sectionCounts, tcpdumpCount } from '../support/replay.js'
import { type Recording, recordingOfStreams } from '../support/streams.js'

interface Scenario {
  name: string
  recording: Recording
  /** Seconds. */
  at: number
  sections: string[]
  options?: PcapRingOptions
  asked?: Asked
}

const cap = { packets: 1_400 }
const calm = { times: arrivals({ pps: 1_000, for: 15 }) }

const scenarios: Scenario[] = [
  {
    name: 'a step',
    recording: recordingOfStreams(calm, { times: arrivals({ pps: 50_000, from: 12.001, for: 1.5 }), size: 90 }),
    at: 13,
    sections: ['pre-buffer', 'onset', 'attack'],
  },
  {
    name: 'a step that ends',
    recording: recordingOfStreams(calm, { times: arrivals({ pps: 50_000, from: 12.001, for: 0.5 }), size: 91 }),
    at: 12.7,
    sections: ['pre-buffer', 'onset', 'attack', 'resolution'],
  },
  {
    name: 'a ramp',
    recording: recordingOfStreams(calm, {
      times: arrivals({ pps: ramp('linear', 0, 60_000, 12, 3), from: 12, for: 3 }),
      size: 65,
    }),
    at: 14.8,
    sections: ['history', 'pre-buffer', 'attack'],
  },
  {
    name: 'nothing',
    recording: recordingOfStreams(calm),
    at: 14,
    sections: ['pre-buffer', 'attack', 'resolution'],
  },
  {
    name: 'a step, cut by the cap',
    recording: recordingOfStreams(calm, { times: arrivals({ pps: 50_000, from: 12.001, for: 1.5 }) }),
    at: 13,
    sections: ['onset'],
    options: { cap: { packets: 300 } },
    asked: { cap: { packets: 300 } },
  },
]

const skip = noTool('tshark') || noTool('capinfos') || noTool('tcpdump')

for (const { name, recording, at, sections, options, asked } of scenarios) {
  test(`${name}: in both formats`, async (t) => {
    const reportOf = async (format: 'pcap' | 'pcapng'): Promise<IncidentReport> => {
      const freeze = { at, options: { id: 'x', reason: `for ${name}` } }
      const { reports } = await frozenAt(t, recording, [freeze], { cap, format, ...options })
      const [report] = reports as [IncidentReport]
      t.strictSame(judgeOnset(report, recording.truth, { cap, statsInterval: 50, ...asked }), [], format)
      return report
    }
    const [plain, report] = [await reportOf('pcap'), await reportOf('pcapng')]
    t.strictSame(
      report.sections.map((section) => section.name),
      sections,
    )
    const { file: _, format: __, bytes: ___, sha256: ____, custody: _____, ...same } = report
    t.match(plain, same)
    t.strictSame(sectionCounts(plain), sectionCounts(report))
    const packets = (one: IncidentReport) =>
      placed(one, recording.truth).frames.map(({ time, len, section, data }) => [time, len, section, data])
    t.strictSame(packets(report), packets(plain), 'the same packets')

    const file = parsePcapng(readFileSync(report.file as string))
    t.equal(file.section.comment, `incident x: for ${name}`)
    const comments = file.records.flatMap(({ comment }, i) => (comment === undefined ? [] : [[comment, i + 1]]))
    t.strictSame(
      comments,
      report.sections.map(({ name, firstFrame }) => [name, firstFrame]),
      'each section is named where it begins',
    )
    t.not(file.statistics, null)

    t.test('as others read it', { skip }, async (t) => {
      const path = report.file as string
      t.equal(tcpdumpCount(path), report.packets, 'tcpdump')
      const info = execFileSync('capinfos', ['-M', path], { encoding: 'utf8' })
      t.match(info, new RegExp(`Number of packets = ${report.packets}\n`))
      t.match(info, new RegExp(`Capture comment: +incident x: for ${name}\n`))
      const tshark = (...args: string[]): string[] =>
        execFileSync('tshark', ['-r', path, '-T', 'fields', ...args], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        })
          .trimEnd()
          .split('\n')
      t.equal(tshark('-e', 'frame.number').length, report.packets, 'tshark')
      t.strictSame(
        tshark('-Y', 'frame.comment', '-e', 'frame.number', '-e', 'frame.comment'),
        report.sections.map(({ firstFrame, name }) => `${firstFrame}\t${name}`),
      )
    })
  })
}
