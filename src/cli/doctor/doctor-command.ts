import { printable } from '../../figures.js'
import type { PcapRingError } from '../../index.js'
import type { DoctorArgs } from '../args.js'
import { columns } from '../help.js'
import type { Output } from '../output.js'
import { CommandError, jsonLine } from '../output.js'
import { gatherFacts } from './facts.js'
import type { Finding } from './finding.js'
import { judgeFacts } from './judge.js'
import { judgeSteps, recordLoopback } from './self-test.js'

/** `pcap-ring doctor`. @throws {CommandError} if there can be no captures */
export async function doctorCommand(args: DoctorArgs, output: Output, stop: AbortSignal): Promise<void> {
  const facts = await gatherFacts(args.device, args.directory)
  const findings = judgeFacts(facts)
  for (const finding of findings) tell(finding, args, output)
  const [permission] = findings
  if (permission?.level !== 'failure') tell(await rateOf(output, stop), args, output)

  const failures = findings.filter(({ level }) => level === 'failure')
  if (args.json) output.out(jsonLine('doctor', { device: facts.deviceName, canCapture: failures.length === 0 }))
  if (failures.length > 0) {
    throw new CommandError(`cannot capture: see ${failures.map(({ name }) => name).join(', ')}`)
  }
}

async function rateOf(output: Output, stop: AbortSignal): Promise<Finding> {
  output.status('recording what this machine sends to itself, for two seconds')
  try {
    return judgeSteps(await recordLoopback(stop))
  } catch (error) {
    const { code, message } = error as PcapRingError
    const text = 'not measured: nothing can be recorded on loopback'
    const remedy = code === 'ERR_PCAP_DEVICE_DOWN' ? 'ip link set lo up' : message
    return { name: 'rate', level: 'warning', text, remedy, value: { code } }
  } finally {
    output.status(null)
  }
}

function tell(finding: Finding, { json }: DoctorArgs, output: Output): void {
  if (json) {
    output.out(jsonLine('finding', finding))
    return
  }
  const { name, level, text, remedy } = finding
  const rows: [string, string][] = [[`${level.padEnd(8)} ${name.padEnd(10)}`, printable(text)]]
  if (remedy !== null) rows.push([''.padEnd(19), `→ ${printable(remedy)}`])
  output.out(`${columns(rows).join('\n')}\n`)
}
