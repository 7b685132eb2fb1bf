import { printable } from '../figures.js'
import { version } from '../version.js'
import { archiveCommand } from './archive-command.js'
import { parseCommandLine, UsageError } from './args.js'
import { devicesCommand } from './devices-command.js'
import { doctorCommand } from './doctor/doctor-command.js'
import { captureCommand, watchCommand } from './live-command.js'
import type { Output } from './output.js'
import { reportCommand } from './report-command.js'

/**
 * One command from its arguments to its exit status: 0 done, 1 failed, 2 wrong usage. Aborting `stop` completes what is
 * open and is no failure.
 */
export async function run(argv: readonly string[], output: Output, stop: AbortSignal): Promise<0 | 1 | 2> {
  try {
    await dispatch(argv, output, stop)
    return 0
  } catch (error) {
    const wrongUsage = error instanceof UsageError || isArgumentError(error)
    output.err(`pcap-ring: ${printable((error as Error).message)}`)
    return wrongUsage ? 2 : 1
  }
}

async function dispatch(argv: readonly string[], output: Output, stop: AbortSignal): Promise<void> {
  const args = parseCommandLine(argv)
  switch (args.command) {
    case 'help':
      return output.out(args.text)
    case 'version':
      return output.out(`${version}\n`)
    case 'watch':
    case 'replay':
      return watchCommand(args, output, stop)
    case 'capture':
      return captureCommand(args, output, stop)
    case 'report':
      return reportCommand(args, output)
    case 'devices':
      return devicesCommand(args, output)
    case 'doctor':
      return doctorCommand(args, output, stop)
    default:
      return archiveCommand(args, output, stop)
  }
}

/** What the ring refuses of the arguments is wrong usage too. */
function isArgumentError(error: unknown): boolean {
  return /^ERR_(INVALID_ARG_|OUT_OF_RANGE)/.test(String((error as NodeJS.ErrnoException).code))
}
