import { expect } from '@jest/globals'
import { SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import { CALM, type Outcome, RUN, type SimOptions, simulate } from '#sim/cluster.ts'
import { expectPlainSums } from './sums.ts'

/** Five sites in calm weather, and nothing goes wrong. */
export const QUIET: SimOptions = {
  ...{ seed: 1, nodes: 5, rounds: 3, weather: CALM, crash: 0, nodeCrash: 0, deaths: 0, restarts: 0 },
  ...{ masking: 'none', population: 'open', suite: SUITE_X25519, patience: 1, lost: () => false },
}

/** Plays a cluster to its end, in calm weather unless told otherwise, and checks what must hold of every one. */
export async function play(options: Partial<SimOptions>): Promise<Outcome> {
  const outcome = await simulate({ ...QUIET, ...options })
  if (!outcome.verdict.ok) throw new Error(`seed ${options.seed}: ${outcome.verdict.step}: ${outcome.verdict.detail}`)
  expectExactMoney(outcome)
  await expectPlainSums(outcome)
  return outcome
}

function expectExactMoney({ run, verdict, balances }: Outcome): void {
  const paid = [...balances]
    .filter(([account]) => account.startsWith('operator:'))
    .reduce((sum, [, amount]) => sum + amount, 0n)
  expect(paid).toBe(run.paid)
  expect(run.paid + run.released).toBe(run.spec.budget)
  expect([...balances.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(0n)
  expect(balances.get(`escrow:${RUN}`) ?? 0n).toBe(0n)
  if (verdict.ok) expect(verdict.paid).toBe(paid)
}
