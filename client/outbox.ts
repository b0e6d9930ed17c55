import { once } from '#protocol/bytes.ts'
import { type Block, fitInFrame } from '#protocol/envelope.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'
import type { BlobStore } from '#protocol/ports.ts'
import type { Journal, Vector } from './journal.ts'

/**
 * Where a masked vector waits until its round is over: a local store, so that an upload that breaks off is sent again from
 * there, byte for byte. Only masked vectors are ever in it.
 */

/**
 * Gives a vector to the coordinator: beside the message that names it where both find room in a frame, else ahead of it,
 * under the seat's ticket.
 *
 * @param beside what the message takes with it
 * @param into memory for the whole of it: where the plain vector was, so that there is never a second one
 * @returns what the message takes with it now
 */
export async function handOver(
  { outbox, blobs }: { readonly outbox: BlobStore; readonly blobs: BlobStore },
  { cid, sizeBytes }: Vector,
  beside: readonly Block[],
  signal: AbortSignal,
  into: Bytes = new Uint8Array(sizeBytes),
): Promise<readonly Block[]> {
  let at = 0
  for await (const piece of outbox.get(cid, { limitBytes: sizeBytes }, signal)) {
    into.set(piece, at)
    at += piece.length
  }
  const blocks: readonly Block[] = [...beside, { cid, bytes: into }]
  if (fitInFrame(blocks).length === blocks.length) return blocks
  await blobs.put(once(into), sizeBytes, signal, cid)
  return beside
}

/** Removes what an earlier life of this node left behind. */
export async function clearOutbox(outbox: BlobStore, journal: Journal, now: Millis): Promise<void> {
  for await (const vector of journal.overdue(now)) await outbox.delete(vector)
}
