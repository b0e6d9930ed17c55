import { copyOf } from '#protocol/bytes.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, type BlobStore, type PartsStore } from '#protocol/ports.ts'
import { systemClock } from '../clock.ts'
import { type Council, type CouncilOptions, openCouncil } from './quorum/council.ts'
import { fanOut, TooFewLeft } from './quorum/fan-out.ts'
import { finishing } from './quorum/finishing.ts'
import { poll } from './quorum/votes.ts'
import { blocksUnder, readingFrom } from './reading.ts'
import { checkBlock, importBounded } from './writing.ts'

/**
 * Several stores as one: what is put is durable in `quorum` of them when it answers, and is read from the first that has
 * it. Any `stores - quorum` of them may be away, hang or lie, and nobody notices but for the reports. What one of them
 * missed meanwhile is made up for behind, while the process lives; after that, `repair` does it.
 *
 * A blob is forgotten once fewer stores have it than a quorum. One that was away then owes that, and until it has paid, it
 * is not asked for that blob; leaves of it may be read there by their own names.
 */
export function quorumBlobs(options: QuorumOptions<PartsStore>): QuorumStore & PartsStore
export function quorumBlobs(options: QuorumOptions<BlobStore>): QuorumStore
export function quorumBlobs(options: QuorumOptions<BlobStore>): QuorumStore {
  const { stores } = options
  // It takes blobs in parts when all of them do.
  if (!stores.every(takesParts)) return over(openCouncil({ clock: systemClock, ...options }), options)
  const council = openCouncil({ clock: systemClock, ...options, stores })
  return { ...over(council, options), ...finishing(council, { ...options, stores }) }
}

export type QuorumStore = BlobStore &
  AsyncDisposable & {
    /** Looks at every block of every copy and puts right those that are not whole. @returns how many stores have it then */
    repair(cid: Cid): Promise<number>
    /** Puts that are answered and not over, copies and deletions that stores still owe. */
    owed(): number
  }

export type QuorumOptions<Store extends BlobStore> = Omit<CouncilOptions<Store>, 'clock'> &
  Partial<Pick<CouncilOptions<Store>, 'clock'>>

/** Puts that are answered and still go on in some store: each may hold a window of its stream. */
const BEHIND_MAX = 32

function takesParts(store: BlobStore): store is PartsStore {
  return 'putParts' in store
}

function over<Store extends BlobStore>(
  council: Council<Store>,
  { stores, quorum, clock = systemClock }: QuorumOptions<BlobStore>,
): QuorumStore {
  const { ask, askEach, willing, load, copy, kept, debts, veto } = council

  /** Reads the whole of what one store has of it. */
  async function isSound(index: number, cid: Cid): Promise<boolean> {
    try {
      const held = (part: Cid) => ask(index, (store) => store.getBlock(part, BLOCK_BYTES_MAX))
      for await (const part of blocksUnder(cid, held)) checkBlock(part, await held(part))
      return true
    } catch {
      return false
    }
  }

  return {
    ...readingFrom(load),
    async put(source, limitBytes, signal, expected) {
      const fan = fanOut(source, { follow: stores.length, pace: quorum, clock })
      const end = new AbortController()
      const naming = importBounded(fan.leader, limitBytes, signal, expected, async () => undefined)
      const puts = stores.map(async (store, index) => {
        try {
          const put = store.put(fan.followers[index] as AsyncIterable<Bytes>, limitBytes, end.signal, expected)
          // The source may take its time; a store that has had all of it may not.
          const late = fan.ended.then(() => ask(index, () => put, end.signal))
          const [cid, name] = [await Promise.race([put, late]), await naming]
          if (cid !== name) throw new BlobCorrupt(`there ${name} is called ${cid}`)
        } catch (cause) {
          fan.drop(index)
          throw cause
        }
      })
      const settled = Promise.allSettled(puts)
      let cid: Cid
      try {
        cid = await naming
      } catch (cause) {
        fan.end(cause)
        end.abort(cause)
        const faults = (await settled).flatMap((put) => (put.status === 'rejected' ? [put.reason] : []))
        throw cause instanceof TooFewLeft ? (faults.find((fault) => fault !== cause) ?? cause) : cause
      }
      await kept(puts, [cid])
      if (council.behind() > BEHIND_MAX) end.abort(new Error('too much goes on behind'))
      return cid
    },
    async putBlocks(blocks) {
      for (const { cid, bytes } of blocks) checkBlock(cid, bytes)
      const copies: readonly Block[] = blocks.map(({ cid, bytes }) => ({ cid, bytes: copyOf(bytes) }))
      const cids = copies.map(({ cid }) => cid)
      await kept(
        askEach((store) => store.putBlocks(copies)),
        cids,
      )
    },
    async has(cid) {
      const asked = (indices: Iterable<number>) =>
        poll(
          [...indices].map(
            async (index) => debts.owes(index, cid) !== 'delete' && ask(index, (store) => store.has(cid)),
          ),
          { yes: quorum, no: veto },
        )
      const some = willing()
      return some.size === stores.length ? asked(some) : asked(some).catch(() => asked(stores.keys()))
    },
    async delete(cid) {
      for (const index of stores.keys()) debts.forgive(index, cid, 'copy')
      const outcomes = await Promise.allSettled(askEach((store) => store.delete(cid)))
      const faults = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
      // Not said to be forgotten while a quorum may have it; whoever asked asks again.
      if (outcomes.length - faults.length < veto) throw faults[0]
      for (const [index, { status }] of outcomes.entries())
        if (status === 'rejected') debts.owe(index, cid, 'delete')
        else debts.forgive(index, cid, 'delete')
    },
    async repair(cid) {
      const outcomes = await Promise.allSettled(
        stores.map(async (_, index) => {
          if (!(await isSound(index, cid))) await copy(index, cid)
          debts.forgive(index, cid, 'copy')
        }),
      )
      const whole = outcomes.filter(({ status }) => status === 'fulfilled').length
      const [first] = outcomes
      if (whole === 0 && first?.status === 'rejected') throw first.reason
      return whole
    },
    owed: () => debts.size() + council.behind(),
    [Symbol.asyncDispose]: () => council[Symbol.asyncDispose](),
  }
}
