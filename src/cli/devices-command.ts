import { printable } from '../figures.js'
import { devices } from '../index.js'
import type { DevicesArgs } from './args.js'
import type { Output } from './output.js'
import { jsonLine } from './output.js'

/** `pcap-ring devices`. */
export function devicesCommand({ json }: DevicesArgs, output: Output): void {
  const found = devices()
  if (json) {
    output.out(jsonLine('devices', found))
    return
  }
  const widest = Math.max(0, ...found.map(({ name }) => name.length))
  for (const { name, description, addresses, up, running, loopback } of found) {
    const state = !up ? 'down' : running ? 'up' : 'no carrier'
    const rest = [...(loopback ? ['loopback'] : []), ...addresses, ...(description === null ? [] : [description])]
    const line = `${printable(name.padEnd(widest))}  ${state.padEnd(10)}  ${printable(rest.join('  '))}`
    output.out(`${line.trimEnd()}\n`)
  }
}
