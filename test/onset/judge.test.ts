// The judge itself: of a good report it says nothing, and of each lie the right thing.

import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { type Test, test } from 'tap'

import type { IncidentReport, Section } from '../../src/index.js'
import { frozenAt } from '../support/freezes.js'
import { arrivals } from '../support/generate.js'
import { judgeOnset } from '../support/onset-evidence.js'
import { type PcapRecord, parsePcap } from '../support/pcap-file.js'
import { pcapBytes } from '../support/recording.js'
import { fileOf } from '../support/replay.js'
import { recordingOfStreams } from '../support/streams.js'

const recording = recordingOfStreams(
  { times: arrivals({ pps: 1_000, for: 5 }) },
  { times: arrivals({ pps: 20_000, from: 3.001, for: 1.1 }) },
)
const asked = { statsInterval: 50 }

/** Pre-buffer, onset, attack and resolution. */
async function goodReport(t: Test): Promise<IncidentReport> {
  const { reports } = await frozenAt(t, recording, [{ at: 4, resolveAfter: 4 }])
  const [report] = reports as [IncidentReport]
  t.strictSame(judgeOnset(report, recording.truth, asked), [])
  t.equal(report.sections.length, 4)
  return report
}

const later = (time: string): string =>
  time.replace(/\.(\d{3})/, (_, ms) => `.${String(Number(ms) ^ 1).padStart(3, '0')}`)
const first = <T>(all: T[]): T => all[0] as T

const lies: [string, (report: IncidentReport) => void, RegExp][] = [
  ['onsetAt', ({ coverage }) => (coverage.onsetAt = later(coverage.onsetAt as string)), /^onsetAt: /],
  ['no onset', ({ coverage }) => (coverage.onsetAt = coverage.onsetSource = null), /^onset: without a kept onset/],
  ['preOnsetPackets', ({ coverage }) => coverage.preOnsetPackets++, /^preOnsetPackets: /],
  ['preOnsetSpan', ({ coverage }) => coverage.preOnsetSpan++, /^preOnsetSpan: /],
  ['complete', ({ coverage }) => (coverage.complete = true), /^complete: /],
  ['no gap', ({ coverage }) => (coverage.gaps = []), /^a gap not told: /],
  ['a gap of one more', ({ coverage }) => first(coverage.gaps as { packets: number }[]).packets++, /^gaps: /],
  ['a gap of another kind', ({ coverage }) => (first(coverage.gaps).reason = 'kernel'), /^a gap that is none: /],
  ['a gap elsewhere', ({ coverage }) => (first(coverage.gaps).to = first(coverage.gaps).from), /^a gap that is none: /],
  ['a gap that is guessed', ({ coverage }) => (first(coverage.gaps).exact = false), /^a gap that is none: /],
  ['steps back', ({ coverage }) => coverage.clock.backSteps++, /^backSteps: /],
  ['the onset begins a frame earlier', ({ sections }) => moveEdge(sections, 0, -1), /^onset: .*, not /],
  ['the onset begins a frame later', ({ sections }) => moveEdge(sections, 0, 1), /^onset: .*, not /],
  ['the attack begins a frame earlier', ({ sections }) => moveEdge(sections, 1, -1), /^attack: .*, not /],
  ['the resolution begins a frame later', ({ sections }) => moveEdge(sections, 2, 1), /^resolution: .*, not /],
  ['sampled', ({ sections }) => (first(sections).sampling = { min: 1, max: 2 }), /^pre-buffer: is said to be sampled/],
  ['frozen later', (report) => (report.frozenAt = later(report.frozenAt)), /^attack: .*, not /],
  ['resolved later', (report) => (report.resolvedAt = later(report.resolvedAt)), /^resolution: .*, not /],
  ['loss', ({ loss }) => loss.writer++, /^loss: /],
  ['packets that passed', ({ statistics }) => statistics.packets++, /^statistics\.packets: /],
  ['bytes that passed', ({ statistics }) => statistics.bytes++, /^statistics\.bytes: /],
  ['the peak', ({ statistics }) => statistics.peakPps.value++, /^statistics\.peakPps: /],
  ['when it was', ({ statistics }) => (statistics.peakBps.at = later(statistics.peakBps.at)), /^statistics\.peakBps: /],
  ['protocols', ({ statistics }) => (statistics.protocols as { tcp: number }).tcp++, /^statistics\.protocols: /],
  ['flags', ({ statistics }) => (statistics.tcpFlags as { ack: number }).ack++, /^statistics\.tcpFlags: /],
  ['the timeline', ({ statistics }) => first(statistics.timeline).packets++, /^statistics\.timeline\[0\]: /],
  ['traffic', ({ traffic }) => (traffic as { fragments: number }).fragments++, /^counts: /],
]

/** Gives a frame of one section to its neighbour. */
function moveEdge(sections: Section[], index: number, by: 1 | -1): void {
  const [left, right] = sections.slice(index, index + 2) as [Section, Section]
  left.packets += by
  left.lastFrame += by
  right.packets -= by
  right.firstFrame += by
}

test('reports that lie', async (t) => {
  const report = await goodReport(t)
  for (const [name, lie, found] of lies) {
    const changed = structuredClone(report)
    lie(changed)
    writeFileSync((report.file as string).replace(/pcap$/, 'json'), JSON.stringify(changed))
    const wrong = judgeOnset(changed, recording.truth, asked)
    t.ok(
      wrong.some((line) => found.test(line)),
      `${name}: ${wrong.join('; ').slice(0, 200)}`,
    )
  }
})

const forgeries: [string, (records: PcapRecord[]) => void, RegExp][] = [
  ['two in another order', (all) => all.splice(600, 2, ...all.slice(600, 602).reverse()), /stands behind/],
  ['one twice', (all) => all.splice(100, 1, all[99] as PcapRecord), /stands behind one that passed later, or twice/],
  ['another time', (all) => all.splice(7, 1, { ...(all[7] as PcapRecord), frac: 1 }), /^frame 8 .*: passed at/],
  ['another length', (all) => all.splice(7, 1, { ...(all[7] as PcapRecord), len: 99 }), /^frame 8 .* bytes long/],
  ['one that never was', (all) => (first(all).data = Buffer.alloc(64)), /^frame 1 never passed/],
  ['a hole in the pre-buffer', (all) => all.splice(1, 1, first(all)), /^pre-buffer: .* does not lead without a hole/],
]

test('files that were tampered with', async (t) => {
  const report = await goodReport(t)
  const path = report.file as string
  const { records } = fileOf(path)
  for (const [name, forge, found] of forgeries) {
    const forged = records.map((record) => ({ ...record }))
    forge(forged)
    const bytes = pcapBytes(forged)
    t.equal(parsePcap(bytes).records.length, records.length)
    writeFileSync(path, bytes)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const wrong = judgeOnset({ ...report, sha256 }, recording.truth, asked)
    t.ok(
      wrong.some((line) => found.test(line)),
      `${name}: ${wrong.join('; ').slice(0, 200)}`,
    )
  }
})
