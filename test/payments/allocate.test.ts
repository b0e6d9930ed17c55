import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { allocate, roundBudget, roundPayouts } from '#payments/allocate.ts'
import type { OperatorId } from '#protocol/ids.ts'
import { publicKeyOf } from '#protocol/ids.ts'
import { operators } from '#test/conformance/settlement.ts'

const everyone = operators(4096)
const budgets = fc.bigInt({ min: 0n, max: 10n ** 24n })
const sharesOf = (weights: readonly bigint[]) =>
  weights.map((weight, index) => ({ payee: everyone[index] as OperatorId, weight }))
const sum = (payouts: readonly { amount: bigint }[]) => payouts.reduce((total, { amount }) => total + amount, 0n)

describe('a budget is split', () => {
  test('to the last unit, whatever the weights', () => {
    fc.assert(
      fc.property(budgets, fc.array(fc.bigInt({ min: 0n, max: 10n ** 12n }), { maxLength: 60 }), (budget, weights) => {
        const payouts = allocate(budget, sharesOf(weights))
        expect(sum(payouts)).toBe(weights.some((weight) => weight > 0n) ? budget : 0n)
        expect(payouts).toHaveLength(weights.filter((weight) => weight > 0n).length)
      }),
    )
  })

  test('within one unit of everyone’s quota, and the larger remainder is served first', () => {
    fc.assert(
      fc.property(
        budgets,
        fc.array(fc.bigInt({ min: 1n, max: 1000n }), { minLength: 1, maxLength: 40 }),
        (budget, weights) => {
          const total = weights.reduce((a, b) => a + b, 0n)
          const rounded = allocate(budget, sharesOf(weights)).map(({ amount }, index) => {
            const exact = budget * (weights[index] as bigint)
            const up = amount - exact / total
            expect(up === 0n || up === 1n).toBe(true)
            return { up, remainder: exact % total }
          })
          const least = rounded.filter(({ up }) => up === 1n).map(({ remainder }) => remainder)
          const most = rounded.filter(({ up }) => up === 0n).map(({ remainder }) => remainder)
          expect(least.every((high) => most.every((low) => high >= low))).toBe(true)
        },
      ),
    )
  })

  test('the same whatever the order of the shares', () => {
    fc.assert(
      fc.property(
        budgets,
        fc.array(fc.bigInt({ min: 1n, max: 9n }), { minLength: 1, maxLength: 30 }),
        fc.integer(),
        (budget, weights, turn) => {
          const shares = sharesOf(weights)
          const at = Math.abs(turn) % shares.length
          const turned = [...shares.slice(at), ...shares.slice(0, at)].toReversed()
          const byPayee = (payouts: ReturnType<typeof allocate>) =>
            new Map(payouts.map(({ payee, amount }) => [payee, amount]))
          const straight = byPayee(allocate(budget, shares))
          for (const [payee, amount] of byPayee(allocate(budget, turned))) expect(straight.get(payee)).toBe(amount)
        },
      ),
    )
  })

  test('with ties going to the keys that are smaller as bytes', () => {
    const shuffled = [everyone[2], everyone[0], everyone[3], everyone[1]] as OperatorId[]
    const paid = allocate(
      6n,
      shuffled.map((payee) => ({ payee, weight: 5n })),
    )
    const two = paid.filter(({ amount }) => amount === 2n).map(({ payee }) => payee)
    const bytewise = shuffled.toSorted((a, b) => Buffer.compare(publicKeyOf(a), publicKeyOf(b)))
    expect(two.toSorted()).toEqual(bytewise.slice(0, 2))
  })

  test('as worked by hand: 100 over weights 1, 2, 4 is 14, 29, 57', () => {
    expect(allocate(100n, sharesOf([1n, 2n, 4n])).map(({ amount }) => amount)).toEqual([14n, 29n, 57n])
  })

  test('and weight 0 earns nothing, not even a payout of 0, while a small budget leaves earners with 0', () => {
    expect(allocate(5n, sharesOf([0n, 3n]))).toEqual([{ payee: everyone[1], amount: 5n }])
    expect(allocate(1n, sharesOf([1n, 1n])).map(({ amount }) => amount)).toEqual([1n, 0n])
    expect(allocate(5n, sharesOf([0n, 0n]))).toEqual([])
    expect(allocate(5n, [])).toEqual([])
  })

  test('but never a negative budget, a negative weight, or two shares of one payee', () => {
    const [payee] = everyone as [OperatorId]
    expect(() => allocate(-1n, sharesOf([1n]))).toThrow('not negative')
    expect(() => allocate(1n, sharesOf([-1n, 2n]))).toThrow('not negative')
    expect(() =>
      allocate(1n, [
        { payee, weight: 1n },
        { payee, weight: 1n },
      ]),
    ).toThrow('one share')
  })
})

describe('a run’s budget', () => {
  test('is the sum of its rounds’ parts, none differs by more than a unit, and earlier rounds get the odd units', () => {
    fc.assert(
      fc.property(budgets, fc.integer({ min: 1, max: 500 }), (budget, planned) => {
        const parts = Array.from({ length: planned }, (_, index) =>
          roundBudget([{ rounds: planned, budget }], index + 1),
        )
        expect(parts.reduce((a, b) => a + b, 0n)).toBe(budget)
        expect(parts).toEqual(parts.toSorted((a, b) => Number(b - a)))
        expect((parts[0] as bigint) - (parts.at(-1) as bigint)).toBeLessThanOrEqual(1n)
      }),
    )
  })

  test('has no part for the evaluate round or a round before the first', () => {
    expect(() => roundBudget([{ rounds: 3, budget: 10n }], 4)).toThrow('only a planned round')
    expect(() => roundBudget([{ rounds: 3, budget: 10n }], 0)).toThrow('only a planned round')
  })

  test('reaches 4,096 operators of a round in equal parts', () => {
    const payouts = roundPayouts([{ rounds: 3, budget: 10n ** 24n + 1n }], 1, everyone)
    expect(sum(payouts)).toBe(roundBudget([{ rounds: 3, budget: 10n ** 24n + 1n }], 1))
    expect(payouts.map(({ payee }) => payee)).toEqual(everyone)
    expect((payouts[0]?.amount ?? 0n) - (payouts.at(-1)?.amount ?? 0n)).toBeLessThanOrEqual(1n)
  })
})
