// The bench's own programs, compiled when their source is newer.

import { existsSync, mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

import { bootstrap } from './install.js'

const { at, run, say } = bootstrap

function compile(source: string, program: string, compiler: string, flags: readonly string[]): string {
  if (existsSync(program) && statSync(program).mtimeMs >= statSync(source).mtimeMs) return program
  say(`compiling ${source}`)
  mkdirSync(dirname(program), { recursive: true })
  const { ok, why } = run(compiler, ['-O2', '-o', program, source, ...flags])
  if (!ok) throw new Error(`${source} does not compile (${why})`)
  return program
}

export const buildSender = (): string => compile(at('test/support/sender.c'), at('build/bench/sender'), 'cc', ['-lm'])
export const buildReceiver = (): string =>
  compile(at('bench/receiver.cc'), at('build/bench/receiver'), 'g++', ['-std=c++20', '-lpcap'])
