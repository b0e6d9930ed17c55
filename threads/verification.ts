import { MessageChannel } from 'node:worker_threads'
import { ownOf } from '#protocol/bytes.ts'
import type { Cid, NodeId } from '#protocol/ids.ts'
import type { AskedFor } from '#verify/asked.ts'
import type { BlockSource } from '#verify/blocks.ts'
import type { Verdict } from '#verify/verdict.ts'
import { startThread, type Thread } from './thread.ts'
import type { BlockAsked, BlockTold, RecordAsked } from './verification-worker.ts'

export type Verifying = AsyncDisposable & {
  /** Rejects where the thread dies or a block cannot be read now; the record may be sound all the same. */
  readonly verify: (
    root: Cid,
    block: BlockSource,
    options: { readonly coordinator: NodeId; readonly asked: AskedFor; readonly allowExpired: boolean },
  ) => Promise<Verdict>
}

/**
 * Verifies runs' records, each in a thread that is there for the one time: the event loop only hands it blocks, and what it
 * held is gone with it.
 */
export function openVerifying(): Verifying {
  const running = new Set<Thread<RecordAsked, Verdict>>()
  return {
    async verify(root, block, options) {
      const { port1: here, port2: blocks } = new MessageChannel()
      here.on('message', async ({ id, cid }: BlockAsked) => {
        const told = await block(cid).then(
          (bytes): BlockTold => ({ id, bytes: bytes && ownOf(bytes) }),
          (cause): BlockTold => ({ id, fault: cause instanceof Error ? cause.message : String(cause) }),
        )
        here.postMessage(told)
      })
      const thread = startThread<RecordAsked, Verdict>('verification-worker')
      running.add(thread)
      try {
        return await thread.ask({ root, blocks, ...options }, [blocks])
      } finally {
        running.delete(thread)
        here.close()
        await thread.end()
      }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map((thread) => thread.end()))
    },
  }
}
