import { copyOf } from '#protocol/bytes.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, type PartsStore } from '#protocol/ports.ts'
import { blocksUnder } from '../reading.ts'
import { checkBlock } from '../writing.ts'
import type { Council } from './council.ts'
import { tally } from './votes.ts'

/** Blobs in parts, in several stores. A part is nobody's debt: who lacks some when the blob is finished is given them then. */
export function finishing(
  { ask, askEach, load, debts }: Council<PartsStore>,
  { stores, quorum }: { readonly stores: readonly PartsStore[]; readonly quorum: number },
): Pick<PartsStore, 'putParts' | 'finish' | 'sweep'> {
  /** Gives one of them the parts that it lacks. @returns whether the blob is whole there now */
  async function complete(index: number, blob: Cid): Promise<boolean> {
    for await (const cid of blocksUnder(blob, (part) => load(part, BLOCK_BYTES_MAX))) {
      const here = await ask(index, (store) => store.getBlock(cid, BLOCK_BYTES_MAX)).catch(() => undefined)
      if (here) continue
      const bytes = await load(cid, BLOCK_BYTES_MAX)
      await ask(index, (store) => store.putParts(blob, [{ cid, bytes }], FOREVER))
    }
    return ask(index, (store) => store.finish(blob))
  }

  return {
    async putParts(blob, blocks, until) {
      for (const { cid, bytes } of blocks) checkBlock(cid, bytes)
      const copies = blocks.map(({ cid, bytes }) => ({ cid, bytes: copyOf(bytes) }))
      await tally(
        askEach((store) => store.putParts(blob, copies, until)),
        quorum,
        () => undefined,
      ).decided
    },
    async finish(blob) {
      const answers = await Promise.allSettled(askEach((store) => store.finish(blob)))
      const whole = new Set([...stores.keys()].filter((index) => isTrue(answers[index])))
      const others = [...stores.keys()].filter((index) => !whole.has(index))
      if (whole.size < quorum)
        try {
          for (const index of others) if (await complete(index, blob).catch(unlessMissing)) whole.add(index)
        } catch (cause) {
          if (cause instanceof BlobMissing) return false
          throw cause
        }
      if (whole.size < quorum) {
        const faults = answers.filter(isFault).map(({ reason }) => reason)
        throw (
          faults.find((fault) => fault instanceof BlobCorrupt) ?? faults[0] ?? new Error(`too few can finish ${blob}`)
        )
      }
      for (const index of stores.keys())
        if (!whole.has(index) || debts.owes(index, blob) === 'delete') debts.owe(index, blob, 'copy')
      return true
    },
    async sweep(now) {
      const swept = await Promise.allSettled(askEach((store) => store.sweep(now)))
      return Math.max(0, ...swept.map((one) => (one.status === 'fulfilled' ? one.value : 0)))
    },
  }
}

/** Of parts that are the blob's own as soon as they are there. */
const FOREVER: Millis = Number.MAX_SAFE_INTEGER

function isTrue(answer: PromiseSettledResult<boolean> | undefined): boolean {
  return answer?.status === 'fulfilled' && answer.value
}

function isFault<T>(answer: PromiseSettledResult<T>): answer is PromiseRejectedResult {
  return answer.status === 'rejected'
}

/** What no store has cannot be completed; what one store cannot do, another may. */
function unlessMissing(cause: unknown): false {
  if (cause instanceof BlobMissing) throw cause
  return false
}
