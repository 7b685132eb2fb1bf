// Floods that are not just a step on calm traffic: one of bytes, one that was there before the ring, several in a row, one
// that nobody froze. And both file formats of the same flood.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'

import type { IncidentReport, PcapRing } from '../../src/index.js'
import { readEvidence, sizes } from '../support/evidence.js'
import { Floods, type Run } from '../support/floods.js'
import { Host } from '../support/host.js'
import { type Judged, judgeLive, judgeStep } from '../support/live-evidence.js'
import { makePair, noNamespaces, noTool } from '../support/netns.js'
import { random, seed } from '../support/random.js'
import { frameOf, noSender, send } from '../support/sender.js'
import { commentsByTshark, packetsByTools } from '../support/tools.js'

const skip = noNamespaces || noSender || noTool('tshark') || noTool('capinfos') || noTool('tcpdump')

const flood = { cpu: 0, src: '02:00:00:00:00:09', port: 80 }
const calm = { pps: 1_000, pattern: 'poisson', cpu: 1 } as const

/** A number for the calm's randomness, told so that it can be had again. */
function randomness(t: Test, stream: number): number {
  t.comment(`PCAP_RING_SEED=${seed}`)
  return Math.floor(random(stream)() * 2 ** 31)
}

function judge(t: Test, report: IncidentReport, run: Run): Judged {
  const judged = judgeLive(report, run)
  t.comment(`${JSON.stringify(sizes(report))}, missing ${judged.missing.join(' to ')}, ${JSON.stringify(report.loss)}`)
  t.same(judged.wrong, [], 'what is said of it')
  const { packets } = report
  t.same(packetsByTools(report.file as string), { capinfos: packets, tshark: packets, tcpdump: packets })
  return judged
}

/** The onset of flood `stream`, on calm traffic that is stream 0. */
function judgeOnset(t: Test, report: IncidentReport, run: Run, stream = 1): void {
  const { frames } = judge(t, report, run)
  const { wrong, told } = judgeStep(report, run, frames, { calm: 0, flood: stream })
  t.comment(told)
  t.same(wrong, [], 'what was before the flood, and how it began')
}

/** Nothing but the newest packets before the freeze. */
function judgeNoOnset(t: Test, report: IncidentReport, run: Run): void {
  judge(t, report, run)
  const { 'pre-buffer': before, attack: _, resolution: __, ...others } = sizes(report)
  t.equal(before, 500)
  t.same(others, {})
  t.match(report.coverage, { onsetAt: null, onsetSource: null, preOnsetPackets: 0, preOnsetSpan: 0 })
}

test('twice the packets and fifteen times the bytes', { skip }, async (t) => {
  const number = randomness(t, 1)
  const floods = await Floods.begin(t)
  // 1.6 Mbit/s, then 24.
  const run = await floods.run(t.testdir({}), {
    sources: [
      { begin: 0, end: 5_500, ...calm, pps: 2_000, size: 100, seed: number },
      { begin: 3_000, end: 5_500, ...flood, pps: 2_000, size: 1_400 },
    ],
    freezes: [{ at: 3_200 }, { at: 4_000 }, { at: 5_000 }],
    options: { cap: { packets: 2_500 }, format: 'pcapng' },
  })
  t.equal(run.onsets.length, 1)
  for (const report of run.reports) {
    await t.test(`frozen at ${report.frozenAt}`, async (t) => judgeOnset(t, report, run))
  }
})

for (const size of [64, 1_514]) {
  test(`a flood that was there before the ring, ${size} bytes`, { skip }, async (t) => {
    const number = randomness(t, size)
    const floods = await Floods.begin(t)
    const run = await floods.run(t.testdir({}), {
      ring: 500,
      sources: [
        { begin: 0, end: 3_500, ...calm, size, seed: number },
        { begin: 0, end: 3_500, ...flood, pps: 0, size },
      ],
      freezes: [{ at: 1_200 }, { at: 3_000 }],
      options: { cap: { packets: 2_500 } },
    })
    t.same(run.onsets, [])
    for (const report of run.reports) {
      await t.test(`frozen at ${report.frozenAt}`, async (t) => judgeNoOnset(t, report, run))
    }
  })
}

test('a flood in the first second, before there is a baseline', { skip }, async (t) => {
  const number = randomness(t, 3)
  const floods = await Floods.begin(t)
  const run = await floods.run(t.testdir({}), {
    sources: [
      { begin: 0, end: 3_000, ...calm, seed: number },
      { begin: 400, end: 3_000, ...flood, pps: 50_000 },
    ],
    freezes: [{ at: 800 }, { at: 2_500 }],
    options: { cap: { packets: 2_500 }, format: 'pcapng' },
  })
  t.same(run.onsets, [])
  for (const report of run.reports) {
    await t.test(`frozen at ${report.frozenAt}`, async (t) => judgeNoOnset(t, report, run))
  }
})

test('one within the lookback of another, and one behind it', { skip }, async (t) => {
  const number = randomness(t, 4)
  const floods = await Floods.begin(t)
  const run = await floods.run(t.testdir({}), {
    sources: [
      { begin: 0, end: 10_500, ...calm, seed: number },
      { begin: 3_000, end: 3_700, ...flood, pps: 20_000 },
      { begin: 4_700, end: 6_000, ...flood, pps: 40_000, size: 1_000 },
      { begin: 9_000, end: 10_500, ...flood, pps: 0 },
    ],
    freezes: [{ at: 3_500 }, { at: 4_300 }, { at: 5_500 }, { at: 10_000 }],
    options: { lookback: '2s', cap: { packets: 2_500 } },
  })
  t.equal(run.onsets.length, 2, 'of the first, and of the last')
  const names = ['in the first', 'between', 'in the second', 'in the last']
  for (const [i, report] of run.reports.entries()) {
    await t.test(`frozen ${names[i]}`, async (t) => judgeOnset(t, report, run, i === 3 ? 3 : 1))
  }
})

test('one that nobody freezes', { skip }, async (t) => {
  const number = randomness(t, 5)
  const floods = await Floods.begin(t)
  const run = await floods.run(t.testdir({}), {
    sources: [
      { begin: 0, end: 6_500, ...calm, seed: number },
      { begin: 2_500, end: 3_300, ...flood, pps: 0 },
    ],
    freezes: [{ at: 5_500 }],
    options: { lookback: '1s', cap: { packets: 2_500 }, format: 'pcapng' },
  })
  t.equal(run.onsets.length, 1)
  judgeNoOnset(t, run.reports[0] as IncidentReport, run)
})

test('what is kept free for the resolution is behind a gap that is told', { skip }, async (t) => {
  const number = randomness(t, 6)
  const floods = await Floods.begin(t)
  const run = await floods.run(t.testdir({}), {
    sources: [
      { begin: 0, end: 4_500, ...calm, seed: number },
      { begin: 2_500, end: 4_500, ...flood, pps: 50_000 },
    ],
    freezes: [{ at: 3_500, open: 200 }],
    options: { cap: { packets: 2_500 }, resolution: { reserve: true } },
  })
  const [report] = run.reports as [IncidentReport]
  judgeOnset(t, report, run)
  t.match(sizes(report), { onset: 500, resolution: 100 })
})

test('what judges here finds lies', { skip }, async (t) => {
  const floods = await Floods.begin(t)
  const run = await floods.run(t.testdir({}), {
    sources: [
      { begin: 0, end: 4_000, ...calm, cpu: 0, seed: randomness(t, 8) },
      { begin: 2_500, end: 4_000, ...flood, pps: 20_000 },
    ],
    freezes: [{ at: 3_500 }],
    options: { cap: { packets: 2_500 } },
  })
  const [report] = run.reports as [IncidentReport]
  const lies: Record<string, (lie: IncidentReport) => void> = {
    'a gap of one more': ({ coverage }) => {
      const [gap] = coverage.gaps
      if (gap) gap.packets = (gap.packets ?? 0) + 1
    },
    'no gap': ({ coverage }) => void coverage.gaps.pop(),
    'a gap elsewhere': ({ coverage, sections }) => {
      const [gap] = coverage.gaps
      if (gap) Object.assign(gap, { from: sections[0]?.from, to: sections[0]?.to })
    },
    'a gap for another reason': ({ coverage }) => {
      const [gap] = coverage.gaps
      if (gap) gap.reason = 'kernel'
    },
    'said to be complete': ({ coverage }) => {
      coverage.complete = !coverage.complete
    },
    'a packet lost': ({ loss }) => {
      loss.kernel++
    },
    'an onset at another time': ({ coverage, frozenAt }) => {
      coverage.onsetAt = frozenAt
    },
    'an onset of somebody else': ({ coverage }) => {
      coverage.onsetSource = 'since'
    },
    'a packet before the onset': ({ coverage }) => {
      coverage.preOnsetPackets++
    },
    'a time before the onset': ({ coverage }) => {
      coverage.preOnsetSpan += 0.001
    },
    'a step back': ({ coverage }) => {
      coverage.clock.backSteps++
    },
    'an attack that begins before the freeze': ({ sections: [, onset, attack] }) => {
      if (onset) Object.assign(onset, { packets: onset.packets - 1, lastFrame: onset.lastFrame - 1 })
      if (attack) Object.assign(attack, { packets: attack.packets + 1, firstFrame: attack.firstFrame - 1 })
    },
    'another name': ({ sections: [before] }) => {
      if (before) before.name = 'history'
    },
    'a sample': ({ sections: [before] }) => {
      if (before) before.sampling = { min: 1, max: 2 }
    },
    'half of the packets': ({ statistics }) => {
      statistics.packets = Math.floor(statistics.packets / 2)
    },
    'a byte': ({ statistics }) => {
      statistics.bytes++
    },
    'a packet of another kind': ({ statistics }) => {
      if (statistics.protocols) statistics.protocols.tcp++
    },
    'a packet of another size': ({ traffic }) => {
      const [size] = traffic?.sizes ?? []
      if (size) size.packets--
    },
  }
  const judged = (one: IncidentReport): string[] =>
    judgeLive(one, run).wrong.filter((what) => !what.startsWith('the JSON file'))
  t.same(judged(report), [])
  for (const [what, tell] of Object.entries(lies)) {
    const lie = structuredClone(report)
    tell(lie)
    t.notSame(judged(lie), [], what)
  }
})

interface State {
  rings: PcapRing[]
}

test('both formats of one flood', { skip }, async (t) => {
  const number = randomness(t, 7)
  const { here, there } = makePair(t)
  const host = await Host.start(t, { netns: here.name })
  const directory = t.testdir({})
  const formats = ['pcap', 'pcapng'] as const
  for (const format of formats) mkdirSync(join(directory, format))
  await host.call<State, void, object[]>(
    async ({ PcapRing, state }, options) => {
      state.rings = options.map((one) => new PcapRing(one))
      await Promise.all(state.rings.map((ring) => ring.start()))
    },
    formats.map((format) => ({
      device: here.device,
      directory: join(directory, format),
      format,
      precision: 'nano',
      cpuBudget: null,
      cap: { packets: 2_500 },
    })),
  )
  const at = Date.now() + 250
  const sending = [
    send(t, there, { count: 1e9, ...calm, cpu: 0, seed: number, at }),
    send(t, there, { count: 1e9, ...flood, pps: 30_000, stream: 1, at: at + 2_500 }),
  ]
  const reports = await host.call<State, IncidentReport[], number>(async ({ state, untilStats }, at) => {
    await new Promise((resolve) => setTimeout(resolve, at - Date.now()))
    const incidents = state.rings.map((ring) => ring.freeze({ id: 'one', reason: 'a flood' }))
    await untilStats(state.rings[1] as PcapRing, () => incidents.every(({ state }) => state === 'capped'))
    const reports = await Promise.all(incidents.map((incident) => incident.resolve()))
    await Promise.all(state.rings.map((ring) => ring.close()))
    return reports
  }, at + 3_500)
  await Promise.all(sending.map((one) => one.stop()))

  const [plain, other] = reports.map((report) => {
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [], report.format)
    t.same(sizes(report), { 'pre-buffer': 500, onset: 500, attack: 1_500 })
    // Without times: each ring stamps a packet for itself.
    return frames.map(({ data, len, section }) => {
      const { stream, number } = frameOf(data)
      return { key: `${stream}/${number}`, of: `${stream}/${number} ${len} ${section} ${data.toString('hex')}` }
    })
  }) as [{ key: string; of: string }[], { key: string; of: string }[]]
  // Up to where the newest before the freeze begin; between their two moments one packet or another may have come.
  const opening = 750
  t.same(
    other.slice(0, opening).map(({ of }) => of),
    plain.slice(0, opening).map(({ of }) => of),
    'the same packets before the onset and from it on',
  )
  const [inPlain, inOther] = [plain, other].map((frames) => new Set(frames.map(({ key }) => key)))
  const shared = plain.filter(({ key }) => inOther?.has(key)).map(({ key }) => key)
  t.same(
    other.filter(({ key }) => inPlain?.has(key)).map(({ key }) => key),
    shared,
    'and in the same order all that both have',
  )
  t.ok(shared.length > 2_400, `${shared.length} are in both`)

  const { file, frames } = commentsByTshark(reports[1]?.file as string)
  t.match(file, /one/)
  t.match(file, /a flood/)
  t.same(
    [...frames].map(([number, comment]) => [number, /pre-buffer|onset|attack/.exec(comment)?.[0]]),
    reports[1]?.sections.map(({ firstFrame, name }) => [firstFrame, name]),
    'each section is named at its first frame',
  )
})
