import { EventEmitter } from 'node:events'
import { join } from 'node:path'

import { Delivery } from './delivery.js'
import { emptyStats } from './empty-stats.js'
import type { PcapRingErrorCode } from './errors.js'
import { PcapRingError } from './errors.js'
import { endAtExit, forgetAtExit } from './exit.js'
import type { Incident, IncidentControl } from './incident.js'
import { makeIncident } from './incident.js'
import { LockStep, surface } from './lock-step.js'
import type { NativeRing } from './native.js'
import { loadAddon } from './native.js'
import type { Cap, IncidentSettings, Resolution, RingSettings } from './options.js'
import {
  judgeFreezeOptions,
  judgeManualOptions,
  judgeObject,
  judgePath,
  judgeRingOptions,
  judgeSignal,
} from './options.js'
import type {
  ArchivedCapture,
  CapReason,
  Device,
  DumpReport,
  FreezeOptions,
  IncidentReport,
  ManualOptions,
  Onset,
  PcapRingEvents,
  PcapRingOptions,
  Section,
  Stats,
} from './types.js'
import { version } from './version.js'

/** A start as the core tells of it. */
interface Started {
  mode: 'capture' | 'statistics'
  device: string | null
}

/** A failure as the core tells of it (native/incident/types.h, ErrorJson). */
interface NativeFailure {
  code: PcapRingErrorCode
  message: string
  errno?: number
  syscall?: string
}

const toError = (json: string): PcapRingError => {
  const { code, message, errno, syscall } = JSON.parse(json) as NativeFailure
  return new PcapRingError(code, message, { errno, syscall })
}

/** The network devices. Those without a permission to capture are listed too. */
export function devices(): Device[] {
  const addon = loadAddon()
  try {
    return addon.devices()
  } catch (cause) {
    throw new PcapRingError('ERR_PCAP_KERNEL', (cause as Error).message, { cause })
  }
}

interface Dump {
  resolve(report: DumpReport): void
  reject(error: Error): void
}

const noBounds: Cap = { packets: Infinity, bytes: Infinity, duration: Infinity }
const noResolution: Resolution = { packets: 0, duration: 0, reserve: false }

/**
 * The newest packets of a device, or of a recording that is replayed, kept in memory; and the incidents that are
 * written from them.
 *
 * `new PcapRing()` judges types and ranges and throws at once: `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`,
 * `ERR_OUT_OF_RANGE`, `ERR_PCAP_NATIVE_MISSING`.
 */
export class PcapRing extends EventEmitter<PcapRingEvents> implements AsyncDisposable {
  readonly #settings: RingSettings
  #native: NativeRing | null = null
  #mode: 'idle' | 'capture' | 'statistics' | 'closed' = 'idle'
  #device: string | null
  #refed = true
  #stats: Stats
  #lastHandle = 0
  readonly #open = new Map<number, IncidentControl>()
  readonly #dumps = new Map<number, Dump>()
  readonly #delivery: Delivery | null
  readonly #lockStep = new LockStep((boundary) => this.#native?.continue(boundary))
  #starting: Promise<void> | null = null
  #startEnds: { resolve: () => void; reject: (error: unknown) => void } | null = null
  /** Why a start under way will fail, once the core has ended. */
  #startFailure: { reason: unknown } | null = null
  #closing: Promise<void> | null = null
  #closed: (() => void) | null = null

  constructor(options?: PcapRingOptions) {
    super()
    this.#settings = judgeRingOptions(options)
    this.#device = this.#settings.device === '' ? null : this.#settings.device
    this.#stats = emptyStats('capture', this.#settings.precision)
    const { archive, directory } = this.#settings
    const hooks = {
      delivered: (report: IncidentReport, archived: ArchivedCapture) => this.#emit('archive', report, archived),
      warn: (error: PcapRingError) => this.#warn(error),
    }
    this.#delivery = archive && new Delivery(archive, directory, hooks)
    loadAddon()
  }

  /** `'idle'` until `start()` has resolved. */
  get mode(): 'idle' | 'capture' | 'statistics' | 'closed' {
    return this.#mode
  }

  /** The device that is captured on, the default route's once `start()` has found it; null in a replay. */
  get device(): string | null {
    return this.#device
  }

  /** The open incidents. */
  get incidents(): readonly Incident[] {
    return Array.from(this.#open.values(), ({ incident }) => incident)
  }

  /**
   * Resolves when packets are captured, or (without the permission to) in statistics-only mode. Concurrent calls share
   * one start; after a rejection it may be tried again.
   * @throws (rejects) {PcapRingError} `ERR_PCAP_PERMISSION` with `fallback: false`, `_NO_SUCH_DEVICE`, `_DEVICE_DOWN`,
   *   `_BAD_FILTER`, `_BAD_FILE`, `_WRITE` and `_NO_SPACE` for the directory, `_CLOSED`; the signal's reason
   */
  start(options?: { signal?: AbortSignal | undefined }): Promise<void> {
    try {
      const signal = judgeSignal(judgeObject(options, 'options').signal)
      if (this.#closing !== null) throw closedError()
      signal?.throwIfAborted()
      this.#starting ??= unread(this.#launch())
      if (signal !== undefined) this.#abortStartWith(signal, this.#starting)
      return this.#starting
    } catch (error) {
      return unread(Promise.reject(error))
    }
  }

  /**
   * Freezes the ring: what it holds opens the file of a new incident, and what follows is recorded until `resolve()`
   * or the cap. The boundary is the moment of the call.
   * @throws `ERR_INVALID_ARG_*`, `ERR_OUT_OF_RANGE`; {PcapRingError} `ERR_PCAP_NOT_STARTED`, `_CLOSED`, and
   *   `_FILE_EXISTS` for an id that is open in this ring
   */
  freeze(options?: FreezeOptions): Incident {
    const settings = judgeFreezeOptions(options, this.#settings)
    return this.#openIncident('incident', settings).incident
  }

  /**
   * Records from now on, on demand; ends by itself after 30 s or 10,000 packets unless `cap` says otherwise.
   * @throws as {@link freeze}
   */
  capture(options?: ManualOptions): Incident {
    const { settings, signal } = judgeManualOptions(options, this.#settings)
    const { incident } = this.#openIncident('manual', settings)
    if (signal !== undefined) {
      const end = (): void => void incident.resolve()
      if (signal.aborted) {
        end()
      } else {
        signal.addEventListener('abort', end, { once: true })
        const forget = (): void => signal.removeEventListener('abort', end)
        incident.finished.then(forget, forget)
      }
    }
    this.#lockStep.releaseAfterTurn()
    return incident
  }

  /**
   * Writes the ring as it stands, its newest `ring.packets` packets, to a new file. The ring goes on.
   * @throws (rejects) `ERR_INVALID_ARG_*`; {PcapRingError} `ERR_PCAP_FILE_EXISTS`, `_NOT_STARTED`, `_CLOSED`, `_WRITE`,
   *   `_NO_SPACE`; `_PERMISSION` in statistics-only mode
   */
  dump(file: string): Promise<DumpReport> {
    return unread(this.#dump(file))
  }

  async #dump(file: string): Promise<DumpReport> {
    const path = judgePath(file, 'file')
    const native = this.#started()
    if (this.#mode === 'statistics') {
      throw new PcapRingError('ERR_PCAP_PERMISSION', 'there are no packets to dump: the ring only has statistics')
    }
    return new Promise((resolve, reject) => {
      const handle = ++this.#lastHandle
      this.#dumps.set(handle, { resolve, reject })
      native.open(this.#recording(handle, 'dump', path, '', emptyIncident))
    })
  }

  /** The last completed interval; all zero before the first. Calling it changes nothing. */
  stats(): Stats {
    return this.#stats
  }

  /** Completes every open incident, without waiting for resolution sections, and ends the ring. Idempotent, final. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#closed = resolve
      if (this.#native === null) {
        // Nothing runs; the event still comes in a later turn.
        setImmediate(() => this.#onClosed())
      } else {
        if (this.#mode === 'idle') this.#startFailure ??= { reason: closedError() }
        this.#native.ref()
        this.#native.close()
      }
    })
    return this.#closing
  }

  /** As {@link PcapRing.close}: `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** A started ring keeps the process alive (the default). */
  ref(): this {
    this.#refed = true
    this.#native?.ref()
    return this
  }

  /** A started ring does not keep the process alive. */
  unref(): this {
    this.#refed = false
    // Starting and closing end by themselves, and whoever awaits them must hear of it.
    if (this.#mode !== 'idle' && this.#closing === null) this.#native?.unref()
    return this
  }

  #started(): NativeRing {
    if (this.#closing !== null || this.#mode === 'closed') throw closedError()
    if (this.#native === null || this.#mode === 'idle') {
      throw new PcapRingError('ERR_PCAP_NOT_STARTED', 'the ring has not been started; await start() first')
    }
    return this.#native
  }

  // ------------------------------------------------------------------------------------------- start and end

  #launch(): Promise<void> {
    const { Ring } = loadAddon()
    const settings = this.#settings
    const { file } = settings
    this.#startFailure = null
    this.#native = new Ring(
      {
        replay: file !== null,
        path: typeof file === 'string' ? file : '',
        bytes: typeof file === 'string' ? null : file,
        paced: settings.pace === 'recorded',
        device: settings.device,
        filter: settings.filter,
        direction: settings.direction,
        snaplen: settings.snaplen,
        promiscuous: settings.promiscuous,
        ringPackets: settings.ringPackets,
        ringBytes: settings.ringBytes,
        lookback: settings.lookback,
        onsetFactor: settings.onset.factor,
        onsetMinPps: settings.onset.minPps,
        onsetMinBps: settings.onset.minBps,
        kernelBuffer: settings.kernelBuffer,
        latency: settings.latency,
        cpuBudget: settings.cpuBudget ?? 0,
        fallBack: settings.fallback !== false,
        statsInterval: settings.statsInterval,
        precision: settings.precision,
        format: settings.format,
        directory: settings.directory,
        minFree: settings.minFree ?? -1,
        keepAge: settings.keep.age ?? -1,
        keepBytes: settings.keep.bytes ?? -1,
        delivers: this.#delivery !== null,
        version,
        nodeVersion: process.version,
      },
      (name, handle, json, boundary) => this.#onNative(name, handle, json, boundary),
    )
    endAtExit(this.#native)
    const started = new Promise<void>((resolve, reject) => {
      this.#startEnds = { resolve, reject }
    })
    this.#native.start()
    return started
  }

  #abortStartWith(signal: AbortSignal, starting: Promise<void>): void {
    const abort = (): void => {
      if (this.#mode !== 'idle') return
      this.#startFailure ??= { reason: signal.reason }
      this.#native?.close()
    }
    const forget = (): void => signal.removeEventListener('abort', abort)
    signal.addEventListener('abort', abort, { once: true })
    starting.then(forget, forget)
  }

  #onStarted({ mode, device }: Started): void {
    // Aborted or closed meanwhile: the core is ending already.
    if (this.#startFailure !== null) return
    this.#mode = mode
    this.#device = device
    this.#stats = emptyStats(mode, this.#settings.precision)
    if (!this.#refed) this.#native?.unref()
    this.#startEnds?.resolve()
    this.#startEnds = null
    this.#emit('start')
    this.#delivery?.resume()
    // Whoever awaits start() has this turn to freeze, capture or listen before the first packet is read.
    if (this.#settings.file !== null) setImmediate(() => this.#native?.begin())
  }

  /** The core has ended: its threads have nothing left to do. */
  #onClosed(): void {
    if (this.#native !== null) {
      this.#native.join()
      forgetAtExit(this.#native)
      this.#native = null
    }
    this.#lockStep.stop()
    const error = closedError()
    for (const control of this.#open.values()) control.failed(error)
    for (const dump of this.#dumps.values()) dump.reject(error)
    this.#open.clear()
    this.#dumps.clear()
    if (this.#startEnds !== null) {
      const { reject } = this.#startEnds
      this.#startEnds = null
      this.#starting = null
      reject(this.#startFailure?.reason)
      // A start that failed may be tried again.
      if (this.#closing === null) return
    }
    this.#mode = 'closed'
    this.#delivery?.close()
    this.#closing ??= Promise.resolve()
    this.#emit('close')
    this.#closed?.()
  }

  // ------------------------------------------------------------------------------------------- incidents

  #openIncident(kind: 'incident' | 'manual', settings: IncidentSettings): IncidentControl {
    const native = this.#started()
    const { id } = settings
    for (const { incident } of this.#open.values()) {
      if (incident.id === id) throw new PcapRingError('ERR_PCAP_FILE_EXISTS', `incident ${id} is open in this ring`)
    }
    const stem = join(this.#settings.directory, `incident_${id}`)
    const path = `${stem}.${this.#settings.format}`
    const handle = ++this.#lastHandle
    const control = makeIncident({
      id,
      file: this.#mode === 'statistics' ? null : path,
      packets: () => this.#native?.packets(handle) ?? 0,
      resolve: (withResolution) => this.#native?.resolve(handle, withResolution),
      release: () => this.#lockStep.releaseAfterTurn(),
    })
    this.#open.set(handle, control)
    if (control.incident.file !== null) this.#delivery?.expect(id)
    native.open(this.#recording(handle, kind, path, `${stem}.json`, settings))
    return control
  }

  #recording(
    handle: number,
    kind: 'incident' | 'manual' | 'dump',
    path: string,
    reportPath: string,
    { id, reason, labels, attack, since, cap, resolution }: IncidentSettings,
  ): Parameters<NativeRing['open']>[0] {
    return {
      handle,
      kind,
      id,
      path,
      reportPath,
      reason: JSON.stringify(reason),
      labels: JSON.stringify(labels),
      attack,
      comment: commentOf(kind, id, reason),
      since,
      capPackets: cap.packets,
      capBytes: cap.bytes,
      capDuration: cap.duration,
      resolutionPackets: resolution.packets,
      resolutionDuration: resolution.duration,
      resolutionReserve: resolution.reserve,
      statsInterval: this.#settings.statsInterval,
    }
  }

  #onFinished(handle: number, json: string): void {
    const dump = this.#dumps.get(handle)
    if (dump !== undefined) {
      this.#forget(handle)
      dump.resolve(JSON.parse(json) as DumpReport)
      return
    }
    const control = this.#open.get(handle)
    if (control === undefined) return
    this.#forget(handle)
    const report = JSON.parse(json) as IncidentReport
    control.finished(report)
    this.#emit('resolve', control.incident, report)
    this.#delivery?.deliver(report)
  }

  #onFailed(handle: number, error: PcapRingError): void {
    const dump = this.#dumps.get(handle)
    if (dump !== undefined) {
      this.#forget(handle)
      dump.reject(error)
      return
    }
    const control = this.#open.get(handle)
    this.#forget(handle)
    if (control === undefined) return
    control.failed(error)
    this.#delivery?.drop(control.incident.id)
  }

  #forget(handle: number): void {
    this.#open.delete(handle)
    this.#dumps.delete(handle)
    this.#native?.forget(handle)
  }

  // ------------------------------------------------------------------------------------------- events

  #onNative(name: string, handle: number, json: string, boundary: number): void {
    const control = this.#open.get(handle)
    switch (name) {
      case 'started':
        this.#onStarted(JSON.parse(json) as Started)
        break
      case 'startFailed':
        this.#startFailure ??= { reason: toError(json) }
        break
      case 'stats':
        // Whoever has called close() has done with them; a listener that freezes could only fail.
        if (this.#closing === null) {
          this.#stats = JSON.parse(json) as Stats
          this.#lockStep.deliver(this.rawListeners('stats'), this, this.#stats, boundary)
        }
        break
      case 'warning':
        this.#warn(toError(json))
        break
      case 'onset':
        // As with stats: a listener that freezes could only fail after close().
        if (this.#closing === null) this.#emit('onset', JSON.parse(json) as Onset)
        break
      case 'expire':
        this.#emit('expire', JSON.parse(json) as string)
        break
      case 'freeze':
        if (control !== undefined) this.#emit('freeze', control.incident)
        break
      case 'flush': {
        const sections = JSON.parse(json) as Section[]
        control?.flushed(sections)
        if (control !== undefined) this.#emit('flush', control.incident, sections)
        break
      }
      case 'flushFailed':
        control?.flushFailed(toError(json))
        break
      case 'cap':
        control?.capped()
        if (control !== undefined) this.#emit('cap', control.incident, JSON.parse(json) as CapReason)
        break
      case 'finished':
        this.#onFinished(handle, json)
        break
      case 'failed':
        this.#onFailed(handle, toError(json))
        break
      case 'down':
        this.#emit('down', toError(json))
        break
      case 'up':
        this.#emit('up')
        break
      case 'end':
        this.#emit('end')
        break
      case 'died':
        this.#closing ??= new Promise((resolve) => {
          this.#closed = resolve
        })
        // It closes by itself from here on, and whoever awaits close() must hear of it.
        this.#native?.ref()
        this.#emit('error', toError(json))
        break
      case 'closed':
        this.#onClosed()
        break
    }
  }

  #warn(error: PcapRingError): void {
    if (this.listenerCount('warning') > 0) this.#emit('warning', error)
    else process.emitWarning(error)
  }

  /** What a listener throws is the host's own error: it surfaces as such, and the ring's own work goes on. */
  #emit<K extends keyof PcapRingEvents>(name: K, ...args: PcapRingEvents[K]): void {
    try {
      // The map's tuple and EventEmitter's own conditional type are the same; TypeScript cannot see it here.
      ;(this.emit as (name: K, ...args: PcapRingEvents[K]) => boolean).call(this, name, ...args)
    } catch (error) {
      surface(error)
    }
  }

  /**
   * @internal A host may have turned captureRejections on for all emitters (the option of one cannot turn it off): what
   * its listeners reject with is its own all the same, and no `error` of the ring.
   */
  override [EventEmitter.captureRejectionSymbol](error: Error, ..._event: unknown[]): void {
    void Promise.reject(error)
  }
}

const emptyIncident: IncidentSettings = {
  id: '',
  reason: null,
  labels: {},
  attack: 'null',
  since: null,
  cap: noBounds,
  resolution: noResolution,
}

/** What tshark and Wireshark show of a .pcapng as a whole. */
function commentOf(kind: 'incident' | 'manual' | 'dump', id: string, reason: string | null): string {
  if (kind === 'dump') return ''
  return `${kind === 'manual' ? 'capture' : 'incident'} ${id}${reason === null ? '' : `: ${reason}`}`
}

const closedError = (): PcapRingError => new PcapRingError('ERR_PCAP_CLOSED', 'the ring is closed; make a new one')

/** No promise that a host leaves unread becomes an unhandled rejection. */
function unread<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
