import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rename, rm, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { codecOf, DAG_PB, parseCid } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, type BlobStore, StorageFull } from '#protocol/ports.ts'
import { lockFolder } from '../folder-lock.ts'
import { turns } from '../turns.ts'
import { readUpTo, sizeOf, syncFolder, touch, worldFault, writeDurably } from './disk.ts'
import { blocksUnder, checkedBlock, type Load, readingOf } from './reading.ts'
import { checkBlock, importBounded } from './writing.ts'

export type FileBlobs = BlobStore & AsyncDisposable & { usedBytes(): number }

/**
 * Blobs as files: `blocks/<letter>/<cid>` holds a block, an empty `roots/<cid>` says that this blob was put. An upload
 * is staged under `temp/`, each file synced; then, in one turn for all uploads that wait: blocks renamed into place,
 * their folders synced, marks made, their folder synced, and only then do the puts answer. A crash at any point leaves
 * staged files or blocks without a root, which the next opening removes. It opens in time proportional to the number of
 * blocks; deleting reads the inner nodes of every other multi-block blob, to keep what they share. One process at a time.
 *
 * @param quotaBytes of blocks, staged ones included; past it, and on a full disk, puts throw {@link StorageFull}
 */
export async function openFileBlobs({ folder, quotaBytes }: FileBlobsOptions): Promise<FileBlobs> {
  const at = (...names: readonly string[]) => join(folder, ...names)
  const shardOf = (cid: Cid) => at('blocks', nameOf(cid).at(-2) as string)
  const pathOf = (cid: Cid) => join(shardOf(cid), nameOf(cid))
  const markOf = (cid: Cid) => at('roots', nameOf(cid))

  await mkdir(folder, { recursive: true })
  const lock = lockFolder(folder)
  const inTurn = turns()
  const waiting: Staged[] = []
  let usedBytes = 0
  let stagedBytes = 0
  let closed = false

  const load: Load = (cid) => readUpTo(pathOf(cid), BLOCK_BYTES_MAX)

  async function open(): Promise<void> {
    await rm(at('temp'), { recursive: true, force: true })
    await Promise.all(['temp', 'roots', 'damaged'].map((name) => mkdir(at(name), { recursive: true })))
    await Promise.all([...SHARDS].map((letter) => mkdir(at('blocks', letter), { recursive: true })))
    await Promise.all([folder, at('blocks')].map(syncFolder))
    const reached = new Set<string>()
    for (const root of await roots()) for await (const cid of blocksUnder(root, load)) reached.add(cid)
    for (const letter of SHARDS) {
      const sizes = (await readdir(at('blocks', letter))).map(async (name) => {
        const path = at('blocks', letter, name)
        if (reached.has(name)) return (await stat(path)).size
        await unlink(path)
        return 0
      })
      for (const size of await Promise.all(sizes)) usedBytes += size
    }
  }

  async function roots(): Promise<readonly Cid[]> {
    const named = (await readdir(at('roots'))).map(parseCid)
    return named.flatMap((cid) => (cid.ok ? [cid.value] : []))
  }

  /** Writes one upload's blocks under `temp/`, lets `fill` say which blob they make, and commits or drops them. */
  async function stage(fill: (keep: (cid: Cid, block: Bytes) => Promise<void>) => Promise<Cid>): Promise<Cid> {
    if (closed) throw new Error('the store is closed')
    const temp = at('temp', randomUUID())
    const blocks = new Map<Cid, number>()
    let bytes = 0
    try {
      await mkdir(temp)
      const root = await fill(async (cid, block) => {
        if (blocks.has(cid)) return
        if (usedBytes + stagedBytes + block.length > quotaBytes) throw new StorageFull(`${quotaBytes} bytes are in use`)
        blocks.set(cid, block.length)
        bytes += block.length
        stagedBytes += block.length
        await writeDurably(join(temp, cid), block)
      })
      if (closed) throw new Error('the store is closed')
      const committed = Promise.withResolvers<void>()
      waiting.push({ root, temp, blocks, committed })
      void inTurn(commitWaiting)
      await committed.promise
      return root
    } catch (cause) {
      throw worldFault(cause)
    } finally {
      stagedBytes -= bytes
      await rm(temp, { recursive: true, force: true }).catch(() => undefined)
    }
  }

  /** All that waited while the last turn synced share this turn's syncs. Never rejects: each upload hears for itself. */
  async function commitWaiting(): Promise<void> {
    const batch = waiting.splice(0)
    const marked: Cid[] = []
    const moved = new Set<Cid>()
    try {
      for (const { temp, blocks } of batch)
        for (const [cid, size] of blocks) {
          const replaced = await sizeOf(pathOf(cid))
          // Renamed over what is there, so that putting a blob again mends a block that the disk has damaged.
          await rename(join(temp, cid), pathOf(cid))
          usedBytes += size - (replaced ?? 0)
          moved.add(cid)
        }
      await Promise.all([...new Set([...moved].map(shardOf))].map(syncFolder))
      for (const { root } of batch) if (await touch(markOf(root))) marked.push(root)
      await syncFolder(at('roots'))
      for (const upload of batch) upload.committed.resolve()
    } catch (cause) {
      for (const root of marked) await unlink(markOf(root)).catch(() => undefined)
      await sweep(moved).catch(() => undefined)
      for (const upload of batch) upload.committed.reject(cause)
    }
  }

  /** Removes those of the blocks that no root reaches. Only ever in turn, so no root comes or goes meanwhile. */
  async function sweep(blocks: Iterable<Cid>): Promise<void> {
    const unwanted = new Set(blocks)
    for (const root of await roots()) {
      unwanted.delete(root)
      if (codecOf(root) === DAG_PB) for await (const cid of blocksUnder(root, load)) unwanted.delete(cid)
      if (unwanted.size === 0) return
    }
    for (const cid of unwanted) {
      usedBytes -= (await sizeOf(pathOf(cid))) ?? 0
      await rm(pathOf(cid), { force: true })
    }
  }

  /** Sets a damaged block aside, so that `has` tells the truth from now on. Looks again first: it may be mended by now. */
  async function setAside(cid: Cid): Promise<void> {
    try {
      await checkedBlock(load, cid, BLOCK_BYTES_MAX)
    } catch (cause) {
      if (!(cause instanceof BlobCorrupt)) throw cause
      usedBytes -= (await sizeOf(pathOf(cid))) ?? 0
      await rename(pathOf(cid), at('damaged', cid))
    }
  }

  try {
    await open()
  } catch (cause) {
    lock[Symbol.dispose]()
    throw worldFault(cause)
  }

  return {
    ...readingOf(load, (cid) => inTurn(() => setAside(cid)).catch(() => undefined)),
    put: (source, limitBytes, signal, expected) =>
      stage((keep) => importBounded(source, limitBytes, signal, expected, ({ cid, bytes }) => keep(cid, bytes))),
    async putBlock(cid, block) {
      checkBlock(cid, block)
      await stage(async (keep) => {
        await keep(cid, block)
        return cid
      })
    },
    async has(cid) {
      for await (const part of blocksUnder(cid, load)) if ((await sizeOf(pathOf(part))) === undefined) return false
      return true
    },
    delete: (cid) =>
      inTurn(async () => {
        if ((await sizeOf(markOf(cid))) === undefined) return
        const blocks: Cid[] = []
        for await (const part of blocksUnder(cid, load)) blocks.push(part)
        await unlink(markOf(cid))
        await syncFolder(at('roots'))
        await sweep(blocks)
      }),
    usedBytes: () => usedBytes,
    async [Symbol.asyncDispose]() {
      closed = true
      await inTurn(commitWaiting)
      lock[Symbol.dispose]()
    },
  }
}

type FileBlobsOptions = { readonly folder: string; readonly quotaBytes: number }

type Staged = {
  readonly root: Cid
  readonly temp: string
  readonly blocks: ReadonlyMap<Cid, number>
  readonly committed: PromiseWithResolvers<void>
}

/** The second-last letter of a CID: the last one holds only three bits. */
const SHARDS = 'abcdefghijklmnopqrstuvwxyz234567'

/** A file's name is made from a CID only after it has been read as one: nothing else reaches the disk. */
function nameOf(cid: Cid): string {
  const checked = parseCid(cid)
  if (!checked.ok) throw new TypeError(`not a CID: ${JSON.stringify(cid)}`)
  return checked.value
}
