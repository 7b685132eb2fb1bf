import type { IncidentReport, Section } from './types.js'

/** @internal What an incident needs of its ring. */
export interface IncidentLink {
  id: string
  file: string | null
  packets(): number
  /** `false`: without waiting for a resolution section. */
  resolve(withResolution: boolean): void
  /** Somebody waits for the end: a lock-step replay must go on. */
  release(): void
}

/** @internal The ring's side of an incident. */
export interface IncidentControl {
  readonly incident: Incident
  capped(): void
  flushed(sections: Section[]): void
  flushFailed(error: Error): void
  finished(report: IncidentReport): void
  failed(error: Error): void
}

/** @internal Only the ring makes incidents. */
export let makeIncident: (link: IncidentLink) => IncidentControl

/** A promise, its ends, and the assurance that nobody has to read it. */
function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let ends!: { resolve: (value: T) => void; reject: (error: Error) => void }
  const promise = new Promise<T>((resolve, reject) => {
    ends = { resolve, reject }
  })
  promise.catch(() => {})
  return { promise, ...ends }
}

const byRing = Symbol('made by a ring')

/**
 * Recording; its cap reached, and waiting for `resolve()`; resolved, and recording the resolution section or writing; finished;
 * finished with an error.
 */
export type IncidentState = 'capturing' | 'capped' | 'resolving' | 'resolved' | 'failed'

/** A recording that is open or was: made by `freeze()` and `capture()` only. */
export class Incident implements AsyncDisposable {
  readonly #link: IncidentLink
  readonly #flushed = deferred<Section[]>()
  readonly #finished = deferred<IncidentReport>()
  #state: IncidentState = 'capturing'
  #report: IncidentReport | null = null

  private constructor(link: IncidentLink, made: symbol) {
    if (made !== byRing) throw new TypeError('an Incident is made by freeze() or capture() of a PcapRing')
    this.#link = link
  }

  static {
    makeIncident = (link) => {
      const incident = new Incident(link, byRing)
      return {
        incident,
        capped: () => {
          if (incident.#state === 'capturing') incident.#state = 'capped'
        },
        flushed: (sections) => incident.#flushed.resolve(sections),
        flushFailed: (error) => incident.#flushed.reject(error),
        finished: (report) => {
          incident.#report = report
          incident.#state = report.error === null ? 'resolved' : 'failed'
          incident.#finished.resolve(report)
        },
        failed: (error) => {
          incident.#state = 'failed'
          incident.#flushed.reject(error)
          incident.#finished.reject(error)
        },
      }
    }
  }

  /** Given, or 8 random hex digits. */
  get id(): string {
    return this.#link.id
  }

  /** `<directory>/incident_<id>.pcap` (or .pcapng); null in statistics-only mode. Under this name once it is finished. */
  get file(): string | null {
    return this.#link.file
  }

  /** How far it is. */
  get state(): IncidentState {
    return this.#state
  }

  /** Packets recorded so far, those from before the freeze included. */
  get packets(): number {
    return this.#report?.packets ?? this.#link.packets()
  }

  /** Everything from before the freeze is on disk, synced. Rejects if it is not. */
  get flushed(): Promise<Section[]> {
    return this.#flushed.promise
  }

  /** Fulfils whenever a file was kept (`report.error` says what went wrong with it), else rejects. */
  get finished(): Promise<IncidentReport> {
    return this.#finished.promise
  }

  /** The attack is over: records the resolution section and ends. Idempotent; also after the cap. */
  resolve(): Promise<IncidentReport> {
    this.#end(true)
    return this.finished
  }

  /** Ends without waiting for a resolution section. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#end(false)
    const ended = this.finished.then(() => {})
    ended.catch(() => {}) // nobody has to read this one either
    return ended
  }

  #end(withResolution: boolean): void {
    if (this.#state === 'resolved' || this.#state === 'failed') return
    if (this.#state !== 'resolving' || !withResolution) this.#link.resolve(withResolution)
    this.#state = 'resolving'
    this.#link.release()
  }
}
