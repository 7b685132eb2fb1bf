// What the bench and a Node process that it measures say to each other.

export interface HostConfig {
  /** A contestant of the kind `host`. */
  kind: string
  device: string
  /** For incidents. */
  directory: string
  /** Of the library. */
  root: string
}

export type Order =
  /** Answered once the state is reached that is to be measured. */
  | { do: 'reach' }
  /** The measured window has ended; there is no answer. */
  | { do: 'note' }
  /**
   * From now on a 10 ms timer runs; there is no answer. `from`: when that was said, ns on the monotonic clock, which all processes
   * share: where the order itself is held up, so is the timer.
   */
  | { do: 'timer'; from: number }
  /** The sender has ended. */
  | { do: 'result' }
  /** So many freezes one after the other, or as many as there is time for. */
  | { do: 'freeze'; count: number; forMs: number }

export interface HostResult {
  /** As the contestant counts; null where it does not. */
  lost: number | null
  /** Packets that reached it; null where all that the kernel did not drop do. */
  received: number | null
  sampling: number | null
  /** Longest delay of the timer; null where there was none. */
  timerMs: number | null
}

export type Answer = { ready: true } | { done: HostResult | number[] | null } | { failed: string }
