import { copyOf } from '#protocol/bytes.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { type PartsStore, StorageFull } from '#protocol/ports.ts'
import { turns } from '../turns.ts'
import { blocksUnder, isWholeFile, type Load, readingOf } from './reading.ts'
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
} = {}): PartsStore {
  const roots = new Set<Cid>()
  /** By blob, until when each of its parts waits for it. */
  const parts = new Map<Cid, Map<Cid, Millis>>()
  const inTurn = turns()
  let usedBytes = 0

  const load: Load = async (cid) => {
    const block = blocks.get(cid)
    return block && copyOf(block)
  }

  /** In turn with `delete`, which must see every root there is while it looks for blocks that nobody needs. */
  async function keep(put: readonly Cid[], staged: ReadonlyMap<Cid, Bytes>): Promise<void> {
    const added = [...staged].filter(([cid]) => !blocks.has(cid))
    const addedBytes = added.reduce((sum, [, block]) => sum + block.length, 0)
    if (usedBytes + addedBytes > quotaBytes) throw new StorageFull(`${quotaBytes} bytes are in use`)
    usedBytes += addedBytes
    for (const [cid, block] of added) blocks.set(cid, block)
    for (const root of put) roots.add(root)
  }

  function copied(given: readonly Block[]): ReadonlyMap<Cid, Bytes> {
    for (const { cid, bytes } of given) checkBlock(cid, bytes)
    return new Map(given.map(({ cid, bytes }) => [cid, copyOf(bytes)]))
  }

  /** Forgets those of the blocks that no root reaches and no blob waits for. @returns their bytes */
  async function release(given: Iterable<Cid>): Promise<number> {
    const unwanted = new Set(given)
    for (const waiting of parts.values()) for (const cid of waiting.keys()) unwanted.delete(cid)
    for (const root of roots) for await (const cid of blocksUnder(root, load)) unwanted.delete(cid)
    let bytes = 0
    for (const cid of unwanted) {
      bytes += blocks.get(cid)?.length ?? 0
      blocks.delete(cid)
    }
    usedBytes -= bytes
    return bytes
  }

  async function treeOf(blob: Cid): Promise<readonly Cid[]> {
    const tree: Cid[] = []
    for await (const cid of blocksUnder(blob, load)) tree.push(cid)
    return tree
  }

  return {
    ...readingOf(load),
    async put(source, limitBytes, signal, expected) {
      const staged = new Map<Cid, Bytes>()
      let stagedBytes = 0
      const cid = await importBounded(source, limitBytes, signal, expected, async (block) => {
        stagedBytes += block.bytes.length
        if (stagedBytes > quotaBytes) throw new StorageFull(`more than ${quotaBytes} bytes`)
        staged.set(block.cid, copyOf(block.bytes))
      })
      await inTurn(() => keep([cid], staged))
      return cid
    },
    async putBlocks(given) {
      const staged = copied(given)
      await inTurn(() => keep([...staged.keys()], staged))
    },
    async putParts(blob, given, until) {
      const staged = copied(given)
      await inTurn(async () => {
        await keep([], staged)
        if (staged.size === 0) return
        const waiting = parts.get(blob) ?? new Map<Cid, Millis>()
        for (const cid of staged.keys()) waiting.set(cid, Math.max(until, waiting.get(cid) ?? until))
        parts.set(blob, waiting)
      })
    },
    finish: (blob) =>
      inTurn(async () => {
        if (!(await isWholeFile(blob, load, async (cid) => blocks.get(cid)?.length))) return false
        roots.add(blob)
        const waiting = parts.get(blob)
        for (const cid of await treeOf(blob)) waiting?.delete(cid)
        if (waiting?.size === 0) parts.delete(blob)
        return true
      }),
    sweep: (now) =>
      inTurn(async () => {
        const overdue = new Set<Cid>()
        for (const [blob, waiting] of parts) {
          for (const [cid, until] of waiting) if (until <= now && waiting.delete(cid)) overdue.add(cid)
          if (waiting.size === 0) parts.delete(blob)
        }
        return overdue.size === 0 ? 0 : release(overdue)
      }),
    has: async (cid) => (await treeOf(cid)).every((part) => blocks.has(part)),
    delete: (cid) =>
      inTurn(async () => {
        const expected = [...(parts.get(cid)?.keys() ?? [])]
        if (!roots.has(cid) && expected.length === 0) return
        const tree = await treeOf(cid)
        roots.delete(cid)
        parts.delete(cid)
        await release([...tree, ...expected])
      }),
  }
}
