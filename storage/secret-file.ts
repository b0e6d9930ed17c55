import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readFile, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Bytes } from '#protocol/ids.ts'
import { syncFolder } from './blobs/disk.ts'

/**
 * A secret on disk that only its owner can read (mode 0600): made on first use, refused when others can read it or when
 * it is empty. It is whole and synced before it has its name, so a process that dies on the way leaves no secret rather
 * than half of one; of several that make it at once, the first to name it wins and all of them read that.
 *
 * @param make what the file holds when it is new, at least a byte
 */
export async function openSecretFile(path: string, make: () => Bytes): Promise<Bytes> {
  const here = await readSecret(path)
  if (here) return here
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const unnamed = `${path}.${randomUUID()}`
  try {
    await writeSecret(unnamed, make())
    // A link, not a rename: it fails where the name is taken.
    await link(unnamed, path).catch(unlessTaken)
  } finally {
    await unlink(unnamed).catch(() => undefined)
  }
  await syncFolder(dirname(path))
  const made = await readSecret(path)
  if (!made) throw new Error(`${path} was removed while it was opened`)
  return made
}

/** The 32-byte secret key of a node or a coordinator. Throws on a file of another length: it is not overwritten. */
export async function openKeyFile(path: string, make: () => Bytes): Promise<Bytes> {
  const secret = await openSecretFile(path, make)
  if (secret.length !== 32) throw new Error(`${path} is not a key file: ${secret.length} bytes, not 32`)
  return secret
}

/** Undefined where there is none. Throws on one that others can read, or that is empty. */
export async function readSecret(path: string): Promise<Bytes | undefined> {
  try {
    const { mode } = await stat(path)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new Error(`${path} can be read by others: chmod 600 ${path}`)
    const secret = new Uint8Array(await readFile(path))
    if (secret.length === 0) throw new Error(`${path} is empty: remove it, and a new one is made`)
    return secret
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw cause
  }
}

async function writeSecret(path: string, secret: Bytes): Promise<void> {
  await using file = await open(path, 'wx', 0o600)
  // The process's umask may have taken bits away, never added any; say it again all the same.
  await file.chmod(0o600)
  await file.writeFile(secret)
  await file.sync()
}

function unlessTaken(cause: NodeJS.ErrnoException): void {
  if (cause.code !== 'EEXIST') throw cause
}
