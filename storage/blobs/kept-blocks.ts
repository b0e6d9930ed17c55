import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cidOf, codecOf, parseCid } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { LruCache } from '#protocol/lru-cache.ts'
import { readUpTo } from './disk.ts'

export type KeptBlocks = {
  /** The block's bytes, hashed as they come from the disk; undefined where it is not kept, or not any more. */
  get(cid: Cid): Promise<Bytes | undefined>
  /** Keeps a block that was hashed. A disk that will not take it costs no more than that it is fetched again. */
  keep(block: Block): Promise<void>
  usedBytes(): number
}

/**
 * Blocks that can be had again, on a disk: a file each, nothing synced, and those that were not used for longest dropped past
 * the quota. Of one process.
 */
export async function openKeptBlocks(options: {
  readonly folder: string
  readonly quotaBytes: number
}): Promise<KeptBlocks> {
  const { folder, quotaBytes } = options
  const pathOf = (name: string) => join(folder, name)
  const remove = (name: string) => rm(pathOf(name), { force: true }).catch(() => undefined)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const sizes = new LruCache<Cid, number>({
    limitBytes: quotaBytes,
    bytesOf: (size) => Math.max(size, FILE_BYTES_MIN),
    dropped: (cid) => void remove(cid),
  })
  for (const { cid, sizeBytes } of await filesIn(folder, remove)) sizes.keep(cid, sizeBytes)

  return {
    async get(cid) {
      if (sizes.get(cid) === undefined) return undefined
      const bytes = await readUpTo(pathOf(cid), BLOCK_BYTES_MAX).catch(() => undefined)
      if (bytes && cidOf(codecOf(cid), bytes) === cid) return bytes
      sizes.drop(cid)
      return undefined
    },
    async keep({ cid, bytes }) {
      if (sizes.get(cid) !== undefined) return
      const name = pathOf(`${cid}.${randomUUID()}`)
      try {
        await writeFile(name, bytes, { mode: 0o600 })
        await rename(name, pathOf(cid))
        // Unless another has kept it meanwhile.
        if (sizes.get(cid) === undefined) sizes.keep(cid, bytes.length)
      } catch {
        await rm(name, { force: true }).catch(() => undefined)
      }
    },
    usedBytes: () => sizes.keptBytes,
  }
}

/** A file takes a page of the disk, however short it is. */
const FILE_BYTES_MIN = 4096

/** The earliest kept first. Whatever is not named as a block is, a crash left. */
async function filesIn(
  folder: string,
  remove: (name: string) => Promise<void>,
): Promise<readonly { readonly cid: Cid; readonly sizeBytes: number }[]> {
  const files: { cid: Cid; sizeBytes: number; keptAt: number }[] = []
  for (const name of await readdir(folder)) {
    const cid = parseCid(name)
    const found = cid.ok ? await stat(join(folder, name)) : undefined
    if (cid.ok && found?.isFile()) files.push({ cid: cid.value, sizeBytes: found.size, keptAt: found.mtimeMs })
    else await remove(name)
  }
  return files.sort((a, b) => a.keptAt - b.keptAt)
}
