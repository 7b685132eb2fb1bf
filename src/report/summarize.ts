import { readFile, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

import { invalidArgType, PcapRingError } from '../errors.js'
import type { IncidentReport } from '../types.js'
import { readRecording, sha256Of } from './recording.js'
import { isIncidentReport } from './shapes.js'
import type { AnyReport } from './types.js'

/**
 * The report of a capture: the JSON beside it if that tells of just these bytes (by their SHA-256, where it has one), else what
 * the file says of itself. Of a damaged one, what could be read. A report's own name gives that report.
 * @param file path or file URL of a .pcap, a .pcapng or a report
 * @throws `ERR_INVALID_ARG_TYPE`
 * @throws {PcapRingError} `ERR_PCAP_BAD_FILE`: cannot be read (`errno`), or a .json that is no report
 */
export async function summarize(file: string | URL): Promise<AnyReport> {
  return (await summary(pathOf(file))).report
}

/** `refused`: why a report beside the capture was not taken. */
export async function summary(file: string): Promise<{ report: AnyReport; refused: string | null }> {
  const bytes = await sizeOf(file)
  if (file.endsWith('.json')) return { report: await readReport(file), refused: null }
  let refused: string | null = null
  const beside = besideOf(file)
  if (beside !== null && (await exists(beside))) {
    try {
      const report = await readReport(beside)
      refused = await differs(report, file, bytes)
      if (refused === null) return { report, refused }
    } catch (error) {
      refused = (error as Error).message
    }
  }
  return { report: await readRecording(file), refused }
}

function pathOf(file: unknown): string {
  if (typeof file === 'string') return file
  if (typeof file === 'object' && file !== null && 'href' in file) return fileURLToPath(file as URL)
  throw invalidArgType('file', ['string', 'URL'], file)
}

async function sizeOf(file: string): Promise<number> {
  try {
    const found = await stat(file)
    if (found.isFile()) return found.size
  } catch (error) {
    const { code, errno, syscall, message } = error as NodeJS.ErrnoException
    const what = code === 'ENOENT' ? `there is no file '${file}'` : `cannot read '${file}': ${message}`
    throw new PcapRingError('ERR_PCAP_BAD_FILE', what, { errno, syscall, cause: error })
  }
  throw new PcapRingError('ERR_PCAP_BAD_FILE', `'${file}' is no regular file; name a capture or its report`)
}

/** Where the report of a capture of ours stands. */
function besideOf(file: string): string | null {
  const ending = /\.(pcap|pcapng)$/
  return /^incident_/.test(basename(file)) && ending.test(file) ? file.replace(ending, '.json') : null
}

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )

async function readReport(file: string): Promise<IncidentReport> {
  let parsed: unknown
  try {
    parsed = JSON.parse(await readFile(file, 'utf8'))
  } catch (error) {
    const { errno, syscall, message } = error as NodeJS.ErrnoException
    const what = `cannot read the report '${file}': ${message}`
    throw new PcapRingError('ERR_PCAP_BAD_FILE', what, { errno, syscall, cause: error })
  }
  if (!isIncidentReport(parsed)) throw new PcapRingError('ERR_PCAP_BAD_FILE', `'${file}' is not a report of version 1`)
  return parsed
}

/** Why a report does not tell of the file as it is now; null: it does. */
async function differs({ bytes, sha256 }: IncidentReport, file: string, found: number): Promise<string | null> {
  if (bytes !== found) return `the report beside it tells of ${bytes} bytes, the file has ${found}: read anew`
  if (sha256 !== null && sha256 !== (await sha256Of(file))) {
    return 'the report beside it tells of other bytes, by their SHA-256: read anew'
  }
  return null
}
