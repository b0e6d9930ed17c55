import { CID } from 'multiformats/cid'
import { randomBytes } from '#crypto'
import { codecOf, DAG_PB, digestOf, RAW } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { type Clock, type PartsStore, StorageFull } from '#protocol/ports.ts'
import { systemClock } from '../clock.ts'
import { each } from '../each.ts'
import { type Hold, holdBytes, holdCid, holdIn, rawOf, uploadKey } from './kubo-holds.ts'
import type { KuboRpc } from './kubo-rpc.ts'
import { blocksUnder, type Load, readingOf } from './reading.ts'
import { checkBlock, importBounded } from './writing.ts'

/**
 * Blobs in a Kubo daemon, which is trusted with keeping them and with nothing else: blocks are cut and hashed here, and what
 * comes back is hashed again. A blob is here when it is held (see kubo-holds.ts) and its blocks are there. A hold is pinned
 * before its block is sent, so the daemon's collector never takes what is on its way; what a crash leaves are parts, which
 * go when their time is over. Several processes may use one daemon, and several stores, each in a space of its own.
 *
 * @param quotaBytes of all that the daemon keeps, whoever put it; past it, and on a full disk, puts throw {@link StorageFull}
 */
export function openKuboBlobs({ rpc, space, quotaBytes, hidden, clock = systemClock }: KuboBlobsOptions): PartsStore {
  let measured = { at: Number.NEGATIVE_INFINITY, bytes: 0 }

  const isPinned = async (hold: Hold, of = space) => (await rpc.pinOf(holdCid(of, hold), 'recursive')) !== undefined
  const unpin = (hold: Hold) => rpc.unpin(holdCid(space, hold))

  const load: Load = async (cid, limitBytes, signal) => {
    const block = await rpc.block(cid, limitBytes, signal)
    // Of two stores in one daemon each could read the other's blocks.
    if (block && hidden !== undefined && (await isPinned({ kind: 'block', cid }, hidden))) return undefined
    return block
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

  /** A part whose hold is there already is held anew: no harm, for nobody was told that it is a blob. */
  async function keepPart(upload: Bytes, block: Block): Promise<void> {
    await admit(block.bytes.length)
    await rpc.pin(holdBytes(space, { kind: 'part', upload, cid: block.cid }))
    await rpc.putBlock(block)
  }

  /** Removes what no pin needs, of anybody. Under another codec than `raw` Kubo does not see our own links to it. */
  async function remove(cid: Cid): Promise<boolean> {
    if (codecOf(cid) !== RAW && (await rpc.pinOf(rawOf(cid), 'all')) !== undefined) return false
    return rpc.removeBlock(cid)
  }

  async function keepAll(blocks: readonly Block[]): Promise<void> {
    const made: Block[] = []
    try {
      await each(blocks, async (block) => {
        await admit(block.bytes.length)
        if (await pin({ kind: 'block', cid: block.cid })) made.push(block)
        await rpc.putBlock(block)
      })
    } catch (cause) {
      await each(made, async ({ cid }) => {
        await unpin({ kind: 'block', cid })
        await remove(cid)
      }).catch(() => undefined)
      throw cause
    }
  }

  /** A file under way. Its blocks are parts until it has a name; a file of one block is a blob at once. */
  async function keepFile(fill: (keep: (block: Block) => Promise<void>) => Promise<Cid>): Promise<Cid> {
    const upload = randomBytes(32)
    const until: Hold = { kind: 'until', upload, until: clock.now() + UPLOAD_MILLIS_MAX }
    const parts = new Set<Cid>()
    let first: Block | undefined
    let opened: Promise<void> | undefined
    const part = async (block: Block) => {
      if (parts.has(block.cid)) return
      parts.add(block.cid)
      opened ??= rpc.pin(holdBytes(space, until))
      await opened
      await keepPart(upload, block)
    }
    const drop = async () => {
      await each([...parts], (cid) => unpin({ kind: 'part', upload, cid }))
      if (opened) await unpin(until)
    }
    try {
      const cid = await fill(async (block) => {
        // A file of one block is told from a longer one's first only by what follows.
        if (!first && parts.size === 0) {
          first = { cid: block.cid, bytes: block.bytes.slice() }
          return
        }
        const [before, held] = [first, block]
        first = undefined
        if (before) await part(before)
        await part(held)
      })
      if (first) await keepAll([first])
      else await pin({ kind: 'file', cid })
      await drop()
      return cid
    } catch (cause) {
      await drop()
        .then(() => each([...parts], remove))
        .catch(() => undefined)
      throw cause
    }
  }

  async function isHere(cid: Cid): Promise<boolean> {
    return (await rpc.sizeOf(cid)) !== undefined
  }

  async function blocksOf(root: Cid): Promise<readonly Cid[]> {
    const blocks: Cid[] = []
    for await (const cid of blocksUnder(root, load)) blocks.push(cid)
    return blocks
  }

  /** Whether all blocks under it are there. */
  async function isWhole(root: Cid): Promise<boolean> {
    let missing = 0
    await each(await blocksOf(root), async (cid) => {
      if (!(await isHere(cid))) missing++
    })
    return missing === 0
  }

  async function has(cid: Cid): Promise<boolean> {
    if (codecOf(cid) === DAG_PB) {
      if (await isPinned({ kind: 'file', cid })) return isWhole(cid)
      if (!(await isPinned({ kind: 'block', cid })) || !(await isHere(cid))) return false
      for await (const part of blocksUnder(cid, load)) if (part !== cid && !(await has(part))) return false
      return true
    }
    if (!(await isHere(cid))) return false
    if (await isPinned({ kind: 'block', cid })) return true
    // It may be a part of a file. Rarely asked, and dear: Kubo looks through all its pins.
    const through = /^indirect through (\S+)$/.exec((await rpc.pinOf(cid, 'all')) ?? '')?.[1]
    return through !== undefined && holdIn(space, CID.parse(through))?.kind === 'file'
  }

  return {
    ...readingOf(load),
    put: (source, limitBytes, signal, expected) =>
      keepFile((keep) => importBounded(source, limitBytes, signal, expected, keep)),
    async putBlocks(blocks) {
      for (const { cid, bytes } of blocks) checkBlock(cid, bytes)
      await keepAll(blocks)
    },
    has,
    async delete(cid) {
      const kinds = codecOf(cid) === DAG_PB ? (['file', 'block'] as const) : (['block'] as const)
      const holds: readonly Hold[] = kinds.map((kind) => ({ kind, cid }))
      const pinned = await Promise.all(holds.map((hold) => isPinned(hold)))
      if (!pinned.includes(true)) return
      // The parts of a file that came as blocks are blobs of their own.
      const blocks = kinds[0] === 'file' && pinned[0] ? await blocksOf(cid) : [cid]
      await each(holds, unpin)
      // What this does not reach is left to the daemon's collector.
      await each(blocks, remove)
    },
    async putParts(blob, blocks, until) {
      for (const { cid, bytes } of blocks) checkBlock(cid, bytes)
      const upload = digestOf(blob)
      await pin({ kind: 'until', upload, until })
      await each(blocks, (block) => keepPart(upload, block))
    },
    async finish(blob) {
      if (!(await isWhole(blob))) return false
      const hold: Hold = { kind: codecOf(blob) === DAG_PB ? 'file' : 'block', cid: blob }
      const isNew = await pin(hold)
      // The collector may have taken a block that was nobody's part, between the look and the pin.
      if (!(await isWhole(blob))) {
        if (isNew) await unpin(hold)
        return false
      }
      await each(await blocksOf(blob), (cid) => unpin({ kind: 'part', upload: digestOf(blob), cid }))
      return true
    },
    async sweep(now) {
      const uploads = new Map<string, Upload>()
      for (const pinned of await rpc.pins()) {
        const hold = holdIn(space, pinned)
        if (hold?.kind !== 'part' && hold?.kind !== 'until') continue
        const key = uploadKey(hold.upload)
        const known = uploads.get(key) ?? { holds: [], until: Number.NEGATIVE_INFINITY }
        uploads.set(key, {
          holds: [...known.holds, hold],
          until: Math.max(known.until, hold.kind === 'until' ? hold.until : known.until),
        })
      }
      let freedBytes = 0
      for (const { holds, until } of uploads.values()) {
        if (until > now) continue
        await each(holds, async (hold) => {
          await unpin(hold)
          if (hold.kind !== 'part') return
          const size = (await rpc.sizeOf(hold.cid)) ?? 0
          if (await remove(hold.cid)) freedBytes += size
        })
      }
      return freedBytes
    },
  }
}

export type KuboBlobsOptions = {
  readonly rpc: KuboRpc
  /** What tells this store from others in the same daemon, at most 16 characters. */
  readonly space: string
  readonly quotaBytes: number
  /** The space of a store in the same daemon whose blocks are not to be read through this one. */
  readonly hidden?: string
  readonly clock?: Clock
}

type Upload = { readonly holds: readonly Hold[]; readonly until: Millis }

/** Longer than any put takes that is still alive: its parts are swept after that. */
const UPLOAD_MILLIS_MAX: Millis = 86_400_000
const MEASURED_MILLIS: Millis = 1000
