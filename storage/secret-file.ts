import { chmod, mkdir, open, readFile, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Bytes } from '#protocol/ids.ts'

/**
 * A secret on disk that only its owner can read: made on first use (mode 0600, fsynced), refused when others can read it.
 *
 * @param make what the file holds when it is new
 */
export async function openSecretFile(path: string, make: () => Bytes): Promise<Bytes> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  try {
    const file = await open(path, 'wx', 0o600)
    try {
      // The process's umask may have taken bits away, never added any; say it again all the same.
      await chmod(path, 0o600)
      await file.writeFile(make())
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
  }
  if (process.platform !== 'win32' && ((await stat(path)).mode & 0o077) !== 0)
    throw new Error(`${path} can be read by others: chmod 600 ${path}`)
  return new Uint8Array(await readFile(path))
}

/** The 32-byte secret key of a node or a coordinator. Throws on a file of another length: it is not overwritten. */
export async function openKeyFile(path: string, make: () => Bytes): Promise<Bytes> {
  const secret = await openSecretFile(path, make)
  if (secret.length !== 32) throw new Error(`${path} is not a key file: ${secret.length} bytes, not 32`)
  return secret
}
