import { cidOf, codecOf } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobTooLarge } from '#protocol/ports.ts'
import { importFile } from '#protocol/unixfs.ts'

/**
 * The writing half of every store: cuts the stream into blocks and hands them to `keep`, at most four at a time. When it
 * throws, no call of `keep` is running any more and the caller drops what was kept.
 */
export async function importBounded(
  source: AsyncIterable<Bytes>,
  limitBytes: number,
  signal: AbortSignal | undefined,
  expected: Cid | undefined,
  keep: (block: Block) => Promise<void>,
): Promise<Cid> {
  const running = new Set<Promise<void>>()
  try {
    const cid = await importFile(bounded(source, limitBytes, signal), (block) => {
      const kept = keep(block).finally(() => running.delete(kept))
      running.add(kept)
      return kept
    })
    if (expected !== undefined && cid !== expected) throw new BlobCorrupt(`these are the bytes of ${cid}`)
    return cid
  } finally {
    await Promise.allSettled(running)
  }
}

/** Throws {@link BlobTooLarge} or {@link BlobCorrupt} unless the block may be kept under this CID. */
export function checkBlock(cid: Cid, block: Bytes): void {
  if (block.length > BLOCK_BYTES_MAX)
    throw new BlobTooLarge(`a block of ${block.length} bytes, at most ${BLOCK_BYTES_MAX}`)
  if (cidOf(codecOf(cid), block) !== cid) throw new BlobCorrupt(`these are not the bytes of ${cid}`)
}

/** Passes the stream on up to the limit. An abort is obeyed even while the source has nothing to say. */
export async function* bounded(
  source: AsyncIterable<Bytes>,
  limitBytes: number,
  signal: AbortSignal | undefined,
): AsyncIterable<Bytes> {
  const iterator = source[Symbol.asyncIterator]()
  let interrupt: (reason: unknown) => void = () => undefined
  const abort = () => interrupt(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  let done = false
  try {
    for (let length = 0; ; ) {
      signal?.throwIfAborted()
      // Of each piece a promise of its own: one that outlives them, raced against each, would hold on to all of them.
      const { promise, resolve, reject } = Promise.withResolvers<IteratorResult<Bytes>>()
      interrupt = reject
      iterator.next().then(resolve, reject)
      const next = await promise
      if (next.done) {
        done = true
        return
      }
      length += next.value.length
      if (length > limitBytes) throw new BlobTooLarge(`more than ${limitBytes} bytes`)
      yield next.value
    }
  } finally {
    signal?.removeEventListener('abort', abort)
    // Not awaited: a source that hangs in `next` would hang in `return` too.
    if (!done) iterator.return?.().then(undefined, () => undefined)
  }
}
