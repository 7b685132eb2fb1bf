import { EventEmitter } from 'node:events'

import { invalidArgType, invalidArgValue, PcapRingError } from '../errors.js'
import type { Incident } from '../incident.js'
import { surface } from '../lock-step.js'
import { judgeObject, judgeSignal } from '../options.js'
import type { PcapRing } from '../pcap-ring.js'
import { formatTime, parseTime } from '../time.js'
import type { Attack, IncidentReport, Onset, Severity, Stats } from '../types.js'
import { type DetectorSettings, judgeDetectorOptions } from './arguments.js'
import { Baseline } from './baseline.js'
import { addInterval, addStats, emptyInterval, type Interval, levelOf, type Mix, mixNames, noMix } from './interval.js'
import type { DetectorOptions, DetectorState, Judgement } from './types.js'
import { vectorOfMix, vectorOfTraffic } from './vector.js'

/** Events of a {@link FloodDetector}. */
export interface FloodDetectorEvents {
  /** The attack as it is now, and its incident; null: there is none, as a freeze failed. */
  attack: [Attack, Incident | null]
  /** It is over: its highest rates, the vector by what was captured; and the report, null where there is none. */
  clear: [Attack, IncidentReport | null]
}

type Measure = 'pps' | 'bps'

/** What a rate is judged by. */
interface Bound {
  cause: Attack['cause']
  measure: Measure
  at: number
}

interface Raised {
  /** All that was reached since it began, and what made it an attack. */
  reached: Bound[]
  cause: Attack['cause']
  /** Up to the attack: all of it. */
  stretch: Interval
  /** On top of what was normal; packets. */
  flood: Mix
  /** The highest. */
  pps: number
  bps: number
  /** The beginning of its first interval. */
  onsetAt: string
}

/** An attack's incident, if it has one, and its report once that is known. */
interface Following {
  incident: Incident | null
  report: IncidentReport | null
}

function follow(incident: Incident | null): Following {
  const following: Following = { incident, report: null }
  const finished = (report: IncidentReport): void => {
    following.report = report
  }
  // The ring warns of what becomes of it.
  incident?.finished.then(finished, () => {})
  return following
}

/** Below this share of every bound traffic is calm again. */
const calmBelow = 0.75
/** An interval below this share of what was raised ends it; between this and the bound, the mean decides. */
const goesOnAbove = 0.5
/**
 * Shorter intervals are judged together: packets come out of the kernel in blocks, up to `latency` apart, and a sliver of an interval
 * makes no rate.
 */
const shortestMs = 200
/** Of a state that is older than so many times its length, nothing is normal any more. */
const staleTimes = 12
/** What was learned from less is not handed on. */
const worthKeepingMs = 60_000
/** A rise may be kept as an onset for so long before it is an attack. */
const longestOnsetNs = 15_000_000_000n
const defaultLengthMs = 300_000

const severities: [number, Severity][] = [
  [4, 'low'],
  [16, 'medium'],
  [64, 'high'],
]

const severityOf = (times: number): Severity => severities.find(([below]) => times < below)?.[1] ?? 'critical'

/**
 * Finds floods in the statistics of a ring: by thresholds, by a baseline that follows the traffic and never learns an attack, or by both.
 * The same figures give the same judgements. Works without the addon, on any platform.
 *
 * `new FloodDetector()` throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`.
 */
export class FloodDetector extends EventEmitter<FloodDetectorEvents> {
  readonly #settings: DetectorSettings
  /** Also where thresholds are judged alone: what was normal before is no part of a flood's vector. */
  readonly #baseline: Baseline
  #short = emptyInterval()
  #last: { time: string; ns: bigint } | null = null
  #raised: Raised | null = null
  #attack: Attack | null = null
  #calmMs = 0
  #watched: PcapRing | null = null

  constructor(options?: DetectorOptions) {
    super()
    this.#settings = judgeDetectorOptions(options)
    const { baseline, floor, state } = this.#settings
    this.#baseline = new Baseline(baseline ?? defaultLengthMs, floor)
    if (state?.at) this.#last = { time: state.at, ns: parseTime(state.at, 'options.state.at') }
    if (state?.baseline) this.#baseline.restore(structuredClone(state.baseline), state.learned)
  }

  /** Judges an interval. */
  update(stats: Stats): Judgement {
    if (typeof stats !== 'object' || stats === null) throw invalidArgType('stats', 'object', stats)
    const unchanged: Judgement = {
      state: this.#attack === null ? 'calm' : 'attack',
      change: null,
      attack: this.#attack,
    }
    if (!(stats.interval > 0)) return unchanged
    addStats(this.#short, stats)
    if (this.#short.ms < shortestMs) return unchanged
    const interval = this.#short
    this.#short = emptyInterval()
    this.#refreshStale(interval)
    return this.#attack === null ? this.#whileCalm(interval) : this.#whileAttack(interval, this.#attack)
  }

  /** What was learned, for the next start. */
  state(): DetectorState {
    const { level, learnedMs } = this.#baseline
    const known = learnedMs >= worthKeepingMs && level !== null
    return {
      version: 1,
      at: this.#last?.time ?? null,
      baseline: known ? structuredClone(level) : null,
      learned: known ? learnedMs : 0,
    }
  }

  /** To be shown: what is normal now, inbound; null: that is not known yet, or `baseline: null` was given. */
  get baseline(): {
    /** Packets a second. */
    pps: number
    /** Bits a second. */
    bps: number
  } | null {
    const level = this.#settings.baseline === null ? null : this.#baseline.level
    return level && { pps: level.pps, bps: level.bps }
  }

  /** To be shown: what would be an attack now, inbound, the lower of the option and of what the baseline allows; null: there is neither. */
  get thresholds(): {
    /** Packets a second; null: not judged. */
    pps: number | null
    /** Bits a second; null: not judged. */
    bps: number | null
  } {
    const lowest = (wanted: Measure): number | null => {
      const all = this.#bounds().flatMap(({ measure, at }) => (measure === wanted ? [at] : []))
      return all.length === 0 ? null : Math.min(...all)
    }
    return { pps: lowest('pps'), bps: lowest('bps') }
  }

  /**
   * Freezes the ring at an attack and resolves the incident when it clears, or when a replay ends. The attack is in the report.
   * A freeze that fails is a `warning` of the ring. Disposing of it, or the signal, ends it, and the incident with it.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`: it watches a ring already
   */
  watch(ring: PcapRing, options?: { signal?: AbortSignal | undefined }): Disposable {
    if (typeof (ring as Partial<PcapRing> | null)?.freeze !== 'function') throw invalidArgType('ring', 'PcapRing', ring)
    if (this.#watched !== null) throw invalidArgValue('ring', ring, 'must be the only one: a detector watches one ring')
    const signal = judgeSignal(judgeObject(options, 'options').signal)
    this.#watched = ring
    let following: Following = { incident: null, report: null }
    let onset: Onset | null = null
    /** Attacks that are over, and whose reports are waited for. */
    const over = new Set<() => void>()

    const clear = (attack: Attack): void => {
      const followed = following
      following = { incident: null, report: null }
      onset = null
      const tell = (): void => {
        if (!over.delete(tell)) return
        letGo()
        // What a listener throws is the host's: the ring's other listeners hear of its close all the same.
        try {
          this.#tellClear(attack, followed.report)
        } catch (error) {
          surface(error)
        }
      }
      over.add(tell)
      void Promise.resolve(followed.incident?.resolve()).then(tell, tell)
    }
    const onStats = (stats: Stats): void => {
      const { change, attack } = this.update(stats)
      if (attack === null || change === null) return
      if (change === 'clear') {
        clear(attack)
        return
      }
      const began = this.#withOnset(attack, onset)
      following = follow(this.#freeze(ring, began))
      this.emit('attack', began, following.incident)
    }
    const onOnset = (kept: Onset): void => {
      onset = kept
    }
    let ended = false
    const end = (): void => {
      if (ended) return
      ended = true
      ring.off('stats', onStats).off('onset', onOnset).off('end', end)
      signal?.removeEventListener('abort', end)
      this.#watched = null
      const attack = this.#attack
      this.#attack = this.#raised = null
      if (attack !== null) clear(attack)
      letGo()
    }
    // Its incidents are complete, so nothing is left to wait for; and who ends with the ring is to hear of the attack's end before.
    const onClose = (): void => {
      end()
      for (const tell of [...over]) tell()
    }
    const letGo = (): void => {
      if (ended && over.size === 0) ring.off('close', onClose)
    }
    if (signal?.aborted || ring.mode === 'closed') {
      end()
    } else {
      ring.on('stats', onStats).on('onset', onOnset).on('end', end).prependListener('close', onClose)
      signal?.addEventListener('abort', end, { once: true })
    }
    return { [Symbol.dispose]: end }
  }

  // ------------------------------------------------------------------------------------------- judging

  /** After a long time without figures, as when a state is brought back, nobody knows what is normal. */
  #refreshStale({ time, ms }: Interval): void {
    const before = this.#last
    this.#last = { time, ns: parseTime(time, 'stats.time') }
    if (before === null) return
    const length = this.#settings.baseline ?? defaultLengthMs
    if (Number(this.#last.ns - before.ns) / 1e6 - ms > staleTimes * length) this.#baseline.forget()
  }

  #bounds(): Bound[] {
    const { pps, bps, factor, floor, baseline } = this.#settings
    const bounds: Bound[] = []
    if (pps !== null) bounds.push({ cause: 'pps', measure: 'pps', at: pps })
    if (bps !== null) bounds.push({ cause: 'bps', measure: 'bps', at: bps })
    const { level } = this.#baseline
    if (baseline === null || level === null) return bounds
    for (const measure of ['pps', 'bps'] as const) {
      bounds.push({ cause: 'baseline', measure, at: Math.max(floor[measure], factor * level[measure]) })
    }
    return bounds
  }

  #whileCalm(interval: Interval): Judgement {
    const bounds = this.#bounds()
    const raised = this.#raisedBy(interval, bounds)
    this.#raised = raised
    if (raised === null) {
      this.#baseline.learn(interval)
      return { state: 'calm', change: null, attack: null }
    }
    this.#add(interval, raised, bounds)
    if (raised.stretch.ms < this.#settings.sustain) return { state: 'calm', change: null, attack: null }
    const mean = levelOf(raised.stretch)
    raised.cause = (bounds.find(({ measure, at }) => mean[measure] >= at) as Bound).cause
    this.#baseline.forgetNewest()
    this.#calmMs = 0
    this.#attack = this.#describe(interval.time, raised)
    return { state: 'attack', change: 'attack', attack: this.#attack }
  }

  /** The stretch that this interval belongs to, with it: one that begins, or goes on; null: neither. */
  #raisedBy(interval: Interval, bounds: readonly Bound[]): Raised | null {
    const rates = levelOf(interval)
    const before = this.#raised
    if (before !== null) {
      const stretch = emptyInterval()
      addInterval(stretch, before.stretch)
      addInterval(stretch, interval)
      const mean = levelOf(stretch)
      const goesOn = bounds.some(({ measure, at }) => mean[measure] >= at && rates[measure] >= at * goesOnAbove)
      if (goesOn) return { ...before, stretch }
    }
    if (!bounds.some(({ measure, at }) => rates[measure] >= at)) return null
    const { time, ms } = interval
    const sinceNs = parseTime(time, 'stats.time') - BigInt(Math.round(ms * 1e6))
    const onsetAt = formatTime(sinceNs, /\.\d{9}Z$/.test(time) ? 'nano' : 'micro')
    const stretch = emptyInterval()
    addInterval(stretch, interval)
    return { reached: [], cause: 'baseline', stretch, flood: noMix(), pps: 0, bps: 0, onsetAt }
  }

  #whileAttack(interval: Interval, before: Attack): Judgement {
    const raised = this.#raised as Raised
    const bounds = this.#bounds()
    const rates = levelOf(interval)
    const calm = bounds.every(({ measure, at }) => rates[measure] < at * calmBelow)
    this.#calmMs = calm ? this.#calmMs + interval.ms : 0
    if (!calm) {
      this.#add(interval, raised, bounds)
      const { at, onsetAt } = before
      this.#attack = { ...this.#describe(interval.time, raised), at, onsetAt }
    }
    const attack = this.#attack
    if (this.#calmMs < this.#settings.clear) return { state: 'attack', change: null, attack }
    this.#attack = this.#raised = null
    return { state: 'calm', change: 'clear', attack }
  }

  #add(interval: Interval, raised: Raised, bounds: readonly Bound[]): void {
    const rates = levelOf(interval)
    raised.pps = Math.max(raised.pps, rates.pps)
    raised.bps = Math.max(raised.bps, rates.bps)
    raised.reached = bounds.filter(
      (bound) =>
        rates[bound.measure] >= bound.at ||
        raised.reached.some(({ cause, measure }) => cause === bound.cause && measure === bound.measure),
    )
    const normal = this.#baseline.level?.mix
    for (const name of mixNames) {
      raised.flood[name] += Math.max(0, interval.mix[name] - ((normal?.[name] ?? 0) * interval.ms) / 1_000)
    }
  }

  #describe(time: string, { reached, cause, flood, pps, bps, onsetAt }: Raised): Attack {
    // Over what fired: both measures, but of thresholds or of the baseline only.
    const alike = reached.filter((bound) => (bound.cause === 'baseline') === (cause === 'baseline'))
    const over = Math.max(1, ...alike.map(({ measure, at }) => (measure === 'pps' ? pps : bps) / at))
    return {
      at: time,
      onsetAt,
      pps,
      bps,
      baseline: this.baseline ?? { pps: 0, bps: 0 },
      cause,
      vector: vectorOfMix(flood),
      severity: severityOf(over),
    }
  }

  // ------------------------------------------------------------------------------------------- watching

  /** The ring knows to the packet when it began; unless that was another rise. */
  #withOnset(attack: Attack, onset: Onset | null): Attack {
    if (onset === null || attack.onsetAt === null) return attack
    const differenceNs = parseTime(attack.onsetAt, 'onsetAt') - parseTime(onset.at, 'onset.at')
    // It may have begun anywhere in the first interval, or have grown for a while before it was reached.
    const raisedNs = BigInt(Math.ceil((this.#raised?.stretch.ms ?? 0) * 1e6))
    const near = -differenceNs <= raisedNs && differenceNs < longestOnsetNs
    if (!near) return attack
    const exact = { ...attack, onsetAt: onset.at }
    this.#attack = exact
    return exact
  }

  #freeze(ring: PcapRing, attack: Attack): Incident | null {
    const { vector, severity, pps, bps, onsetAt } = attack
    try {
      return ring.freeze({
        attack,
        ...(onsetAt !== null && { since: onsetAt }),
        reason: `${vector}, ${severity}: ${Math.round(pps)} packets and ${Math.round(bps)} bits a second inbound`,
      })
    } catch (error) {
      const warning =
        error instanceof PcapRingError ? error : new PcapRingError('ERR_PCAP_KERNEL', String(error), { cause: error })
      if (ring.listenerCount('warning') > 0) ring.emit('warning', warning)
      else process.emitWarning(warning)
      return null
    }
  }

  #tellClear(attack: Attack, report: IncidentReport | null): void {
    const vector = report?.traffic ? vectorOfTraffic(attack.vector, report.traffic) : attack.vector
    this.emit('clear', { ...attack, vector }, report)
  }
}
