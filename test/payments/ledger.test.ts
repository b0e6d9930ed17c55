import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { admit, balanceOf, hold, openLedger, pay, post, release, type Transfer, totalsOf } from '#payments/ledger.ts'
import type { OperatorId, RunId } from '#protocol/ids.ts'
import { operators } from '#test/conformance/settlement.ts'

const runs = ['run_01ARZ3NDEKTSV4RRFFQ69G5FAV', 'run_01ARZ3NDEKTSV4RRFFQ69G5FAW'] as RunId[]
const people = operators(5)
const [run] = runs as [RunId]
const [ann] = people as [OperatorId]

const transfers = fc
  .record({
    id: fc.integer({ min: 0, max: 12 }),
    kind: fc.constantFrom('hold', 'pay', 'release'),
    run: fc.constantFrom(...runs),
    amounts: fc.array(fc.bigInt({ min: -2n, max: 30n }), { minLength: 1, maxLength: people.length }),
  })
  .map(({ id, kind, run, amounts }): Transfer => {
    if (kind === 'hold') return hold(`${id}`, run, 3n * (amounts[0] as bigint))
    if (kind === 'release') return release(`${id}`, run, amounts[0] as bigint)
    return pay(
      `${id}`,
      run,
      amounts.map((amount, index) => ({ payee: people[index] as OperatorId, amount })),
    )
  })

describe('the ledger', () => {
  test('stays balanced, with no escrow below 0, under any transfers in any order', () => {
    fc.assert(
      fc.property(fc.array(transfers, { maxLength: 60 }), (list) => {
        const ledger = openLedger()
        for (const transfer of list) {
          const before = new Map(ledger.balances)
          const expected = admit(ledger, transfer)
          expect(ledger.balances).toEqual(before)
          const posted = post(ledger, transfer)
          expect(posted).toEqual(expected)
          if (!posted.ok || posted.value === 'repeated') expect(ledger.balances).toEqual(before)
          expect([...ledger.balances.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(0n)
          for (const each of runs) {
            const { held, paid, released } = totalsOf(ledger, each)
            expect(balanceOf(ledger, `escrow:${each}`)).toBe(held - paid - released)
            expect(held - paid - released).toBeGreaterThanOrEqual(0n)
          }
        }
      }),
    )
  })

  test('is the same after every transfer was posted twice, the second time in the opposite order', () => {
    fc.assert(
      fc.property(fc.array(transfers, { maxLength: 40 }), (list) => {
        const ledger = openLedger()
        const posted = list.filter((transfer) => {
          const result = post(ledger, transfer)
          return result.ok && result.value === 'posted'
        })
        const before = new Map(ledger.balances)
        for (const transfer of posted.toReversed())
          expect(post(ledger, transfer)).toEqual({ ok: true, value: 'repeated' })
        expect(ledger.balances).toEqual(before)
      }),
    )
  })

  test('refuses an id that comes back with another amount, payee, run or kind', () => {
    const ledger = openLedger()
    post(ledger, hold('a', run, 10n))
    post(ledger, pay('b', run, [{ payee: ann, amount: 3n }]))
    const others = [
      hold('a', run, 11n),
      hold('a', runs[1] as RunId, 10n),
      release('a', run, 10n),
      pay('b', run, [{ payee: people[1] as OperatorId, amount: 3n }]),
      pay('b', run, [{ payee: ann, amount: 2n }]),
      pay('b', run, [
        { payee: ann, amount: 3n },
        { payee: ann, amount: 0n },
      ]),
    ]
    for (const other of others) expect(post(ledger, other)).toMatchObject({ ok: false, refusal: 'id-reused' })
    expect(totalsOf(ledger, run)).toEqual({ held: 10n, paid: 3n, released: 0n })
  })

  test('refuses what the escrow does not hold, and a negative amount that hides in a sum', () => {
    const ledger = openLedger()
    post(ledger, hold('a', run, 10n))
    expect(post(ledger, release('b', run, 11n))).toMatchObject({ refusal: 'overdrawn' })
    const hidden = [
      { payee: ann, amount: 12n },
      { payee: people[1] as OperatorId, amount: -2n },
    ]
    expect(post(ledger, pay('c', run, hidden))).toMatchObject({ refusal: 'negative-amount' })
    expect(balanceOf(ledger, `escrow:${run}`)).toBe(10n)
  })
})
