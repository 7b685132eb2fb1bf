import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, link, lstat, mkdir, open, readdir, readFile, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { PcapRingError } from '../errors.js'

const ending = '.tmp'

export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'

export const isErrno = (error: unknown, ...codes: string[]): boolean =>
  isSystemError(error) && codes.includes(error.code ?? '')

/** Runs it; what the system refuses is `ERR_PCAP_ARCHIVE_UNAVAILABLE`. */
export async function available<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    if (!isSystemError(cause)) throw cause
    const { errno, syscall, message } = cause
    const remedy = 'see that it is there, may be written by this user and has room'
    throw new PcapRingError('ERR_PCAP_ARCHIVE_UNAVAILABLE', `${what}: ${message}; ${remedy}`, { errno, syscall, cause })
  }
}

export async function makeDirectory(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
}

/** The names in a directory; none where it is not there. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return []
    throw error
  }
}

/** For reading, but never through a link. null: it is not there. */
export async function openToRead(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}

/**
 * A new file, which is there whole and on the disk, or not at all. False: there was one of this name.
 * @param write what it holds; if it throws, nothing stays
 */
export async function createFile(
  path: string,
  mode: number,
  write: (file: FileHandle) => Promise<void>,
): Promise<boolean> {
  const directory = dirname(path)
  const unfinished = `${path}.${randomBytes(6).toString('hex')}${ending}`
  await makeDirectory(directory)
  const file = await open(unfinished, 'wx', mode)
  try {
    try {
      await write(file)
      await file.sync()
    } finally {
      await file.close()
    }
    try {
      await link(unfinished, path)
    } catch (error) {
      if (isErrno(error, 'EEXIST')) return false
      throw error
    }
  } finally {
    await unlink(unfinished).catch(() => {}) // what stays is found by abandonedIn
  }
  await syncDirectory(directory)
  return true
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

export async function removeFile(path: string): Promise<boolean> {
  try {
    await unlink(path)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false
    throw error
  }
  await syncDirectory(dirname(path))
  return true
}

export interface Abandoned {
  path: string
  /** It got its name, and only this one was left. */
  finished: boolean
}

/** Unfinished files whose writers died: nobody has written to them for so long. */
export async function abandonedIn(directory: string, forMs: number): Promise<Abandoned[]> {
  const found: Abandoned[] = []
  for (const name of await namesIn(directory)) {
    if (!name.endsWith(ending)) continue
    const path = join(directory, name)
    let stats: Stats
    try {
      stats = await lstat(path)
    } catch (error) {
      if (isErrno(error, 'ENOENT')) continue
      throw error
    }
    const age = Date.now() - stats.mtimeMs
    if (stats.isFile() && age > forMs) found.push({ path, finished: stats.nlink > 1 })
  }
  return found
}

/** null: it is not there. */
export async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null
    throw error
  }
}
