import { describe, expect, test } from '@jest/globals'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { type Amount, nodeIdOf, type OperatorId, type RunId } from '#protocol/ids.ts'
import type { Settlement } from '#protocol/ports.ts'

/** One set of books and as many doors to it as asked for: a restart, or another process. */
export type Books = AsyncDisposable & {
  readonly door: () => Settlement
  readonly balances: () => Promise<ReadonlyMap<string, Amount>>
}

const run = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId
const other = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW' as RunId

/** Distinct operators, ascending. */
export function operators(count: number): readonly OperatorId[] {
  return Array.from({ length: count }, (_, index) => nodeIdOf(sha256(utf8(`operator ${index}`)))).toSorted()
}

/** What every settlement door promises. */
export function settlementConformance(name: string, open: () => Promise<Books>): void {
  const [ann, ben, cat] = operators(3) as [OperatorId, OperatorId, OperatorId]

  async function rows(books: Books): Promise<Record<string, Amount>> {
    const balances = await books.balances()
    expect([...balances.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(0n)
    return Object.fromEntries([...balances].filter(([, amount]) => amount !== 0n))
  }

  describe(`${name} settles`, () => {
    test('a hold is paid out and what is left goes back', async () => {
      await using books = await open()
      const door = books.door()
      await door.hold('a-0-0', run, 100n)
      expect(await rows(books)).toEqual({ sponsor: -100n, [`escrow:${run}`]: 100n })
      await door.post('a-1-0', run, [
        { payee: ann, amount: 34n },
        { payee: ben, amount: 33n },
      ])
      await door.release('a-2-0', run, 33n)
      expect(await rows(books)).toEqual({ sponsor: -67n, [`operator:${ann}`]: 34n, [`operator:${ben}`]: 33n })
    })

    test('a repeat pays nobody twice, from this process or another', async () => {
      await using books = await open()
      for (const door of [books.door(), books.door()]) {
        for (let again = 0; again < 2; again++) {
          await door.hold('a-0-0', run, 10n)
          await door.post('a-1-0', run, [{ payee: ann, amount: 4n }])
          await door.release('a-2-0', run, 6n)
        }
      }
      expect(await rows(books)).toEqual({ sponsor: -4n, [`operator:${ann}`]: 4n })
    })

    test('an id that comes back with other words is thrown out and changes nothing', async () => {
      await using books = await open()
      const door = books.door()
      await door.hold('a-0-0', run, 10n)
      await door.post('a-1-0', run, [{ payee: ann, amount: 4n }])
      const before = await rows(books)
      await expect(door.hold('a-0-0', run, 11n)).rejects.toThrow()
      await expect(door.hold('a-0-0', other, 10n)).rejects.toThrow()
      await expect(door.release('a-0-0', run, 10n)).rejects.toThrow()
      await expect(door.post('a-1-0', run, [{ payee: ann, amount: 5n }])).rejects.toThrow()
      await expect(door.post('a-1-0', run, [{ payee: ben, amount: 4n }])).rejects.toThrow()
      await expect(door.release('a-1-0', run, 4n)).rejects.toThrow()
      await expect(books.door().post('a-1-0', run, [])).rejects.toThrow()
      expect(await rows(books)).toEqual(before)
    })

    test('no more leaves an escrow than it holds, and one run never pays from another', async () => {
      await using books = await open()
      const door = books.door()
      await door.hold('a-0-0', run, 10n)
      await door.hold('b-0-0', other, 100n)
      const before = await rows(books)
      await expect(door.post('a-1-0', run, [{ payee: ann, amount: 11n }])).rejects.toThrow()
      await expect(door.release('a-1-1', run, 11n)).rejects.toThrow()
      await expect(door.hold('a-1-2', run, -1n)).rejects.toThrow()
      await expect(
        door.post('a-1-3', run, [
          { payee: ann, amount: 12n },
          { payee: ben, amount: -2n },
        ]),
      ).rejects.toThrow()
      expect(await rows(books)).toEqual(before)
    })

    test('a list of 4,096 payouts that is one unit too dear is not paid in part', async () => {
      await using books = await open()
      const door = books.door()
      const payouts = operators(4096).map((payee) => ({ payee, amount: 10n ** 20n }))
      await door.hold('a-0-0', run, 4096n * 10n ** 20n - 1n)
      const before = await rows(books)
      await expect(door.post('a-1-0', run, payouts)).rejects.toThrow()
      expect(await rows(books)).toEqual(before)
      await door.hold('a-2-0', run, 1n)
      await door.post('a-1-0', run, payouts)
      await books.door().post('a-1-0', run, payouts)
      const after = await rows(books)
      expect(after['sponsor']).toBe(-4096n * 10n ** 20n)
      expect(Object.keys(after)).toHaveLength(4097)
    })

    test('doors that race with the same and with other orders lose none and repeat none', async () => {
      await using books = await open()
      const doors = [books.door(), books.door(), books.door()]
      await doors[0]?.hold('a-0-0', run, 1000n)
      const orders = Array.from({ length: 12 }, (_, index) => (door: Settlement) => {
        const payee = [ann, ben, cat][index % 3] as OperatorId
        return door.post(`a-${index + 1}-0`, run, [{ payee, amount: BigInt(index + 1) }])
      })
      await Promise.all(doors.flatMap((door, shift) => orders.map((_, at) => orders[(at + 4 * shift) % 12]?.(door))))
      expect(await rows(books)).toEqual({
        sponsor: -1000n,
        [`escrow:${run}`]: 1000n - 78n,
        [`operator:${ann}`]: 1n + 4n + 7n + 10n,
        [`operator:${ben}`]: 2n + 5n + 8n + 11n,
        [`operator:${cat}`]: 3n + 6n + 9n + 12n,
      })
    })
  })
}
