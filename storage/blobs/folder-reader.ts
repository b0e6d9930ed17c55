import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { readUpTo } from './disk.ts'

export type FolderReader = Disposable & {
  /** Unchecked, as the disk has them: whoever reads hashes. Undefined when the block is not here, or larger than any is. */
  block(cid: Cid): Promise<Bytes | undefined>
}

/**
 * Reads blocks out of a folder, changing nothing and needing no lock, also while a coordinator writes there: its state
 * folder, its blobs folder, or any folder with a file for each block, named by its CID.
 */
export function openFolderReader(folder: string): FolderReader {
  const places = [folder, join(folder, 'blobs')]
  const catalogues = places
    .map((place) => join(place, 'catalogue.sqlite'))
    .filter((file) => existsSync(file))
    .map((file) => new DatabaseSync(file, { readOnly: true, timeout: 5000 }))
  const selects = catalogues.map((database) => database.prepare('SELECT bytes FROM blocks WHERE cid = ?'))
  return {
    async block(cid) {
      for (const select of selects) {
        const bytes = select.get(cid)?.['bytes'] as Bytes | null | undefined
        if (bytes && bytes.length <= BLOCK_BYTES_MAX) return bytes
      }
      for (const place of places)
        for (const path of [join(place, cid), join(place, 'blocks', cid.at(-2) as string, cid)]) {
          const bytes = await readUpTo(path, BLOCK_BYTES_MAX)
          if (bytes && bytes.length <= BLOCK_BYTES_MAX) return bytes
        }
      return undefined
    },
    [Symbol.dispose]() {
      for (const database of catalogues) database.close()
    },
  }
}
