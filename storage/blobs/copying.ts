import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, type BlobStore, type RemoteStore } from '#protocol/ports.ts'
import { fileSizeOf, readFile } from '#protocol/unixfs.ts'

/** A store that is at hand, as if it were at the other end of a line. */
export function asRemote(store: BlobStore): RemoteStore {
  return {
    ...store,
    async send(from, cid, signal) {
      const size = fileSizeOf({ cid, bytes: await from.getBlock(cid, BLOCK_BYTES_MAX) })
      if (!size.ok) throw new BlobCorrupt(`${cid} is no file`)
      await store.put(readFile(cid, 0, size.value, from.getBlock), size.value, signal, cid)
    },
  }
}
