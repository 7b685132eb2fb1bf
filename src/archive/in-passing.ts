import { type FileHandle, mkdtemp, open, rename, rm, stat, symlink, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Gives these bytes as a file, for the time of one call, to somebody who wants its path. On Linux the file itself has no name: its path leads
 * to this process's descriptor. So a process that dies leaves a link that leads nowhere, and none of the bytes.
 */
export async function inPassing<T>(
  name: string,
  pieces: AsyncIterable<Uint8Array>,
  use: (path: string) => Promise<T>,
): Promise<T> {
  // Only this user may enter it.
  const directory = await mkdtemp(join(tmpdir(), 'pcap-ring-'))
  try {
    const path = join(directory, name)
    const unnamed = join(directory, 'unnamed')
    const handle = await open(unnamed, 'wx', 0o600)
    try {
      await ((await leadsTo(path, handle)) ? unlink(unnamed) : rename(unnamed, path))
      for await (const piece of pieces) await handle.writeFile(piece)
      return await use(path)
    } finally {
      await handle.close()
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Makes a link to a descriptor. False: there is no such thing here. */
async function leadsTo(path: string, handle: FileHandle): Promise<boolean> {
  try {
    await symlink(`/proc/${process.pid}/fd/${handle.fd}`, path)
    const [found, wanted] = await Promise.all([stat(path, { bigint: true }), handle.stat({ bigint: true })])
    if (found.dev === wanted.dev && found.ino === wanted.ino) return true
  } catch {}
  await rm(path, { force: true })
  return false
}
