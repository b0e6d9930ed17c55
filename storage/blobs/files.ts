import { randomUUID } from 'node:crypto'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { copyOf } from '#protocol/bytes.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, type PartsStore, StorageFull } from '#protocol/ports.ts'
import { lockFolder, shareFolder } from '../folder-lock.ts'
import { turns } from '../turns.ts'
import { type CatalogueEntry, openCatalogue, type Parts } from './catalogue.ts'
import { readUpTo, sizeOf, syncFolder, worldFault, writeDurably } from './disk.ts'
import { blocksUnder, checkedBlock, isWholeFile, type Load, readingOf } from './reading.ts'
import { makeReady, nameOf, shelvesIn } from './shelves.ts'
import { checkBlock, importBounded } from './writing.ts'

export type FileBlobs = PartsStore & AsyncDisposable & { usedBytes(): number }

/**
 * Blobs on a disk. A block of more than 64 KiB is a file, `blocks/<letter>/<cid>`; smaller ones, and the marks that say
 * which blobs were put, are rows of the catalogue. An upload's large blocks are staged under `temp/`, each file synced;
 * then, in one turn for all uploads that wait: renamed into place, their folders synced, and one commit of the catalogue
 * with every small block and mark. That commit is the truth, and only then do the puts answer: blocks put together are
 * there together. A crash before it leaves files that no root reaches and no blob waits for, which the next opening that
 * finds nobody else there removes. It opens in time proportional to the number of files; deleting, or sweeping away what is
 * overdue, reads the inner nodes of every other multi-block blob once, to keep what they share. One process at a time,
 * unless it is shared: then whoever renames, removes or commits does so alone among all of them.
 *
 * @param quotaBytes of blocks, those included that this process stages; past it, and on a full disk, puts throw {@link StorageFull}
 */
export async function openFileBlobs({ folder, quotaBytes, shared = false }: FileBlobsOptions): Promise<FileBlobs> {
  const { temp, damaged, shardOf, pathOf, ...shelves } = shelvesIn(folder)

  await mkdir(folder, { recursive: true })
  await using doors = new AsyncDisposableStack()
  doors.use(shared ? await shareFolder(folder, () => prepare(folder)) : lockFolder(folder))
  if (!shared) await prepare(folder)
  const catalogue = doors.use(openCatalogue(shelves.catalogue))
  const inTurn = turns()
  const waiting: Staged[] = []
  let stagedBytes = 0
  let closed = false

  const load: Load = async (cid) => catalogue.bytesOf(nameOf(cid)) ?? readUpTo(pathOf(cid), BLOCK_BYTES_MAX)
  const keptSize = async (cid: Cid) => catalogue.sizeOf(nameOf(cid)) ?? sizeOf(pathOf(cid))

  /** Takes one upload's blocks, the large ones in a place of their own, lets `fill` say what they are, and commits or drops them. */
  async function stage(fill: (keep: (block: Block) => Promise<void>) => Promise<Meaning>): Promise<void> {
    if (closed) throw new Error('the store is closed')
    const place = join(temp, randomUUID())
    const [small, large] = [new Map<Cid, Bytes>(), new Map<Cid, number>()]
    let bytes = 0
    try {
      const meaning = await fill(async (block) => {
        if (small.has(block.cid) || large.has(block.cid)) return
        const size = block.bytes.length
        if (catalogue.usedBytes() + stagedBytes + size > quotaBytes)
          throw new StorageFull(`${quotaBytes} bytes are in use`)
        bytes += size
        stagedBytes += size
        if (size <= SMALL_BYTES_MAX) return void small.set(block.cid, copyOf(block.bytes))
        large.set(block.cid, size)
        await mkdir(place, { recursive: true })
        await writeDurably(join(place, block.cid), block.bytes)
      })
      if (closed) throw new Error('the store is closed')
      const committed = Promise.withResolvers<void>()
      waiting.push({ ...meaning, place, small, large, committed })
      void inTurn(commitWaiting)
      await committed.promise
    } catch (cause) {
      throw worldFault(cause)
    } finally {
      stagedBytes -= bytes
      if (large.size > 0) await rm(place, { recursive: true, force: true }).catch(() => undefined)
    }
  }

  /** All that waited while the last turn synced share this turn's syncs. Never rejects: each upload hears for itself. */
  async function commitWaiting(): Promise<void> {
    // After the input that is here already: what one turn of the event loop brings shares a commit.
    await new Promise((resolve) => setImmediate(resolve))
    const batch = waiting.splice(0)
    if (batch.length === 0) return
    const moved = new Set<Cid>()
    try {
      await catalogue.write(async (commit) => {
        let grownBytes = 0
        for (const { place, large } of batch)
          for (const [cid, size] of large) {
            const replaced = await sizeOf(pathOf(cid))
            // Renamed over what is there, so that putting a blob again mends a block that the disk has damaged.
            await rename(join(place, cid), pathOf(cid))
            grownBytes += size - (replaced ?? 0)
            moved.add(cid)
          }
        await Promise.all([...new Set([...moved].map(shardOf))].map(syncFolder))
        const entries = batch.flatMap(entriesOf)
        const small = new Map(entries.flatMap(({ cid, bytes }) => (bytes ? [[cid, bytes.length]] : [])))
        for (const [cid, size] of small) grownBytes += size - (catalogue.sizeOf(cid) ?? 0)
        commit(() => {
          catalogue.add(entries)
          for (const { parts } of batch) if (parts) catalogue.expect(parts)
        }, grownBytes)
      })
      for (const upload of batch) upload.committed.resolve()
    } catch (cause) {
      await catalogue.write(async () => removeFiles(await unreached(moved))).catch(() => undefined)
      for (const upload of batch) upload.committed.reject(cause)
    }
  }

  /** Those of the blocks that no root reaches and no blob waits for. Only ever in turn, so none comes or goes meanwhile. */
  async function unreached(blocks: Iterable<Cid>): Promise<ReadonlySet<Cid>> {
    const unwanted = new Set(blocks)
    for (const cid of unwanted) if (catalogue.isRoot(cid) || catalogue.isPart(cid)) unwanted.delete(cid)
    for (const root of catalogue.trees()) {
      if (unwanted.size === 0) break
      for await (const cid of blocksUnder(root, load)) unwanted.delete(cid)
    }
    return unwanted
  }

  /** @returns the bytes of those that were there */
  async function removeFiles(cids: Iterable<Cid>): Promise<number> {
    let freedBytes = 0
    for (const cid of cids) {
      freedBytes += (await sizeOf(pathOf(cid))) ?? 0
      await rm(pathOf(cid), { force: true })
    }
    return freedBytes
  }

  async function forget(blob: Cid): Promise<void> {
    const expected = catalogue.partsOf(blob)
    if (!catalogue.isRoot(blob) && expected.length === 0) return
    await release([...(await treeOf(blob)), ...expected], () => catalogue.abandon(blob))
  }

  async function sweep(now: Millis): Promise<number> {
    const overdue = catalogue.overdue(now)
    return overdue.length === 0 ? 0 : release(overdue, () => catalogue.expire(now))
  }

  /** Ends what holds these blocks, then forgets those that nothing else holds. @returns their bytes */
  async function release(blocks: readonly Cid[], end: () => void): Promise<number> {
    const rowBytes = await catalogue.write(async (commit) => {
      end()
      const unwanted = await unreached(blocks)
      const bytes = [...unwanted].reduce((sum, cid) => sum + (catalogue.sizeOf(cid) ?? 0), 0)
      commit(() => catalogue.remove(unwanted), -bytes)
      return bytes
    })
    // Not before the marks are gone, for without its files a blob would be damaged; and looked at again after.
    return catalogue.write(async (commit) => {
      const fileBytes = await removeFiles(await unreached(blocks))
      commit(undefined, -fileBytes)
      return rowBytes + fileBytes
    })
  }

  async function finish(blob: Cid): Promise<boolean> {
    if (!(await isWholeFile(blob, load, keptSize))) return false
    return catalogue.write(async (commit) => {
      // Another process may have forgotten some of it meanwhile.
      if (!(await isWhole(blob))) return false
      const tree = await treeOf(blob)
      if (!catalogue.isRoot(blob) || tree.some(catalogue.isPart)) commit(() => catalogue.finish(blob, tree), 0)
      return true
    })
  }

  async function treeOf(blob: Cid): Promise<readonly Cid[]> {
    const blocks: Cid[] = []
    for await (const cid of blocksUnder(blob, load)) blocks.push(cid)
    return blocks
  }

  async function isWhole(blob: Cid): Promise<boolean> {
    for await (const cid of blocksUnder(blob, load)) if ((await keptSize(cid)) === undefined) return false
    return true
  }

  /** Sets a damaged block aside, so that `has` tells the truth from now on. Looks again first: it may be mended by now. */
  async function setAside(cid: Cid): Promise<void> {
    await catalogue.write(async (commit) => {
      try {
        await checkedBlock(load, cid, BLOCK_BYTES_MAX)
      } catch (cause) {
        if (!(cause instanceof BlobCorrupt)) throw cause
        const bytes = catalogue.bytesOf(cid)
        const size = (await keptSize(cid)) ?? 0
        if (bytes) await writeFile(join(damaged, cid), bytes)
        else await rename(pathOf(cid), join(damaged, cid))
        commit(bytes && (() => catalogue.clear(cid)), -size)
      }
    })
  }

  const opened = doors.move()
  return {
    ...readingOf(load, (cid) => inTurn(() => setAside(cid)).catch(() => undefined)),
    async put(source, limitBytes, signal, expected) {
      let root = expected
      await stage(async (keep) => {
        root = await importBounded(source, limitBytes, signal, expected, keep)
        return { roots: [root] }
      })
      return root as Cid
    },
    async putBlocks(blocks) {
      for (const { cid, bytes } of blocks) checkBlock(cid, bytes)
      await stage(async (keep) => {
        for (const block of blocks) await keep(block)
        return { roots: blocks.map(({ cid }) => cid) }
      })
    },
    async putParts(blob, blocks, until) {
      const checked = nameOf(blob)
      for (const { cid, bytes } of blocks) checkBlock(cid, bytes)
      await stage(async (keep) => {
        for (const block of blocks) await keep(block)
        return { roots: [], parts: { blob: checked, cids: blocks.map(({ cid }) => cid), until } }
      })
    },
    finish: (blob) => inTurn(() => finish(nameOf(blob))),
    sweep: (now) => inTurn(() => sweep(now)),
    has: isWhole,
    delete: (cid) => inTurn(() => forget(nameOf(cid))),
    usedBytes: () => catalogue.usedBytes(),
    async [Symbol.asyncDispose]() {
      if (closed) return
      closed = true
      await inTurn(commitWaiting)
      await opened.disposeAsync()
    },
  }
}

async function prepare(folder: string): Promise<void> {
  try {
    await makeReady(folder)
  } catch (cause) {
    throw worldFault(cause)
  }
}

/**
 * A block up to this size is a row: one sync for all that wait, where a file costs several. Above it a file is read and
 * written faster than a chain of pages, and the write-ahead log would hold everything twice.
 */
const SMALL_BYTES_MAX = 65_536

type FileBlobsOptions = { readonly folder: string; readonly quotaBytes: number; readonly shared?: boolean }

/** What an upload's blocks are: blobs of these roots, or parts of one that is not whole yet. */
type Meaning = { readonly roots: readonly Cid[]; readonly parts?: Parts }

type Staged = Meaning & {
  /** Of the large ones, until they are moved. */
  readonly place: string
  readonly small: ReadonlyMap<Cid, Bytes>
  /** Their sizes. */
  readonly large: ReadonlyMap<Cid, number>
  readonly committed: PromiseWithResolvers<void>
}

/** What the catalogue is to know of an upload. */
function entriesOf({ roots, small }: Staged): readonly CatalogueEntry[] {
  const marked = new Set(roots)
  const inFiles = roots.filter((cid) => !small.has(cid))
  return [
    ...inFiles.map((cid) => ({ cid, root: true, bytes: null })),
    ...[...small].map(([cid, bytes]) => ({ cid, root: marked.has(cid), bytes })),
  ]
}
