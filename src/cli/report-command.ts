import { open } from 'node:fs/promises'

import { render } from '../report/index.js'
import { summary } from '../report/summarize.js'
import type { ReportArgs } from './args.js'
import { card, recordingCard } from './card.js'
import type { Output } from './output.js'
import { CommandError, jsonLine } from './output.js'

/** `pcap-ring report FILE`. @throws {CommandError} */
export async function reportCommand({ file, html, json }: ReportArgs, output: Output): Promise<void> {
  const { report, refused } = await summary(file).catch((error: unknown) => {
    throw new CommandError((error as Error).message)
  })
  if (refused !== null) output.err(refused)
  if (html !== undefined) await writePage(html, render(report))
  if (json) output.out(jsonLine('report', report))
  else if (html !== undefined) output.out(`${html}\n`)
  else output.out(report.kind === 'recording' ? recordingCard(report, output) : card(report, output))
}

/** For its owner only, as the capture is: it names addresses. */
async function writePage(file: string, page: string): Promise<void> {
  try {
    const handle = await open(file, 'w', 0o600)
    try {
      await handle.writeFile(page)
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw new CommandError(`cannot write the page: ${(error as Error).message}`)
  }
}
