import { decode } from '#protocol/codec.ts'
import { frameOf, unseal } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, NodeId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { receiptListSchema } from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { receiptSchema } from '#protocol/receipt.ts'
import { Recent } from './recent.ts'
import { readBlock } from './record.ts'
import type { Run } from './run.ts'

/** Rounds whose receipts are kept as frames: at 4,096 seats, two megabytes each. */
const KEPT_MAX = 8
/** A node that comes back is told so many of a run's latest receipts again, and none of a run that has rested this long. */
const RETOLD_ROUNDS = 4
const RETOLD_MILLIS: Millis = 86_400_000

/** Whether there may be receipts in it to be told again. */
export function mayBeMissed(run: Run, now: Millis): boolean {
  return run.spec.budget > 0n && now - (run.endedAt ?? run.at) <= RETOLD_MILLIS
}

/**
 * Receipts as the messages that they are. A node that is away when its round is settled is told when it comes back, whichever
 * process it comes to: a receipt proves its pay, so it is said once too often rather than never.
 */
export class Receipts {
  readonly #blobs: BlobStore
  readonly #kept = new Recent<Cid, Promise<ReadonlyMap<NodeId, Bytes>>>(KEPT_MAX)

  constructor(blobs: BlobStore) {
    this.#blobs = blobs
  }

  /** Of one settled round, by whom they are for. */
  of(list: Cid): Promise<ReadonlyMap<NodeId, Bytes>> {
    return Recent.once(this.#kept, list, async () => {
      const frames = new Map<NodeId, Bytes>()
      const block = (cid: Cid) => this.#blobs.getBlock(cid, BLOCK_BYTES_MAX)
      for (const cid of await readBlock(this.#blobs, list, receiptListSchema)) {
        const signed = await unseal(await block(cid), block)
        const receipt = signed.ok ? decode(receiptSchema, signed.value.body, BLOCK_BYTES_MAX) : signed
        if (!signed.ok || !receipt.ok) throw new Error(`the receipt ${cid} cannot be read`)
        frames.set(receipt.value.node, frameOf(signed.value))
      }
      return frames
    })
  }

  /** What a node that comes back may have missed, the oldest first. */
  async missed(run: Run, node: NodeId, now: Millis): Promise<readonly Bytes[]> {
    if (!mayBeMissed(run, now)) return []
    const settled = run.past.flatMap(({ receipts }) => (receipts && receipts !== 'overdue' ? [receipts] : []))
    const frames: Bytes[] = []
    for (const list of settled.slice(-RETOLD_ROUNDS)) {
      const frame = (await this.of(list)).get(node)
      if (frame) frames.push(frame)
    }
    return frames
  }
}
