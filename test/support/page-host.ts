// Where the code of a page runs: the package is installed there, and a recording takes the place of the device.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'

import { encodePcap } from '../../src/testing.js'
import { defaultStart, udpPackets } from './generate.js'
import { repository } from './host.js'
import type { Block } from './markdown.js'
import { nodeCommand } from './sanitizer.js'

/** Makes `directory` a project that has the package, and `recording.pcap`: calm, half a second of a flood, calm. */
export function makeProject(directory: string): void {
  mkdirSync(join(directory, 'node_modules', '@flowtriq'), { recursive: true })
  symlinkSync(repository, join(directory, 'node_modules', '@flowtriq', 'pcap-ring'))
  for (const name of ['@types', '@aws-sdk']) {
    symlinkSync(join(repository, 'node_modules', name), join(directory, 'node_modules', name))
  }
  const calm = { pps: 5_000, count: 5_000 }
  const flood = { pps: 60_000, count: 30_000, start: defaultStart + 1_000, firstSequence: 5_000 }
  const after = { pps: 5_000, count: 5_000, start: defaultStart + 1_500, firstSequence: 35_000 }
  const packets = [calm, flood, after].flatMap((timing) => udpPackets(timing))
  writeFileSync(join(directory, 'recording.pcap'), encodePcap(packets))
}

/** On the recording in place of a device. */
export const replayed = (code: string): string =>
  code
    .replace(/device: (?:'eth0'|process\.argv\[2\])/, "file: 'recording.pcap'")
    .replace('new PcapRing({ device })', "new PcapRing({ file: 'recording.pcap' })")

/** A ring on a recording stays open behind its end, as one on a device does. */
export const endsWithRecording = "\nring.once('end', () => ring.close())\n"

export interface Ran {
  status: number | null
  stdout: string
  stderr: string
}

/** The block as a program of its own, to its end. */
export async function runBlock(
  { language, code }: Block,
  directory: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Ran> {
  const name = `block.${language === 'cjs' ? 'cjs' : 'mjs'}`
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 }
  const runnable = language === 'ts' ? ts.transpileModule(code, { compilerOptions }).outputText : code
  writeFileSync(join(directory, name), runnable)
  const [command, ...args] = [...nodeCommand(repository), '--unhandled-rejections=strict', name]
  // Not a signal that a block may handle: what does not end by itself is to be seen.
  const limits = { timeout: 30_000, killSignal: 'SIGKILL' } as const
  const child = spawn(command, args, { cwd: directory, env: { ...process.env, ...env }, ...limits })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const [status] = (await once(child, 'close')) as [number | null]
  return { status, stdout, stderr }
}
