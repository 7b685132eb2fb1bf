import type { NativeRing } from './native.js'

// Node ends the main thread's environment without the cleanup hooks that a worker's runs. So that process.exit() and an
// uncaught error complete the open incidents too, one listener closes what is open; it is there only while a ring is.
const open = new Set<NativeRing>()

function endAll(): void {
  for (const ring of open) ring.close()
  for (const ring of open) ring.join()
}

/** Completes what the ring has open when the process ends before it is closed; waits for it then. */
export function endAtExit(ring: NativeRing): void {
  if (open.size === 0) process.on('exit', endAll)
  open.add(ring)
}

export function forgetAtExit(ring: NativeRing): void {
  open.delete(ring)
  if (open.size === 0) process.off('exit', endAll)
}
