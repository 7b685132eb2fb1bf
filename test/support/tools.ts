// What other tools make of a capture.

import { execFileSync } from 'node:child_process'

const run = (command: string, ...args: string[]): string[] =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 2 ** 28 }).split('\n')

/** How many packets each of them reads; they throw on a file that they do not like. */
export function packetsByTools(path: string): Record<'capinfos' | 'tshark' | 'tcpdump', number> {
  const lines = (all: string[]): number => all.filter((line) => line !== '').length
  const infos = run('capinfos', '-cM', path).find((line) => line.startsWith('Number of packets:'))
  return {
    capinfos: Number(infos?.split(':')[1]),
    tshark: lines(run('tshark', '-n', '-r', path, '-T', 'fields', '-e', 'frame.number')),
    tcpdump: lines(run('tcpdump', '-nnr', path)),
  }
}

/** The comments that tshark shows: of the file itself, and of its frames by number. */
export function commentsByTshark(path: string): { file: string; frames: Map<number, string> } {
  const file = run('capinfos', '-kM', path).find((line) => line.startsWith('Capture comment:'))
  const fields = ['-T', 'fields', '-e', 'frame.number', '-e', 'frame.comment']
  const frames = run('tshark', '-n', '-r', path, '-Y', 'frame.comment', ...fields)
    .map((line) => line.split('\t'))
    .filter((parts) => parts.length === 2)
    .map(([number, comment]): [number, string] => [Number(number), comment as string])
  return { file: file?.slice('Capture comment:'.length).trim() ?? '', frames: new Map(frames) }
}
