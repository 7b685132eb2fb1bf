// The wait of a lock-step replay at each boundary: what takes effect when, and what ends it.

import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'tap'

import type { Incident, IncidentReport } from '../../src/index.js'
import { PcapRing } from '../../src/index.js'
import { defaultStart, udpPackets } from '../support/generate.js'
import { timeString, usOfTime } from '../support/recording.js'
import { fileOf, range, recordingOf, replay, ringOf, scratch, sequencesIn, validIncident } from '../support/replay.js'

const pps = 4_000
const file = recordingOf(udpPackets({ pps, count: 12_000 }))
const boundary = (n: number): string => timeString((defaultStart + 250 * n) * 1_000)

test('all listeners are waited for, sync, async, thenable, once, failing', async (t) => {
  const ring = ringOf(t, { file })
  const open = new Set<string>()
  let together = 0
  for (const name of ['a', 'b']) {
    ring.on('stats', async () => {
      open.add(name)
      await turn()
      await turn()
      open.delete(name)
    })
  }
  ring.on('stats', () => {
    // Both of the listeners before us, and none of an earlier boundary.
    if (open.size === 2) together++
  })
  let settled = false
  const thenable = {
    // biome-ignore lint/suspicious/noThenProperty: what a listener may return
    then: (done: () => void) => {
      const settle = (): void => {
        settled = true
        done()
      }
      setImmediate(() => setImmediate(settle))
    },
  }
  ring.once('stats', () => thenable as unknown as undefined)
  const seen: boolean[] = []
  ring.on('stats', () => void seen.push(settled))
  const { stats } = await replay(ring)
  t.equal(stats.length, 12)
  t.equal(together, 12)
  t.strictSame(seen, [false, ...Array.from({ length: 11 }, () => true)])
})

test('a call while a listener is waited for takes effect at that boundary', async (t) => {
  const ring = ringOf(t, { file })
  let incident: Incident | undefined
  let boundaries = 0
  ring.on('stats', async () => {
    if (++boundaries !== 3) return
    const asked = new Promise<void>((resolve) => {
      setTimeout(() => {
        incident = ring.freeze()
        resolve()
      }, 5)
    })
    await asked
    await turn()
  })
  await replay(ring)
  void incident?.resolve()
  const [report, sequences] = await validIncident(t, incident as Incident)
  t.equal(report.frozenAt, boundary(3))
  t.strictSame(sequences.slice(0, 501), range(2_500, 501))
})

test('a call between boundaries takes effect at the next one', async (t) => {
  const ring = ringOf(t, { file })
  let incident: Incident | undefined
  ring.once('stats', () => {
    // The wait is over when this listener has returned.
    setImmediate(() => {
      incident = ring.freeze()
    })
  })
  await replay(ring)
  void incident?.resolve()
  const [report, sequences] = await validIncident(t, incident as Incident)
  const us = usOfTime(report.frozenAt) - defaultStart * 1_000
  t.equal(us % 250_000 === 0 || report.frozenAt === report.to, true, `${us} µs is a boundary`)
  const before = Math.round((us * pps) / 1e6)
  if (us % 250_000 === 0) t.equal(sequences[0], before - 500)
})

test('awaiting flushed in a listener is safe, also of two at once', async (t) => {
  const ring = ringOf(t, { file })
  const first: number[] = []
  let boundaries = 0
  ring.on('stats', async () => {
    if (++boundaries > 3) return
    const incidents = [ring.freeze(), ring.freeze()]
    for (const { flushed } of incidents) first.push(...(await flushed).map(({ packets }) => packets))
  })
  await replay(ring)
  t.strictSame(first, [500, 500, 500, 500, 500, 500])
})

test('awaiting dump() in a listener is safe and gives the ring at the boundary', async (t) => {
  const directory = scratch(t)
  const ring = ringOf(t, { file, directory })
  let boundaries = 0
  ring.on('stats', async () => {
    if (++boundaries < 5) await ring.dump(`${directory}/${boundaries}.pcap`)
  })
  await replay(ring)
  for (const n of [1, 2, 3, 4]) t.strictSame(sequencesIn(`${directory}/${n}.pcap`), range(n * 1_000 - 500, 500))
})

test('awaiting what only later packets bring: resolve() and capture() end the wait', async (t) => {
  const ring = ringOf(t, { file })
  const reports: IncidentReport[] = []
  let boundaries = 0
  ring.on('stats', async () => {
    boundaries++
    if (boundaries === 2) reports.push(await ring.freeze().resolve())
    if (boundaries === 4) reports.push(await ring.capture({ cap: { packets: 700 } }).finished)
    if (boundaries === 6) {
      await using incident = ring.freeze()
      await incident.flushed
    }
  })
  await replay(ring)
  t.match(reports, [
    { packets: 600, frozenAt: boundary(2), resolvedAt: boundary(2) },
    { packets: 700, frozenAt: boundary(4), capped: 'packets' },
  ])
})

test('awaiting resolve() in a listener, of what another one is already resolving, ends the wait', async (t) => {
  const ring = ringOf(t, { file, resolution: { packets: 2_500, duration: '5s' } })
  let incident: Incident | undefined
  let boundaries = 0
  ring.on('stats', () => {
    if (++boundaries !== 2) return
    incident = ring.freeze()
    void incident.resolve()
  })
  ring.on('stats', async () => {
    if (boundaries === 3) await incident?.resolve()
  })
  const { stats } = await replay(ring)
  t.equal(stats.length, 12)
  t.match(await incident?.finished, { packets: 3_000, frozenAt: boundary(2), resolvedAt: boundary(2) })
})

test('awaiting close() in a listener ends the wait and the ring; nothing more is told', async (t) => {
  const ring = new PcapRing({ file, directory: scratch(t) })
  let boundaries = 0
  let incident: Incident | undefined
  let ended = false
  ring.on('end', () => {
    ended = true
  })
  const closed = once(ring, 'close')
  ring.on('stats', async () => {
    if (++boundaries !== 3) return
    incident = ring.freeze()
    await ring.close()
  })
  await ring.start()
  await closed
  t.equal(boundaries, 3)
  t.equal(ended, false)
  t.match(await incident?.finished, { packets: 500, frozenAt: boundary(3), resolvedAt: boundary(3), duration: 0 })
  t.equal(fileOf(incident?.file as string).records.length, 500)
})

test('close() from elsewhere ends a wait that would never end', async (t) => {
  const ring = new PcapRing({ file, directory: scratch(t) })
  const waiting = new Promise<void>((resolve) => {
    ring.on('stats', () => {
      resolve()
      return new Promise(() => {}) as unknown as undefined
    })
  })
  await ring.start()
  await waiting
  const incident = ring.freeze()
  await ring.close()
  t.match(await incident.finished, { packets: 500, frozenAt: boundary(1) })
})
