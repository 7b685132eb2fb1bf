// Node 24 beside the one that runs the tests.

import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { promisify } from 'node:util'

export interface OtherNode {
  /** Why it cannot be had; null: it is there. */
  missing: string | null
  /** To stand in front of a command that runs this process's node: runs the other in its place. */
  wrap: string[]
}

let found: Promise<OtherNode> | undefined

/** From npm's cache or registry. */
export function node24(): Promise<OtherNode> {
  found ??= find()
  return found
}

async function find(): Promise<OtherNode> {
  try {
    const { NODE_OPTIONS: _, ...env } = process.env
    const args = ['-y', '--prefer-offline', 'node@24', '-p', 'process.execPath']
    // Elsewhere than in this package, whose own dependencies npx would look at first.
    const { stdout } = await promisify(execFile)('npx', args, { env, cwd: tmpdir(), timeout: 60_000 })
    const path = stdout.trim().split('\n').at(-1) ?? ''
    const swap = 'for a; do shift; [ "$a" = "$OLD" ] && a=$NEW; set -- "$@" "$a"; done; exec "$@"'
    return { missing: null, wrap: ['env', `OLD=${process.execPath}`, `NEW=${path}`, 'sh', '-c', swap, 'sh'] }
  } catch (error) {
    return { missing: `Node 24 cannot be had: ${(error as Error).message.split('\n')[0]}`, wrap: [] }
  }
}
