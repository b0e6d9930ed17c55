import { assert, BrokenInvariant } from '#protocol/assert.ts'
import type { Amount, NodeId, OperatorId } from '#protocol/ids.ts'
import type { Payout } from '#protocol/ports.ts'

export type Share = { readonly payee: OperatorId; readonly weight: bigint }

/**
 * Splits a budget by largest remainder (Hamilton's method): everyone gets the whole part of their quota, and the units
 * left over go one each to the largest remainders, ties to the smaller id bytewise (a NodeId's text order is its byte
 * order). The payouts sum to the budget exactly and come in the order of the shares.
 *
 * Weight 0 earns no payout, not even of 0; a positive weight always has one. With nothing to weigh there is nobody to
 * pay, and the answer is empty whatever the budget: the caller releases it.
 */
export function allocate(budget: Amount, shares: readonly Share[]): readonly Payout[] {
  assert(budget >= 0n, 'a budget is not negative')
  assert(
    shares.every((share) => share.weight >= 0n),
    'a weight is not negative',
  )
  assert(new Set(shares.map((share) => share.payee)).size === shares.length, 'a payee has one share')
  const earning = shares.filter((share) => share.weight > 0n)
  const total = earning.reduce((sum, share) => sum + share.weight, 0n)
  if (total === 0n) return []

  const quotas = earning.map(({ payee, weight }) => {
    const exact = budget * weight
    return { payee, amount: exact / total, remainder: exact % total }
  })
  const left = budget - quotas.reduce((sum, quota) => sum + quota.amount, 0n)
  const lucky = new Set(
    quotas
      .toSorted((a, b) => order(b.remainder, a.remainder) || order(a.payee, b.payee))
      .slice(0, Number(left))
      .map((quota) => quota.payee),
  )
  const payouts = quotas.map(({ payee, amount }) => ({ payee, amount: lucky.has(payee) ? amount + 1n : amount }))
  assert(payouts.reduce((sum, payout) => sum + payout.amount, 0n) === budget, 'payouts sum to the budget')
  return payouts
}

/** Training rounds that are to close, and what all of them together are paid. */
export type Tranche = { readonly rounds: number; readonly budget: Amount }

/** What a run was ordered with, and what was added to it while it went on, in that order. */
export type Ordered = {
  readonly planned: number
  readonly budget: Amount
  readonly extensions?: readonly Tranche[] | undefined
}

/**
 * What a run's rounds are paid from: the order's budget is for the order's rounds and each extension's for its own. So an
 * extension changes nothing of what a round before it paid, and every budget is split exactly over the rounds it was given for.
 */
export function tranchesOf({ planned, budget, extensions = [] }: Ordered): readonly Tranche[] {
  return [{ rounds: planned, budget }, ...extensions.map(({ rounds, budget }) => ({ rounds, budget }))]
}

/** Order and extensions together. */
export function totalOf(ordered: Ordered): Tranche {
  return tranchesOf(ordered).reduce((sum, { rounds, budget }) => ({
    rounds: sum.rounds + rounds,
    budget: sum.budget + budget,
  }))
}

/**
 * What the training round pays which is the `index`-th to close: its part of its tranche's budget, in equal parts by largest
 * remainder, ties to earlier ones, so that the parts of all planned rounds sum to the budgets. A round that came to nothing
 * has none: it is tried again, and the part waits for the one that closes.
 * @param index 1 … planned
 */
export function roundBudget(tranches: readonly Tranche[], index: number): Amount {
  let before = 0
  for (const { rounds, budget } of tranches) {
    assert(budget >= 0n, 'a budget is not negative')
    if (Number.isInteger(index) && index > before && index <= before + rounds) {
      const parts = BigInt(rounds)
      return budget / parts + (BigInt(index - before) <= budget % parts ? 1n : 0n)
    }
    before += rounds
  }
  throw new BrokenInvariant('only a planned round has a part of the budget')
}

/**
 * What a closed training round pays: its part, equally over the operators whose updates are in its model. Counts of
 * examples are secret or self-reported, so they never raise pay.
 * @param index how many training rounds have closed, this one with them
 * @param nodes in seat order, hence ascending, which makes the payouts' order theirs
 */
export function roundPayouts(tranches: readonly Tranche[], index: number, nodes: readonly NodeId[]): readonly Payout[] {
  return allocate(
    roundBudget(tranches, index),
    nodes.map((payee) => ({ payee, weight: 1n })),
  )
}

function order<T extends bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
