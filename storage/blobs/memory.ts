import type { Bytes, Cid } from '#protocol/ids.ts'
import { type BlobStore, StorageFull } from '#protocol/ports.ts'
import { turns } from '../turns.ts'
import { blocksUnder, type Load, readingOf } from './reading.ts'
import { checkBlock, importBounded } from './writing.ts'

/** What of a map keeps blocks. */
export type Blocks = Pick<Map<Cid, Bytes>, 'has' | 'get' | 'delete'> & { set(cid: Cid, block: Bytes): unknown }

/** Blobs in this process's memory, gone with it. Bytes are copied in and out, so nobody can change what is kept. */
export function openMemoryBlobs({
  quotaBytes = Number.POSITIVE_INFINITY,
  blocks = new Map(),
}: {
  readonly quotaBytes?: number
  /** Where the blocks are. */
  readonly blocks?: Blocks
} = {}): BlobStore {
  const roots = new Set<Cid>()
  const inTurn = turns()
  let usedBytes = 0

  const load: Load = async (cid) => blocks.get(cid)?.slice()

  /** In turn with `delete`, which must see every root there is while it looks for blocks that nobody needs. */
  async function keep(put: readonly Cid[], staged: ReadonlyMap<Cid, Bytes>): Promise<void> {
    const added = [...staged].filter(([cid]) => !blocks.has(cid))
    const addedBytes = added.reduce((sum, [, block]) => sum + block.length, 0)
    if (usedBytes + addedBytes > quotaBytes) throw new StorageFull(`${quotaBytes} bytes are in use`)
    usedBytes += addedBytes
    for (const [cid, block] of added) blocks.set(cid, block)
    for (const root of put) roots.add(root)
  }

  return {
    ...readingOf(load),
    async put(source, limitBytes, signal, expected) {
      const staged = new Map<Cid, Bytes>()
      let stagedBytes = 0
      const cid = await importBounded(source, limitBytes, signal, expected, async (block) => {
        stagedBytes += block.bytes.length
        if (stagedBytes > quotaBytes) throw new StorageFull(`more than ${quotaBytes} bytes`)
        staged.set(block.cid, block.bytes.slice())
      })
      await inTurn(() => keep([cid], staged))
      return cid
    },
    async putBlocks(given) {
      for (const { cid, bytes } of given) checkBlock(cid, bytes)
      const staged = new Map(given.map(({ cid, bytes }) => [cid, bytes.slice()]))
      await inTurn(() => keep([...staged.keys()], staged))
    },
    async has(cid) {
      for await (const part of blocksUnder(cid, load)) if (!blocks.has(part)) return false
      return true
    },
    delete: (cid) =>
      inTurn(async () => {
        if (!roots.delete(cid)) return
        const forgotten = new Set<Cid>()
        for await (const part of blocksUnder(cid, load)) forgotten.add(part)
        for (const root of roots) for await (const part of blocksUnder(root, load)) forgotten.delete(part)
        for (const part of forgotten) {
          usedBytes -= blocks.get(part)?.length ?? 0
          blocks.delete(part)
        }
      }),
  }
}
