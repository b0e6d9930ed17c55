import { copyOf } from '#protocol/bytes.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { readFrom, write } from '../indexed/database.ts'
import { turns } from '../turns.ts'
import { blocksUnder, type Load, readingOf } from './reading.ts'
import { checkBlock, importBounded } from './writing.ts'

/**
 * Blobs in a page's database, which takes what the browser gives it: past that, putting throws as a full disk does. A blob's
 * blocks are kept in one transaction, so they are all there or none is. What is put waits in memory until it is whole.
 */
export function openIndexedBlobs(database: IDBDatabase): BlobStore {
  const inTurn = turns()
  const load: Load = (cid) => readFrom<Bytes | undefined>(database, 'blocks', (blocks) => blocks.get(cid))

  /** In turn with `delete`, which must see every root there is while it looks for blocks that nobody needs. */
  const keep = (put: readonly Cid[], given: readonly Block[]): Promise<void> =>
    inTurn(() =>
      write(database, ['blocks', 'roots'], async (open) => {
        for (const { cid, bytes } of given) open('blocks').put(bytes, cid)
        for (const root of put) open('roots').put(true, root)
      }),
    )

  return {
    ...readingOf(load),
    async put(source, limitBytes, signal, expected) {
      const staged: Block[] = []
      const cid = await importBounded(source, limitBytes, signal, expected, async ({ cid, bytes }) => {
        staged.push({ cid, bytes: copyOf(bytes) })
      })
      await keep([cid], staged)
      return cid
    },
    async putBlocks(given) {
      for (const { cid, bytes } of given) checkBlock(cid, bytes)
      const copies = given.map(({ cid, bytes }) => ({ cid, bytes: copyOf(bytes) }))
      await keep(
        copies.map(({ cid }) => cid),
        copies,
      )
    },
    async has(root) {
      for await (const cid of blocksUnder(root, load))
        if ((await readFrom(database, 'blocks', (blocks) => blocks.count(cid))) === 0) return false
      return true
    },
    delete: (cid) =>
      inTurn(async () => {
        const roots = (await readFrom(database, 'roots', (kept) => kept.getAllKeys())) as Cid[]
        if (!roots.includes(cid)) return
        const unwanted = new Set<Cid>()
        for await (const block of blocksUnder(cid, load)) unwanted.add(block)
        for (const root of roots)
          if (root !== cid) for await (const block of blocksUnder(root, load)) unwanted.delete(block)
        await write(database, ['blocks', 'roots'], async (open) => {
          open('roots').delete(cid)
          for (const block of unwanted) open('blocks').delete(block)
        })
      }),
  }
}
