// Killed at a random moment of an incident under load: what is left is recovered, once, and of what the sender sent a second
// before nothing is missing.

import { mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'

import type { IncidentReport, PcapRing } from '../../src/index.js'
import { jumps, readEvidence } from '../support/evidence.js'
import { Host, type HostApi } from '../support/host.js'
import { makePair, noNamespaces, noTool } from '../support/netns.js'
import { random, seed } from '../support/random.js'
import { tcpdumpCount, tsharkCount } from '../support/replay.js'
import { frameOf, noSender, send } from '../support/sender.js'
import { SentLog } from '../support/sent.js'

const skip = noNamespaces || noSender || noTool('tcpdump') || noTool('tshark')
const kills = process.env.PCAP_RING_FULL === '1' ? 200 : 8
const rates = [1_000, 5_000, 20_000]

interface State {
  ring: PcapRing
}

const start = async ({ PcapRing, state }: HostApi<State>, options: object): Promise<string[]> => {
  const warnings: string[] = []
  state.ring = new PcapRing(options)
  state.ring.on('warning', ({ message }) => warnings.push(message))
  await state.ring.start()
  return warnings
}

const filesIn = (directory: string): string[] =>
  readdirSync(directory).map((name) => {
    const { size, mtimeMs } = statSync(join(directory, name))
    return `${name} ${size} ${mtimeMs}`
  })

test(`killed ${kills} times`, { skip }, async (t) => {
  t.comment(`PCAP_RING_SEED=${seed}`)
  const next = random(12)
  const { here, there } = makePair(t)
  const top = t.testdir({})
  let recovered = 0
  for (let round = 1; round <= kills; round++) {
    const pps = rates[round % rates.length] as number
    const directory = join(top, `captures${round}`)
    const log = join(top, `log${round}`)
    mkdirSync(directory)
    const format = round % 2 === 0 ? 'pcap' : 'pcapng'
    const options = { device: here.device, directory, format, cpuBudget: null, statsInterval: 50, minFree: 0 }
    const host = await Host.start(t, { netns: here.name })
    await host.call<State, string[], object>(start, options)
    const sending = send(t, there, { count: pps * 15, pps, log })
    const frozenAt = await host.call<State, number>(async ({ state, untilStats }) => {
      await untilStats(state.ring, (stats) => stats.ring?.packets === 500)
      state.ring.freeze({ id: 'x', cap: { packets: 1_000_000 } }).flushed.catch(() => {})
      return Date.now()
    })
    await sleep(next() * 2_500)
    const killedAt = Date.now()
    await host.kill('SIGKILL')
    await sending.stop()

    const second = await Host.start(t, { netns: here.name })
    const what = `kill ${round}, ${killedAt - frozenAt} ms behind the freeze`
    t.same(await second.call<State, string[], object>(start, options), [], what)
    await second.kill('SIGKILL')
    const names = readdirSync(directory).sort()
    if (names.length === 0) {
      // Its files are made once everything from before the freeze has come.
      t.ok(killedAt - frozenAt < 1_000, `${what}: nothing is left`)
      continue
    }
    ++recovered
    t.same(names, ['incident_x.json', `incident_x.${format}`], what)
    const report = JSON.parse(readFileSync(join(directory, 'incident_x.json'), 'utf8')) as IncidentReport
    t.equal(report.recovered, true, what)
    const { frames, wrong } = readEvidence(report)
    t.same(wrong, [], what)
    t.same(jumps(frames), [], what)
    const file = join(directory, `incident_x.${format}`)
    t.equal(tcpdumpCount(file), frames.length, what)
    t.equal(tsharkCount(file), frames.length, what)
    const [secure] = new SentLog(log).passedBefore(BigInt(killedAt - 1_000) * 1_000_000n)
    const last = frames.at(-1)
    // Until the history is on disk the incident has nothing to lose but that.
    if (killedAt - frozenAt > 1_000) {
      t.ok(
        last !== undefined && frameOf(last.data).number + 1 >= secure,
        `${what}: ${secure} were sent a second before`,
      )
    }
    const found = filesIn(directory)
    const third = await Host.start(t, { netns: here.name })
    t.same(await third.call<State, string[], object>(start, options), [], what)
    t.same(filesIn(directory), found, `${what}: nothing is recovered twice`)
    await third.kill('SIGKILL')
  }
  t.ok(recovered > kills / 2, `${recovered} of ${kills} left something`)
})
