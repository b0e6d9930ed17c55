import { copyOf, once } from '#protocol/bytes.ts'
import { cidOf, codecOf, DAG_PB } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { LruCache } from '#protocol/lru-cache.ts'
import { BlobCorrupt, type BlobStore, BlobTooLarge } from '#protocol/ports.ts'

export type CachedBlobs<Store extends BlobStore = BlobStore> = Store & {
  /** Keeps blocks that came by another way. One that is not what its name says is passed over. */
  remember(blocks: readonly Block[]): void
}

/**
 * A store whose single blocks are fetched once: what has a CID never changes, so a task or an architecture costs nothing
 * after the first round. At most `limitBytes` are kept, those used last; a block of more than an eighth of that is not.
 * Files of several blocks pass through and are not kept. What is kept is hashed again before it comes out.
 */
export function cachedBlobs<Store extends BlobStore>(blobs: Store, limitBytes: number): CachedBlobs<Store> {
  const kept = new LruCache<Cid, Bytes>({ limitBytes, bytesOf: (bytes) => bytes.length })

  function found(cid: Cid): Bytes | undefined {
    const bytes = kept.get(cid)
    if (!bytes) return undefined
    if (isNamed(cid, bytes)) return copyOf(bytes)
    kept.drop(cid)
    return undefined
  }

  return {
    ...blobs,
    remember(blocks) {
      for (const { cid, bytes } of blocks) if (isNamed(cid, bytes)) kept.keep(cid, copyOf(bytes))
    },
    async getBlock(cid, limit) {
      const here = found(cid)
      if (here && here.length > limit) throw new BlobTooLarge(`${cid} is ${here.length} bytes, at most ${limit}`)
      if (here) return here
      const bytes = await blobs.getBlock(cid, limit)
      if (!isNamed(cid, bytes)) throw new BlobCorrupt(`these are not the bytes of ${cid}`)
      kept.keep(cid, copyOf(bytes))
      return bytes
    },
    get(cid, range, signal) {
      const here = codecOf(cid) === DAG_PB ? undefined : found(cid)
      if (!here) return blobs.get(cid, range, signal)
      return partOf(cid, here, range)
    },
  }
}

async function* partOf(
  cid: Cid,
  bytes: Bytes,
  { offset = 0, length = bytes.length, limitBytes }: Parameters<BlobStore['get']>[1],
): AsyncIterable<Bytes> {
  if (bytes.length > limitBytes) throw new BlobTooLarge(`${cid} is ${bytes.length} bytes, at most ${limitBytes}`)
  const part = bytes.subarray(offset, offset + length)
  if (part.length > 0) yield* once(part)
}

function isNamed(cid: Cid, bytes: Bytes): boolean {
  return cidOf(codecOf(cid), bytes) === cid
}
