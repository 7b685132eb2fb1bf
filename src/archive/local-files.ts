import { randomBytes } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { chown, type FileHandle, link, lstat, mkdir, open, readdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { PcapRingError } from '../errors.js'

const unfinishedNameOf = (path: string, which = randomBytes(6).toString('hex')): string => `${path}.${which}.tmp`
const unfinishedPattern = /\.[0-9a-f]{12}\.tmp$/

export const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string'

const isErrno = (error: unknown, ...codes: string[]): boolean =>
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

async function makeDirectory(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 })
  if (made === path) await giveToOwner((uid, gid) => chown(path, uid, gid), dirname(path))
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
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
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
  const unfinished = unfinishedNameOf(path)
  await makeDirectory(directory)
  const file = await open(unfinished, 'wx', mode)
  try {
    try {
      await giveToOwner((uid, gid) => file.chown(uid, gid), directory)
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
    await unlink(unfinished).catch(() => {}) // what stays is found by unfinishedIn
  }
  await syncDirectory(directory)
  return true
}

/** What root makes in the directory of somebody else must not keep that one out. */
async function giveToOwner(give: (uid: number, gid: number) => Promise<void>, directory: string): Promise<void> {
  if (process.geteuid?.() !== 0) return
  const { uid, gid } = await lstat(directory)
  if (uid !== 0) await give(uid, gid)
}

async function syncDirectory(path: string): Promise<void> {
  // There is no such thing: a directory cannot be opened.
  if (process.platform === 'win32') return
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

/**
 * Removes a file if it is the one that is meant. By its name alone another could go that has just been given it: so it gets a second
 * name first, which one process can give it at a time. As long as it has that, nobody else takes the first one away, and without that
 * nobody can give it to another file.
 * @returns `'held'`: somebody else is at it, or died in it and leaves the name to {@link unfinishedIn}
 */
export async function removeJust(
  path: string,
  isIt: (stats: BigIntStats) => boolean,
): Promise<'removed' | 'another' | 'held'> {
  let second: string
  try {
    const found = await lstat(path, { bigint: true })
    if (!isIt(found)) return 'another'
    second = unfinishedNameOf(path, found.ino.toString(16).padStart(12, '0').slice(-12))
    await link(path, second)
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 'another'
    if (isErrno(error, 'EEXIST')) return 'held'
    throw error
  }
  const right = isIt(await lstat(second, { bigint: true }))
  if (right) await unlink(path)
  // Once it has this name alone it looks like what a writer left, and whoever clears that away may have been quicker.
  await unlink(second).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error
  })
  if (right) await syncDirectory(dirname(path))
  return right ? 'removed' : 'another'
}

export interface Unfinished {
  path: string
  /** Its writer died: nobody has done anything to it for so long. */
  abandoned: boolean
  /** It has its name as well. */
  finished: boolean
}

/** Files of ours that have no name yet, of those that are to be called as `pattern` says. */
export async function unfinishedIn(directory: string, pattern: RegExp, forMs: number): Promise<Unfinished[]> {
  const found: Unfinished[] = []
  for (const name of await namesIn(directory)) {
    if (!unfinishedPattern.test(name) || !pattern.test(name.replace(unfinishedPattern, ''))) continue
    const path = join(directory, name)
    const stats = await lstat(path).catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return null
      throw error
    })
    if (!stats?.isFile()) continue
    const finished = stats.nlink > 1
    // When it got its second name.
    const touchedMs = finished ? stats.ctimeMs : stats.mtimeMs
    found.push({ path, abandoned: Date.now() - touchedMs > forMs, finished })
  }
  return found
}

/** As many bytes as there are, at most `length`. */
export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}

export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten
}

/** null: it is not there. */
export async function textOf(path: string): Promise<string | null> {
  const file = await openToRead(path)
  if (file === null) return null
  try {
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}
