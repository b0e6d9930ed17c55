import { randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { link, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import type { Bytes } from '#protocol/ids.ts'
import { syncFolder } from '#storage/blobs/disk.ts'
import { EXIT, Failure } from './failure.ts'

export type WholeFileOptions = {
  /** Whether a file of that name may be replaced. */
  readonly replace: boolean
  readonly signal: AbortSignal
  /** Looks at what was written before it is there. */
  readonly check?: (path: string) => Promise<void>
}

/**
 * Writes a file that is there whole, and on the disk, or not at all: under another name until then. Nothing is read from the
 * source where a file is in the way that may not be replaced.
 */
export async function writeWholeFile(
  path: string,
  source: AsyncIterable<Bytes>,
  { replace, signal, check }: WholeFileOptions,
): Promise<void> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  )
  if (isThere && !replace) throw inTheWay(path)
  const growing = join(dirname(path), `.${basename(path)}.${randomUUID()}.part`)
  try {
    await pipeline(source, createWriteStream(growing, { flags: 'wx', flush: true }), { signal })
    await check?.(growing)
    if (replace) await rename(growing, path)
    else await appear(growing, path)
    await syncFolder(dirname(path))
  } finally {
    await rm(growing, { force: true })
  }
}

/** As a second name, since renaming would replace a file that came meanwhile; where a disk has no second names, by that. */
async function appear(growing: string, path: string): Promise<void> {
  try {
    await link(growing, path)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') throw inTheWay(path)
    await rename(growing, path)
  }
}

function inTheWay(path: string): Failure {
  return new Failure(EXIT.conflict, 'file_exists', `${path} is there already`, { fix: '--force replaces it' })
}
