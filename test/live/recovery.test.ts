// One directory, several lives: what a dead writer left is recovered, what a living one writes is left alone.

import { appendFileSync, readdirSync, readFileSync, statSync, symlinkSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

import type { IncidentReport, PcapRing } from '../../src/index.js'
import { jumps, nsOf, readEvidence, sizes } from '../support/evidence.js'
import { Host, type HostApi, runHost } from '../support/host.js'
import { makePair, noNamespaces, noTool } from '../support/netns.js'
import { parseCapture } from '../support/pcapng-file.js'
import { tcpdumpCount, tsharkCount } from '../support/replay.js'
import { frameOf, noSender, send } from '../support/sender.js'
import { SentLog } from '../support/sent.js'
import { wrongTraffic } from '../support/traffic.js'

const skip = noNamespaces || noSender

interface State {
  ring: PcapRing
  warnings: string[]
}

const startRing = async ({ PcapRing, state }: HostApi<State>, options: object): Promise<void> => {
  state.warnings = []
  state.ring = new PcapRing(options)
  state.ring.on('warning', ({ message }) => state.warnings.push(message))
  await state.ring.start()
}

/** Fulfils once the file is there and has that many bytes. */
function grown(directory: string, name: string, bytes: number): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      const size = statSync(join(directory, name), { throwIfNoEntry: false })?.size ?? 0
      if (size < bytes) return
      watcher.close()
      resolve()
    }
    const watcher = watch(directory, look)
    look()
  })
}

const reportOf = (directory: string, id: string): IncidentReport =>
  JSON.parse(readFileSync(join(directory, `incident_${id}.json`), 'utf8')) as IncidentReport

test('another process starts and dies fifty times in the directory of a recording', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const options = { device: here.device, directory, statsInterval: 50, cpuBudget: null }
  const host = await Host.start(t, { netns: here.name })
  await host.call<State, void, object>(startRing, options)
  const sending = send(t, there, { count: 20_000 })
  // One incident all the while, and short ones, so that files are also made and renamed under the other's eyes.
  await host.call<State & { short: Promise<IncidentReport[]>; stop: boolean }, void>(async ({ state, untilStats }) => {
    await untilStats(state.ring, (stats) => stats.ring?.packets === 500)
    const long = state.ring.freeze({ id: 'long', cap: { packets: 100_000 } })
    await long.flushed
    state.stop = false
    state.short = (async () => {
      const reports: IncidentReport[] = []
      for (let i = 0; !state.stop; ++i) {
        const incident = state.ring.freeze({ id: `short${i}`, resolution: { packets: 0 } })
        await incident.flushed
        reports.push(await incident.resolve())
      }
      return reports
    })()
  })

  const killed: string[] = []
  const finished: string[] = []
  for (let i = 0; i < 50; ++i) {
    const way = i % 10 === 3 ? 'killed' : i % 5 === 1 ? 'finished' : 'idle'
    const id = `other${i}`
    if (way === 'killed') killed.push(id)
    if (way === 'finished') finished.push(id)
    const other = runHost(
      t,
      { netns: here.name },
      async ({ PcapRing }, { options, id, way }) => {
        const ring = new PcapRing(options)
        ring.on('warning', (error) => {
          throw error
        })
        await ring.start()
        if (way !== 'idle') await ring.freeze({ id }).flushed
        if (way === 'killed') process.kill(process.pid, 'SIGKILL')
        await ring.close()
      },
      { options, id, way },
    )
    const { status, signal, stderr } = await other.ended
    if (way === 'killed' ? signal !== 'SIGKILL' : status !== 0) t.fail(`start ${i}: ${status ?? signal} ${stderr}`)
    if (way === 'killed') t.ok(readdirSync(directory).includes(`incident_${id}.pcap.part`))
    t.ok(readdirSync(directory).includes('incident_long.pcap.part'), 'still being written')
    t.notOk(readdirSync(directory).includes('incident_long.pcap'))
  }

  await sending.stop()
  const reports = await host.call<
    State & { short: Promise<IncidentReport[]>; stop: boolean },
    { reports: IncidentReport[]; warnings: string[] }
  >(async ({ state }) => {
    state.stop = true
    const short = await state.short
    const long = state.ring.incidents.find(({ id }) => id === 'long')
    const report = (await long?.resolve()) as IncidentReport
    await state.ring.close()
    return { reports: [report, ...short], warnings: state.warnings }
  })
  t.same(reports.warnings, [])
  t.ok(reports.reports.length > 10)
  for (const report of reports.reports) {
    t.match(report, { error: null, recovered: false })
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [], report.id)
    t.same(jumps(frames), [], report.id)
  }
  for (const id of finished) t.same(readEvidence(reportOf(directory, id)).wrong, [])
  for (const id of killed) {
    const report = reportOf(directory, id)
    t.equal(report.recovered, true)
    t.same(readEvidence(report).wrong, [])
    t.same(wrongTraffic(report), [])
  }
  const names = [...killed, ...finished, ...reports.reports.map(({ id }) => id)]
  t.same(
    readdirSync(directory).sort(),
    names.flatMap((id) => [`incident_${id}.json`, `incident_${id}.pcap`]).sort(),
    'and nothing else',
  )
})

const kills = (['pcap', 'pcapng'] as const).flatMap((format) => [false, true].map((torn) => ({ format, torn })))
for (const { format, torn } of kills) {
  test(`killed while recording a .${format}${torn ? ', in the middle of a record' : ''}`, { skip }, async (t) => {
    const name = `incident_x.${format}`
    const { here, there } = makePair(t)
    const directory = t.testdir({ captures: {}, log: '' })
    const captures = join(directory, 'captures')
    const host = await Host.start(t, { netns: here.name })
    await host.call<State, void, object>(startRing, { device: here.device, directory: captures, format })
    const log = join(directory, 'log')
    const sending = send(t, there, { count: 20_000, pps: 1_000, log })
    const frozenAt = await host.call<State, number>(async ({ state, untilStats }) => {
      await untilStats(state.ring, (stats) => stats.ring?.packets === 500)
      const before = Date.now()
      const incident = state.ring.freeze({
        id: 'x',
        reason: 'to be killed',
        labels: { a: 'b' },
        since: new Date(before - 200),
        cap: { packets: 100_000 },
      })
      await incident.flushed
      return before
    })
    // 500 from before, and some two seconds' worth.
    await grown(captures, `${name}.part`, 500 + 2_500 * 100)
    const killedAt = BigInt(Date.now()) * 1_000_000n
    await host.kill('SIGKILL')
    await sending.stop()
    t.same(readdirSync(captures).sort(), ['incident_x.json.part', `${name}.part`])
    const part = join(captures, `${name}.part`)
    const written = readFileSync(part)
    // A copy, as the name tells its reader the format.
    writeFileSync(join(directory, name), written)
    const { records } = parseCapture(join(directory, name))
    const whole = records.length
    const lastAt = records.at(-1)?.offset as number
    if (torn) appendFileSync(part, written.subarray(lastAt, -1))

    const next = await Host.start(t, { netns: here.name })
    await next.call<State, void, object>(startRing, { device: here.device, directory: captures })
    // Before start() resolves.
    t.same(readdirSync(captures).sort(), ['incident_x.json', name])
    t.same(await next.call<State, string[]>(({ state }) => state.warnings), [])
    const report = reportOf(captures, 'x')
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [])
    t.same(wrongTraffic(report), [])
    t.same(readFileSync(join(captures, name)), written, 'nothing whole was cut off')
    t.equal(tcpdumpCount(join(captures, name)), whole)
    if (!noTool('tshark')) t.equal(tsharkCount(join(captures, name)), whole)
    t.match(report, {
      recovered: true,
      format,
      id: 'x',
      kind: 'incident',
      reason: 'to be killed',
      labels: { a: 'b' },
      packets: whole,
      source: 'device',
      mode: 'capture',
      linkType: 'EN10MB',
      custody: { device: { name: here.device, mac: here.mac } },
      coverage: { onsetSource: 'since' },
    })
    t.same(sizes(report), { 'pre-buffer': 500, attack: whole - 500 })
    t.same(jumps(frames), [])
    t.ok(nsOf(report.frozenAt) >= BigInt(frozenAt) * 1_000_000n)
    t.ok(report.coverage.preOnsetPackets > 0 && report.coverage.preOnsetPackets < 500)
    t.equal(report.statistics.packets, whole - 500)

    const [secure] = new SentLog(log).passedBefore(killedAt - 1_000_000_000n)
    const last = frames.at(-1)
    t.ok(last !== undefined && frameOf(last.data).number + 1 >= secure, `${secure} were sent a second before`)

    await next.call<State, void>(({ state }) => state.ring.close())
    t.same(readdirSync(captures).sort(), ['incident_x.json', name])
  })
}

test('killed at any stage: afterwards there are whole files only', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const options = { device: here.device, directory, statsInterval: 50, cpuBudget: null }
  const stages = ['call', 'freeze', 'flush', 'cap', 'resolving', 'resolve', 'close'] as const
  for (const stage of stages) {
    for (const round of [1, 2]) {
      // One each: a sender ends after 20 s, and under a sanitizer hosts take long to begin.
      const sending = send(t, there, { count: 1e9, pps: 15_000 })
      const other = runHost(
        t,
        { netns: here.name },
        async ({ PcapRing, untilStats }, { options, stage, id }) => {
          const die = (): void => void process.kill(process.pid, 'SIGKILL')
          const ring = new PcapRing(options)
          await ring.start()
          await untilStats(ring, (stats) => stats.ring?.packets === 500)
          if (stage !== 'call' && stage !== 'resolving' && stage !== 'close') ring.on(stage, die)
          const incident = ring.freeze({ id, cap: { packets: 2_000 } })
          if (stage === 'call') die()
          if (stage === 'resolving' || stage === 'close') await incident.flushed
          if (stage === 'cap') return
          void incident.resolve()
          if (stage === 'resolving') die()
          void ring.close()
          if (stage === 'close') die()
        },
        { options, stage, id: `${stage}${round}` },
      )
      t.equal((await other.ended).signal, 'SIGKILL', `${stage} ${round}`)
      await sending.stop()
    }
  }
  const host = await Host.start(t, { netns: here.name })
  await host.call<State, void, object>(startRing, options)
  t.same(await host.call<State, string[]>(({ state }) => state.warnings), [])
  const names = readdirSync(directory)
  t.same(
    names.filter((name) => name.endsWith('.part')),
    [],
  )
  const ids = names.filter((name) => name.endsWith('.pcap')).map((name) => name.slice('incident_'.length, -5))
  t.same(names.sort(), ids.flatMap((id) => [`incident_${id}.json`, `incident_${id}.pcap`]).sort())
  for (const id of ids) {
    const { frames, wrong } = readEvidence(reportOf(directory, id))
    t.same(wrong, [], id)
    t.same(jumps(frames), [], id)
  }
  for (const stage of ['flush', 'cap', 'resolving', 'resolve', 'close']) {
    for (const round of [1, 2]) t.ok(ids.includes(`${stage}${round}`), `${stage}: the history was on disk`)
  }
})

test('what is no part of ours stays, and a part without its report tells what it can', { skip }, async (t) => {
  const { here, there } = makePair(t)
  const directory = t.testdir({})
  const options = { device: here.device, directory, cpuBudget: null }
  const host = await Host.start(t, { netns: here.name })
  await host.call<State, void, object>(startRing, options)
  await send(t, there, { count: 600 }).sent
  await host.call<State, unknown>(({ state }) => state.ring.freeze({ id: 'bare' }).flushed)
  await host.kill('SIGKILL')
  writeFileSync(join(directory, 'incident_bare.json.part'), 'cut off in the mid')
  writeFileSync(join(directory, 'victim'), 'kept')
  symlinkSync('victim', join(directory, 'incident_link.pcap.part'))
  for (const name of ['notes.part', 'other.pcap.part', 'incident_.txt']) writeFileSync(join(directory, name), 'kept')

  const next = await Host.start(t, { netns: here.name })
  await next.call<State, void, object>(startRing, options)
  const left = readdirSync(directory)
  for (const name of ['notes.part', 'other.pcap.part', 'incident_.txt', 'victim']) {
    t.equal(readFileSync(join(directory, name), 'utf8'), 'kept', name)
  }
  t.ok(left.includes('incident_link.pcap.part'), 'a symbolic link is not followed')
  const report = reportOf(directory, 'bare')
  t.match(report, { recovered: true, packets: 500, linkType: 'EN10MB', reason: null })
  t.same(readEvidence(report).wrong, [])
  t.same(wrongTraffic(report), [])
})
