import { type Block, fitInFrame, isAttachable } from '#protocol/envelope.ts'
import type { Millis } from '#protocol/ids.ts'
import type { BlobStore, RemoteStore } from '#protocol/ports.ts'
import type { Journal, Vector } from './journal.ts'

/**
 * Where a masked vector waits until its round is over: a local store, so that an upload that breaks off is sent again from
 * there, byte for byte. Only masked vectors are ever in it.
 */

/**
 * Gives a vector to the coordinator: beside the message that names it where both find room in a frame, else ahead of it,
 * under the seat's ticket, a block at a time: more of it is never in memory than is on its way.
 *
 * @param beside what the message takes with it
 * @returns what the message takes with it now
 */
export async function handOver(
  { outbox, blobs }: { readonly outbox: BlobStore; readonly blobs: RemoteStore },
  { cid, sizeBytes }: Vector,
  beside: readonly Block[],
  signal: AbortSignal,
): Promise<readonly Block[]> {
  if (isAttachable(sizeBytes)) {
    const blocks: readonly Block[] = [...beside, { cid, bytes: await outbox.getBlock(cid, sizeBytes) }]
    if (fitInFrame(blocks).length === blocks.length) return blocks
  }
  await blobs.send(outbox, cid, signal)
  return beside
}

/** Removes what an earlier life of this node left behind. */
export async function clearOutbox(outbox: BlobStore, journal: Journal, now: Millis): Promise<void> {
  for await (const vector of journal.overdue(now)) await outbox.delete(vector)
}
