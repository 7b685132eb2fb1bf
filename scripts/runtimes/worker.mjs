// A host in a worker: what host.mjs does on its own thread, or a ring that is left with an open incident.

import { parentPort, workerData } from 'node:worker_threads'
import { captured, ringWith } from './steps.mjs'

const { port, directory, leaveOpen } = workerData
if (leaveOpen) {
  const ring = await ringWith(50, port, directory)
  await ring.freeze({ id: 'open' }).flushed
  parentPort.postMessage('open')
} else {
  parentPort.postMessage(await captured(port, directory))
}
