/** One thing that was looked at. */
export interface Finding {
  name: 'permission' | 'libpcap' | 'kernel' | 'jit' | 'device' | 'offloads' | 'directory' | 'clock' | 'rate'
  /** `note`: to know; `warning`: captures are worse for it; `failure`: there are none. */
  level: 'ok' | 'note' | 'warning' | 'failure'
  text: string
  /** What to do; null: nothing. */
  remedy: string | null
  /** What it was judged by. */
  value: unknown
}
