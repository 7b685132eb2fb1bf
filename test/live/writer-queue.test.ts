// A disk that is slower than a flood, for longer than the queue to the writer can bridge: what finds no room is counted and told
// where it is missing, the ring goes on, and the memory is given back when the incident ends.

import { type Test, test } from 'tap'

import type { IncidentReport } from '../../src/index.js'
import { censusAtRest, memory, memoryGivenBack, sameAsBefore } from '../support/census.js'
import { type Frame, nsOf, readEvidence } from '../support/evidence.js'
import { frameOf } from '../support/sender.js'
import { type Ground, goesOn, isFine, makeGround, noGround, type State } from '../support/writer-ground.js'

const mostPackets = 1_000_000

/** An incident in which a write takes so long that the queue runs over. KiB that the host had at most, and the report. */
async function overflow({ host, fault }: Ground): Promise<{ held: number; report: IncidentReport }> {
  await host.call<State, void, number>(async ({ state }, packets) => {
    state.warnings = []
    state.incident = state.ring.freeze({ cap: { packets } })
    await state.incident.flushed
  }, mostPackets)
  fault({ call: 'write', ms: 400 })
  // Twice what the queue holds, of which a write takes 64 KiB.
  await host.call<State, void>(async ({ state, untilStats }) => {
    const { packets } = state.ring.stats().total
    await untilStats(state.ring, ({ total }) => total.packets > packets + 40_000)
  })
  const held = await memory(host)
  fault(null)
  const report = await host.call<State, IncidentReport>(async ({ state, untilStats }) => {
    const { packets } = state.incident
    await untilStats(state.ring, () => state.incident.packets > packets + 500)
    return state.incident.resolve()
  })
  return { held, report }
}

/** Each hole in the sender's numbering, and how many are missing there. */
function holesOf(frames: readonly Frame[]): [string, number][] {
  const holes: [string, number][] = []
  frames.forEach((frame, i) => {
    const last = frames[i - 1]
    if (last === undefined) return
    const lost = frameOf(frame.data).number - frameOf(last.data).number - 1
    if (lost !== 0) holes.push([`${last.time} to ${frame.time}`, lost])
  })
  return holes
}

function judge(t: Test, report: IncidentReport): void {
  const { frames, wrong } = readEvidence(report)
  t.same([report.error, wrong], [null, []])
  const { loss, coverage } = report
  t.ok(loss.writer > 0, `the writer could not take ${loss.writer}`)
  t.equal(coverage.complete, false)
  const told = new Map<string, number>()
  for (const { from, to, packets } of coverage.gaps) {
    const place = `${nsOf(from)} to ${nsOf(to)}`
    told.set(place, (told.get(place) ?? 0) + (packets as number))
  }
  const holes = holesOf(frames)
  t.same([...told], holes, 'each hole in the numbering is told where it is')
  const inRing = coverage.gaps.filter(({ reason }) => reason === 'ring')
  t.equal(
    inRing.reduce((sum, { packets }) => sum + (packets as number), 0),
    loss.writer,
  )
  t.ok(coverage.gaps.every(({ exact }) => exact))
  t.equal(
    holes.reduce((sum, [, lost]) => sum + lost, 0),
    loss.writer + loss.kernel,
  )
}

test('the queue to the writer runs over', { skip: noGround }, async (t) => {
  const ground = await makeGround(t, 256 * 1024 * 1024)
  const { host } = ground
  const flood = { count: 400_000, pps: 20_000, size: 1_500 }
  await ground.traffic(flood)
  judge(t, (await overflow(ground)).report)
  const [before, rest] = [await censusAtRest(host), await memory(host)]

  await ground.traffic(flood)
  const { held, report } = await overflow(ground)
  await goesOn(host)
  judge(t, report)
  t.ok(held > rest + 20 * 1024 && held < rest + 40 * 1024, `held meanwhile: ${held - rest} KiB, of a bound of 32 MiB`)
  await memoryGivenBack(t, host, rest)
  await isFine(t, host, 'the next one')
  await sameAsBefore(t, host, before)
  const warnings = await host.call<State, string[]>(async ({ state }) => {
    await state.ring.close()
    return state.warnings
  })
  t.same(warnings, [])
})
