import { randomBytes } from '#crypto'
import { copyOf } from '#protocol/bytes.ts'
import { type BlockCodec, codecOf, DAG_CBOR, DAG_PB, digestOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { type Clock, type PartsStore, StorageFull } from '#protocol/ports.ts'
import { systemClock } from '../clock.ts'
import { each } from '../each.ts'
import { type Hold, holdBytes, holdCid, type Part, under } from './kubo-holds.ts'
import { KuboParts } from './kubo-parts.ts'
import type { KuboRpc } from './kubo-rpc.ts'
import { blocksUnder, isWholeFile, type Load, readingOf } from './reading.ts'
import { checkBlock, importBounded } from './writing.ts'

/**
 * Blobs in a Kubo daemon, which is trusted with keeping them and with nothing else: blocks are cut and hashed here, and what
 * comes back is hashed again. A blob is here when it is held (see kubo-holds.ts) and its blocks are there. A block's hold is
 * pinned before the block is sent, so the daemon's collector never takes what is on its way; what a crash leaves are parts,
 * which go when their time is over. Several processes may use one daemon, and several stores, each in a space of its own.
 *
 * @param quotaBytes of all that the daemon keeps, whoever put it; past it, and on a full disk, puts throw {@link StorageFull}
 */
export function openKuboBlobs({ rpc, space, quotaBytes, hidden, clock = systemClock }: KuboBlobsOptions): PartsStore {
  const parts = new KuboParts({ rpc, space, clock })
  const hiddenParts = hidden === undefined ? undefined : new KuboParts({ rpc, space: hidden, clock })
  let measured = { at: Number.NEGATIVE_INFINITY, bytes: 0 }

  const isPinned = async (hold: Hold, of = space) => (await rpc.pinOf(holdCid(of, hold), 'recursive')) !== undefined
  const unpin = (hold: Hold) => rpc.unpin(holdCid(space, hold))
  const isHere = async (cid: Cid) => (await rpc.sizeOf(cid)) !== undefined

  const load: Load = async (cid, limitBytes, signal) => {
    const block = await rpc.block(cid, limitBytes, signal)
    // Of two stores in one daemon each could read the other's blocks.
    return block && !(await isHidden(cid)) ? block : undefined
  }

  /** Under whatever codec: the daemon knows blocks by their hash alone. */
  async function isHidden(cid: Cid): Promise<boolean> {
    if (hidden === undefined || !hiddenParts) return false
    for (const name of [RAW, DAG_PB, DAG_CBOR].map((codec) => under(codec as BlockCodec, cid)))
      if ((await hiddenParts.has(name)) || (await isPinned({ kind: 'block', cid: name }, hidden))) return true
    return false
  }

  /** Pins the hold, unless it is: Kubo takes a pin away before it makes it anew. @returns whether it was not */
  async function pin(hold: Hold): Promise<boolean> {
    if (await isPinned(hold)) return false
    await rpc.pin(holdBytes(space, hold))
    return true
  }

  async function admit(addedBytes: number): Promise<void> {
    const now = clock.now()
    if (now >= measured.at + MEASURED_MILLIS) measured = { at: now, bytes: await rpc.usedBytes() }
    measured.bytes += addedBytes
    if (measured.bytes > quotaBytes) throw new StorageFull(`${quotaBytes} bytes are in use`)
  }

  async function keepPart(part: Part, block: Block): Promise<void> {
    await admit(block.bytes.length)
    await parts.hold(part)
    await rpc.putBlock(block)
  }

  /**
   * Removes the block, unless somebody's pin needs it. Kubo looks for the CID alone, so bytes that also stand under another
   * codec have to be asked for: whoever sends a file's node as a leaf of his own must not take it with him.
   */
  async function remove(cid: Cid): Promise<number> {
    const size = await rpc.sizeOf(cid)
    if (size === undefined) return 0
    // A full leaf is no node: one of 1,024 links has 55 KiB, and a manifest of a whole MiB does not come to be.
    const nodes = size < BLOCK_BYTES_MAX ? ([DAG_PB, DAG_CBOR] as const) : []
    for (const other of codecOf(cid) === RAW ? nodes : ([RAW] as const))
      if ((await rpc.pinOf(under(other, cid), 'all')) !== undefined) return 0
    return (await rpc.removeBlock(cid)) ? size : 0
  }

  async function keepBlocks(blocks: readonly Block[]): Promise<void> {
    const made: Cid[] = []
    try {
      await each(blocks, async (block) => {
        await admit(block.bytes.length)
        if (await pin({ kind: 'block', cid: block.cid })) made.push(block.cid)
        await rpc.putBlock(block)
      })
    } catch (cause) {
      await each(made, async (cid) => {
        await unpin({ kind: 'block', cid })
        await remove(cid)
      }).catch(() => undefined)
      throw cause
    }
  }

  /** Its blocks are parts until it has a name; a file of one block is a blob at once. */
  async function keepFile(fill: (keep: (block: Block) => Promise<void>) => Promise<Cid>): Promise<Cid> {
    const own = { kind: 'part', upload: randomBytes(32), until: clock.now() + UPLOAD_MILLIS_MAX } as const
    const kept = new Set<Cid>()
    let first: Block | undefined
    const keep = async (block: Block) => {
      if (kept.has(block.cid)) return
      kept.add(block.cid)
      await keepPart({ ...own, cid: block.cid }, block)
    }
    const drop = () => each(kept, (cid) => parts.drop({ ...own, cid }))
    try {
      const cid = await fill(async (block) => {
        // A file of one block is told from a longer one's first only by what follows.
        if (!first && kept.size === 0) {
          first = { cid: block.cid, bytes: copyOf(block.bytes) }
          return
        }
        const before = first
        first = undefined
        if (before) await keep(before)
        await keep(block)
      })
      if (first) await keepBlocks([first])
      else await pin({ kind: 'file', cid })
      await drop()
      return cid
    } catch (cause) {
      await drop()
        .then(() => each(kept, remove))
        .catch(() => undefined)
      throw cause
    }
  }

  async function treeOf(root: Cid): Promise<readonly Cid[]> {
    const tree: Cid[] = []
    for await (const cid of blocksUnder(root, load)) tree.push(cid)
    return tree
  }

  /** Throws {@link BlobCorrupt} where a block is not as large as its parent says. */
  async function isWhole(root: Cid): Promise<boolean> {
    const sizes = new Map<Cid, number | undefined>()
    await each(await treeOf(root), async (cid) => sizes.set(cid, await rpc.sizeOf(cid)))
    return isWholeFile(root, load, async (cid) => sizes.get(cid))
  }

  /** Whether all of them are so. After the first that is not, few more are asked for. */
  async function all(cids: readonly Cid[], is: (cid: Cid) => Promise<boolean>): Promise<boolean> {
    let so = true
    await each(cids, async (cid) => {
      if (so && !(await is(cid))) so = false
    })
    return so
  }

  /** Here, and held for itself or for a blob that waits for it: what is only in the daemon's cache may go at any time. */
  async function isKept(cid: Cid): Promise<boolean> {
    return (await isHere(cid)) && ((await parts.has(cid)) || (await isPinned({ kind: 'block', cid })))
  }

  return {
    ...readingOf(load),
    put: (source, limitBytes, signal, expected) =>
      keepFile((keep) => importBounded(source, limitBytes, signal, expected, keep)),
    async putBlocks(blocks) {
      for (const { cid, bytes } of blocks) checkBlock(cid, bytes)
      await keepBlocks(blocks)
    },
    async has(cid) {
      if (codecOf(cid) !== DAG_PB) return isKept(cid)
      const tree = await treeOf(cid)
      return all(tree, (await isPinned({ kind: 'file', cid })) ? isHere : isKept)
    },
    async delete(cid) {
      const kinds = codecOf(cid) === DAG_PB ? (['file', 'block'] as const) : (['block'] as const)
      const holds: readonly Hold[] = kinds.map((kind) => ({ kind, cid }))
      const waiting = await parts.of(digestOf(cid))
      const pinned = await Promise.all(holds.map((hold) => isPinned(hold)))
      if (waiting.length === 0 && !pinned.includes(true)) return
      // The parts of a file that came as blocks are blobs of their own, and stay.
      const tree = pinned[0] ? await treeOf(cid) : [cid]
      await each(holds, unpin)
      await each(waiting, (part) => parts.drop(part))
      await each(new Set([...tree, ...waiting.map((part) => part.cid)]), remove)
    },
    async putParts(blob, blocks, until) {
      for (const { cid, bytes } of blocks) checkBlock(cid, bytes)
      const upload = digestOf(blob)
      await each(blocks, (block) => keepPart({ kind: 'part', cid: block.cid, upload, until }, block))
    },
    async finish(blob) {
      if (!(await isWhole(blob))) return false
      const hold: Hold = { kind: codecOf(blob) === DAG_PB ? 'file' : 'block', cid: blob }
      const isNew = await pin(hold)
      // The collector may have taken what nobody waited for, between the look and the pin.
      if (!(await all(await treeOf(blob), isHere))) {
        if (isNew) await unpin(hold)
        return false
      }
      await each(await parts.of(digestOf(blob)), (part) => parts.drop(part))
      return true
    },
    async sweep(now) {
      let freedBytes = 0
      await each(await parts.overdue(now), async (part) => {
        await parts.drop(part)
        const bytes = await remove(part.cid)
        freedBytes += bytes
      })
      return freedBytes
    },
  }
}

export type KuboBlobsOptions = {
  readonly rpc: KuboRpc
  /** What tells this store from others in the same daemon, at most 8 characters. */
  readonly space: string
  readonly quotaBytes: number
  /** The space of a store in the same daemon whose blocks are not to be read through this one. */
  readonly hidden?: string
  readonly clock?: Clock
}

/** Longer than any put takes that is still alive: its parts are swept after that. */
const UPLOAD_MILLIS_MAX: Millis = 86_400_000
const MEASURED_MILLIS: Millis = 1000
