// What a host left in its directory.

import { readdirSync, readFileSync } from 'node:fs'

import type { IncidentReport } from '../../src/types.js'
import { jumps, readEvidence } from './evidence.js'

interface Asserts {
  same(found: unknown, wanted: unknown, ...extra: unknown[]): unknown
}

/** The reports of a directory, by id. Anything else there, a part above all, fails the test. */
export function reportsIn(t: Asserts, directory: string, besides: readonly string[] = []): IncidentReport[] {
  const names = readdirSync(directory).sort()
  const ids = names.filter((name) => name.endsWith('.json')).map((name) => name.slice('incident_'.length, -5))
  const wanted = [...besides, ...ids.flatMap((id) => [`incident_${id}.json`, `incident_${id}.pcap`])].sort()
  t.same(names, wanted, 'whole files only')
  return ids.map((id) => JSON.parse(readFileSync(`${directory}/incident_${id}.json`, 'utf8')) as IncidentReport)
}

/** Fails unless the files of all reports are true to them, without a frame of the sender's missing in between. */
export function judgeFiles(t: Asserts, reports: readonly IncidentReport[]): void {
  for (const report of reports) {
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [], report.id)
    t.same(jumps(frames), [], report.id)
    t.same(report.recovered, false, report.id)
    t.same(report.loss, { kernel: 0, interface: 0, writer: 0 }, report.id)
  }
}
