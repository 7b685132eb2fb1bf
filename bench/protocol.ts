// What the bench and a Node process that it measures say to each other.

export interface HostConfig {
  /** A contestant of the kind `host`. */
  kind: string
  device: string
  /** Whether it has a timer whose delays are kept: that takes more CPU time than a ring does. */
  timer: boolean
  /** For incidents. */
  directory: string
  /** Of the library. */
  root: string
}

/** On the monotonic clock, which all processes share, ns. */
export interface Window {
  from: number
  to: number
}

export type Order =
  /** Answered once the state is reached that is to be measured. */
  | { do: 'reach' }
  /** The measured window has ended; there is no answer. */
  | { do: 'note' }
  /** The sender has ended. */
  | { do: 'result'; window: Window }
  /** So many freezes one after the other, or as many as there is time for. */
  | { do: 'freeze'; count: number; forMs: number }

export interface HostResult {
  /** As the contestant counts; null where it does not. */
  lost: number | null
  /** Packets that reached it; null where all that the kernel did not drop do. */
  received: number | null
  sampling: number | null
  /** Longest delay of the timer within the window; null where there is none. */
  timerMs: number | null
}

export type Answer = { ready: true } | { done: HostResult | number[] | null } | { failed: string }
