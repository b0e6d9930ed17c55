import { ownOf } from '#protocol/bytes.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { LruCache } from '#protocol/lru-cache.ts'
import { type BlobStore, BlobTooLarge, type Clock } from '#protocol/ports.ts'
import { type LoadChecked, readingFrom } from './reading.ts'

/**
 * Reads a store for many who want the same blocks: each is read and hashed once, however many ask meanwhile, and then comes
 * from memory while it is used. What is kept is handed out itself, not a copy, so this is for whoever only sends it on.
 *
 * A block is read anew after a while: what was deleted, here or by another process, is soon not answered any more.
 *
 * @param store verifies what it answers, as every store does
 */
export function hotBlocks(store: Readable, { clock, limitBytes, freshMillis, count }: HotOptions): Readable {
  const kept = new LruCache<Cid, Hot>({ limitBytes, bytesOf: ({ bytes }) => bytes.length + ENTRY_BYTES })
  const coming = new Map<Cid, Promise<Bytes>>()

  async function read(cid: Cid): Promise<Bytes> {
    try {
      const bytes = ownOf(await store.getBlock(cid, BLOCK_BYTES_MAX))
      kept.keep(cid, { bytes, readAt: clock.now() })
      return bytes
    } catch (cause) {
      kept.drop(cid)
      throw cause
    } finally {
      coming.delete(cid)
    }
  }

  function found(cid: Cid): Promise<Bytes> | Bytes {
    const hot = kept.get(cid)
    const isFresh = hot && clock.now() - hot.readAt < freshMillis
    const running = isFresh ? undefined : coming.get(cid)
    count?.(isFresh ? 'hit' : running ? 'joined' : 'miss')
    if (isFresh) return hot.bytes
    if (running) return running
    const reading = read(cid)
    coming.set(cid, reading)
    return reading
  }

  const block: LoadChecked = async (cid, limit, signal) => {
    signal?.throwIfAborted()
    const bytes = await found(cid)
    if (bytes.length > limit) throw new BlobTooLarge(`${cid} is ${bytes.length} bytes, at most ${limit}`)
    return bytes
  }
  return { ...readingFrom(block), has: (cid) => store.has(cid) }
}

export type Readable = Pick<BlobStore, 'get' | 'getBlock' | 'has'>

export type HotOptions = {
  readonly clock: Pick<Clock, 'now'>
  readonly limitBytes: number
  /** How long a block is believed to be in the store still. */
  readonly freshMillis: Millis
  /** Hears how each block was come by: `joined` is one that was being read already. */
  readonly count?: ((how: 'hit' | 'joined' | 'miss') => void) | undefined
}

type Hot = { readonly bytes: Bytes; readonly readAt: Millis }

/** About what an entry takes beside its bytes: many small ones do not grow past the bound either. */
const ENTRY_BYTES = 256
