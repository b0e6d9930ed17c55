import { open, stat } from 'node:fs/promises'
import type { Bytes } from '#protocol/ids.ts'
import { StorageFull } from '#protocol/ports.ts'

/** Makes a new file whose bytes are on the disk when this answers; its name is when its folder is synced too. */
export async function writeDurably(path: string, bytes: Bytes): Promise<void> {
  await using file = await open(path, 'wx')
  await file.writeFile(bytes)
  await file.sync()
}

/** Makes names in the folder durable: what was made, renamed or removed there stays so after a power cut. */
export async function syncFolder(path: string): Promise<void> {
  // Windows cannot sync a folder; NTFS logs names itself.
  if (process.platform === 'win32') return
  await using folder = await open(path, 'r')
  await folder.sync()
}

/** Undefined when there is no such file. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined
    throw cause
  }
}

/** The file's bytes, or of a larger one `limitBytes + 1`: enough to tell. Undefined when there is no such file. */
export async function readUpTo(path: string, limitBytes: number): Promise<Bytes | undefined> {
  try {
    await using file = await open(path, 'r')
    const bytes = new Uint8Array(Math.min((await file.stat()).size, limitBytes + 1))
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    return bytes.subarray(0, length)
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined
    throw cause
  }
}

/** A full disk by the door's name, anything else as it is. */
export function worldFault(cause: unknown): unknown {
  const full = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(codeOf(cause) ?? '') || isSqliteFull(cause)
  return full ? new StorageFull('the disk is full', { cause }) : cause
}

/** Another connection, of this process or another one, is writing. SQLITE_BUSY and its kinds, sqlite.org/rescode.html. */
export function isBusy(cause: unknown): boolean {
  return sqliteCodeOf(cause) === 5
}

function isSqliteFull(cause: unknown): boolean {
  return sqliteCodeOf(cause) === 13
}

/** The primary result code, without what an extended one says besides. */
function sqliteCodeOf(cause: unknown): number | undefined {
  const code: unknown = (cause as { readonly errcode?: unknown } | null)?.errcode
  return codeOf(cause) === 'ERR_SQLITE_ERROR' && typeof code === 'number' ? code & 0xff : undefined
}

function codeOf(cause: unknown): string | undefined {
  const code: unknown = (cause as { readonly code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}
