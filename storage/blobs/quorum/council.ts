import { assert } from '#protocol/assert.ts'
import { codecOf, DAG_PB } from '#protocol/cid.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, BlobTooLarge, type Clock } from '#protocol/ports.ts'
import { limited } from '../../limited.ts'
import { asRemote } from '../copying.ts'
import { checkedBlock, type LoadChecked } from '../reading.ts'
import { Standing } from '../standing.ts'
import { type Debts, openDebts } from './debts.ts'
import { tally } from './votes.ts'

/** Several stores that are asked one by one or all together, and of which some may be away, hang or lie. */
export function openCouncil<Store extends BlobStore>(options: CouncilOptions<Store>): Council<Store> {
  const { stores, quorum, clock, report } = options
  assert(quorum >= 1 && quorum <= stores.length, 'a quorum is some of the stores')
  const indices = [...stores.keys()]
  const veto = stores.length - quorum + 1
  const standing = new Standing(ANSWER_MILLIS)
  const debts = openDebts({ stores: stores.length, clock, report, pay })
  const behind = new Set<Promise<void>>()

  async function ask<T>(index: number, act: (store: Store) => Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      const answer = await limited(clock, ANSWER_MILLIS, () => act(stores[index] as Store), signal)
      standing.kept(String(index))
      return answer
    } catch (cause) {
      signal?.throwIfAborted()
      if (cause instanceof BlobMissing || cause instanceof BlobCorrupt) standing.kept(String(index))
      else standing.failed(String(index), clock.now())
      throw cause
    }
  }

  function willing(): ReadonlySet<number> {
    const some = indices.filter((index) => standing.admits(String(index), clock.now()))
    return new Set(some.length < quorum ? indices : some)
  }

  const load: LoadChecked = async (cid, limitBytes, signal) => {
    const faults: unknown[] = []
    let missing = 0
    const first = willing()
    for (const index of [...first, ...indices.filter((index) => !first.has(index))]) {
      // Whoever is passed over is asked only where the others cannot tell.
      if (!first.has(index) && missing >= veto) break
      try {
        const held = async () => {
          if (debts.owes(index, cid) === 'delete') return undefined
          return ask(index, (store) => store.getBlock(cid, BLOCK_BYTES_MAX), signal)
        }
        const block = await checkedBlock(held, cid, BLOCK_BYTES_MAX, signal)
        if (block.length <= limitBytes) return block
        throw new BlobTooLarge(`${cid} is ${block.length} bytes, at most ${limitBytes}`)
      } catch (cause) {
        signal?.throwIfAborted()
        if (cause instanceof BlobTooLarge) throw cause
        if (cause instanceof BlobMissing) missing++
        else faults.push(cause)
        if (cause instanceof BlobCorrupt) report(new Error(`store ${index} has a damaged block`, { cause }))
      }
    }
    if (missing >= veto) throw new BlobMissing(cid)
    throw faults.find((cause) => cause instanceof BlobCorrupt) ?? faults[0]
  }

  async function copy(index: number, cid: Cid): Promise<void> {
    const store = stores[index] as Store
    await limited(clock, COPY_MILLIS, async (signal, renew) => {
      const getBlock = async (part: Cid, limitBytes: number) => {
        const bytes = await load(part, limitBytes, signal)
        renew()
        return bytes
      }
      if (codecOf(cid) === DAG_PB) await asRemote(store).send({ getBlock }, cid, signal)
      else await store.putBlocks([{ cid, bytes: await getBlock(cid, BLOCK_BYTES_MAX) }])
    })
  }

  async function pay(index: number, cid: Cid, debt: 'copy' | 'delete'): Promise<void> {
    if (debt === 'copy') await copy(index, cid)
    else await ask(index, (store) => store.delete(cid))
  }

  return {
    ...{ veto, debts, ask, willing, load, copy },
    askEach: (act) => {
      const asked = new Map([...willing()].map((index) => [index, ask(index, act)]))
      const alright = Promise.all(asked.values()).then(
        () => true,
        () => false,
      )
      return indices.map(async (index) => {
        const answer = asked.get(index)
        if (answer) return answer
        // They may be needed after all.
        if (!(await alright)) return ask(index, act)
        throw new PassedOver(`store ${index} is away`)
      })
    },
    async kept(acts, cids) {
      const { decided, all } = tally(acts, quorum, (index, failed) => {
        for (const cid of cids) {
          // Whoever was about to forget it may have done so since.
          if (failed || debts.owes(index, cid) === 'delete') debts.owe(index, cid, 'copy')
          else debts.forgive(index, cid, 'copy')
        }
        if (failed && !(failed.fault instanceof PassedOver))
          report(new Error(`store ${index} will have it later`, { cause: failed.fault }))
      })
      behind.add(all)
      void all.finally(() => behind.delete(all))
      await decided
    },
    behind: () => behind.size,
    async [Symbol.asyncDispose]() {
      await debts[Symbol.asyncDispose]()
      await Promise.all(behind)
    },
  }
}

export type Council<Store extends BlobStore> = AsyncDisposable & {
  /** So many without a blob, and it has no quorum. */
  readonly veto: number
  readonly debts: Debts
  /** One of them, and remembers whether it was there. */
  ask<T>(index: number, act: (store: Store) => Promise<T>, signal?: AbortSignal): Promise<T>
  /** All of them at once, but for those that are passed over: these only once another has failed, or else they fail. */
  askEach<T>(act: (store: Store) => Promise<T>): readonly Promise<T>[]
  /** Those that are not passed over; all of them, where these are no quorum. */
  willing(): ReadonlySet<number>
  /** A block from the first that has it sound. */
  readonly load: LoadChecked
  /** Gives one of them what the others have. */
  copy(index: number, cid: Cid): Promise<void>
  /** Resolves when a quorum has kept these; the others owe it from then on, until they have. Rejects where there is no quorum. */
  kept(acts: readonly Promise<unknown>[], cids: readonly Cid[]): Promise<void>
  /** How many puts have been answered and are not over. */
  behind(): number
}

export type CouncilOptions<Store extends BlobStore> = {
  /** The one to read from first, first. */
  readonly stores: readonly Store[]
  readonly quorum: number
  readonly clock: Clock
  /** Hears of what a store did not do, and of what it has damaged. */
  readonly report: (cause: unknown) => void
}

/** It failed just now, and is left alone for a while. */
class PassedOver extends Error {
  override name = 'PassedOver'
}

/** For a block, or a word. */
const ANSWER_MILLIS: Millis = 10_000
/** For each block of a copy that is made behind. */
const COPY_MILLIS: Millis = 60_000
