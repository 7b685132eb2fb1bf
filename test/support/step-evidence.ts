// What a file lacks of a flood that began on calm traffic, by the places of its frames in the recording.

import type { IncidentReport } from '../../src/index.js'
import { nsOf } from './evidence.js'
import { inSection } from './freezes.js'
import { placed } from './onset-evidence.js'
import type { Recording } from './streams.js'

const ring = 500

/** What acceptance asks of a step, and is not so. */
export function wrongStep(report: IncidentReport, { truth }: Recording): string[] {
  const { frames } = placed(report, truth)
  const flood = truth.findIndex(({ stream }) => stream === 'flood')
  const wrong: string[] = []
  const check = (good: boolean, what: string): void => {
    if (!good) wrong.push(what)
  }

  // All before the first flood packet are calm: without a hole up to it means that they are the places right before.
  // Where the onset was placed among calm packets that came right before the flood, these open its section.
  const before = inSection(frames, 'pre-buffer').filter(({ place }) => place < flood)
  const onset = inSection(frames, 'onset')
  const opening = onset.filter(({ place }) => place < flood)
  const calm = [...before, ...opening]
  const least = Math.ceil(0.9 * Math.min(ring, flood))
  check(before.length >= least, `${before.length} calm packets from before, at least ${least} are wanted`)
  check(opening.length <= 50, `${opening.length} calm packets open the onset`)
  check(calm.at(-1)?.place === flood - 1, `the calm ends at ${calm.at(-1)?.place}, the flood begins at ${flood}`)
  check(calm.at(-1)?.place === (calm[0]?.place ?? 0) + calm.length - 1, 'the calm before has a hole')

  const numbers = onset.filter(({ stream }) => stream === 'flood').map(({ number }) => number)
  const run = numbers.findIndex((number, i) => i > 0 && number !== (numbers[i - 1] as number) + 1)
  check((numbers[0] ?? Infinity) < 100, `the onset opens with flood packet ${numbers[0]}`)
  check((run === -1 ? numbers.length : run) >= 50, `${run} flood packets without a hole`)
  const frozen = nsOf(report.frozenAt)
  const newest = truth.findLastIndex(({ time }) => time < frozen)
  check(onset.at(-1)?.place === newest, `the onset ends at ${onset.at(-1)?.place}, not with the newest, ${newest}`)

  const at = report.coverage.onsetAt
  const off = at === null ? null : Number(nsOf(at) - (truth[flood]?.time ?? 0n)) / 1e6
  check(off !== null && Math.abs(off) <= 20, `onsetAt is ${off} ms off`)
  return wrong
}

/** How many packets of the calm open the onset, and with which of the flood it goes on. */
export function opening(report: IncidentReport, { truth }: Recording): { calm: number; flood: number } {
  const onset = inSection(placed(report, truth).frames, 'onset')
  const calm = onset.findIndex(({ stream }) => stream === 'flood')
  return { calm, flood: onset[calm]?.number ?? Infinity }
}
