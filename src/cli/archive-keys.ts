import { readFileSync, statSync } from 'node:fs'

import type { Key } from '../archive/index.js'
import { CommandError } from './output.js'

/** The variable that holds keys where no file is named. */
const keysVariable = 'PCAP_RING_ARCHIVE_KEYS'

const example = 'a line ID:SECRET for each, the secret 32 random bytes in base64 (openssl rand -base64 32)'

/**
 * From a file that only its owner may read, or from the environment: never from the arguments, which every user of the
 * machine sees. What is wrong with a secret is said without it.
 * @throws {CommandError}
 */
export function readKeys(file: string | undefined, env: NodeJS.ProcessEnv): Key[] {
  const where = file ?? `$${keysVariable}`
  const text = file === undefined ? env[keysVariable] : textOf(file)
  if (text === undefined) {
    throw new CommandError(`the archive needs a key; write --keys FILE, or set ${keysVariable}: ${example}`)
  }
  const keys = text
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line, i): Key => {
      const [, id, secret] = /^([^:\s]+):([A-Za-z0-9+/]{43}=?)$/.exec(line) ?? []
      if (id === undefined || secret === undefined) {
        throw new CommandError(`key ${i + 1} in ${where} is none; write ${example}`)
      }
      return { id, secret: Buffer.from(secret, 'base64') }
    })
  if (keys.length === 0) throw new CommandError(`there is no key in ${where}; write ${example}`)
  return keys
}

function textOf(file: string): string {
  try {
    if ((statSync(file).mode & 0o077) !== 0) {
      throw new CommandError(`the key file ${file} may be read by others; write chmod 600 ${file}`)
    }
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError(`cannot read the key file: ${(error as Error).message}`)
  }
}
