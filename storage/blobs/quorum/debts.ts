import type { Cid, Millis } from '#protocol/ids.ts'
import { BlobMissing, type Clock } from '#protocol/ports.ts'

/** What a store has missed while it was away, or failed: to have a copy, or to forget one. */
export type Debt = 'copy' | 'delete'

/**
 * What each store still owes, in memory: tried again with growing pauses, the latest word on a blob the only one. Past the
 * bound the oldest are let go, which is said; and a process that ends lets go of all.
 *
 * @param pay performs one; throws where the store still cannot
 */
export function openDebts({ stores, clock, pay, report }: DebtsOptions): Debts {
  const books = Array.from({ length: stores }, () => new Map<Cid, Debt>())
  const paying = new Map<number, Promise<void>>()
  const closing = new AbortController()

  async function payOff(store: number): Promise<void> {
    const book = books[store] as Map<Cid, Debt>
    let pause = FIRST_PAUSE_MILLIS
    for (let next = first(book); next && !closing.signal.aborted; next = first(book)) {
      const [cid, debt] = next
      try {
        await pay(store, cid, debt)
        if (book.get(cid) === debt) book.delete(cid)
        pause = FIRST_PAUSE_MILLIS
      } catch (cause) {
        // It was deleted everywhere meanwhile.
        if (cause instanceof BlobMissing) {
          if (book.get(cid) === debt) book.delete(cid)
          continue
        }
        await clock.wakeAt(clock.now() + pause, closing.signal).catch(() => undefined)
        pause = Math.min(2 * pause, PAUSE_MILLIS_MAX)
      }
    }
  }

  return {
    owes: (store, cid) => books[store]?.get(cid),
    owe(store, cid, debt) {
      const book = books[store]
      if (!book || closing.signal.aborted) return
      book.delete(cid)
      book.set(cid, debt)
      const oldest = first(book)
      if (book.size > DEBTS_MAX && oldest) {
        book.delete(oldest[0])
        report(new Error(`store ${store} will not be made to ${oldest[1]} ${oldest[0]}: it owes too much`))
      }
      if (paying.has(store)) return
      const paid = payOff(store).finally(() => paying.delete(store))
      paying.set(store, paid)
    },
    forgive(store, cid, debt) {
      const book = books[store]
      if (book?.get(cid) === debt) book.delete(cid)
    },
    size: () => books.reduce((sum, book) => sum + book.size, 0),
    async [Symbol.asyncDispose]() {
      closing.abort()
      await Promise.all(paying.values())
    },
  }
}

export type Debts = AsyncDisposable & {
  owes(store: number, cid: Cid): Debt | undefined
  owe(store: number, cid: Cid, debt: Debt): void
  /** It need not, unless it owes something else by now. */
  forgive(store: number, cid: Cid, debt: Debt): void
  size(): number
}

type DebtsOptions = {
  readonly stores: number
  readonly clock: Clock
  readonly pay: (store: number, cid: Cid, debt: Debt) => Promise<void>
  readonly report: (cause: unknown) => void
}

/** Of each store: a day of rounds. */
const DEBTS_MAX = 4096
const FIRST_PAUSE_MILLIS: Millis = 1000
const PAUSE_MILLIS_MAX: Millis = 60_000

function first<K, V>(map: ReadonlyMap<K, V>): readonly [K, V] | undefined {
  for (const entry of map) return entry
  return undefined
}
