import { expect, test } from '@jest/globals'
import { type Outcome, type SimOptions, simulate } from '#test/sim/cluster.ts'

/** How many seeds, and from which on: a slice in CI, the whole by hand. A seed that fails is kept in sim.test.ts. */
const SEEDS = Number(process.env['CONSILIUM_SEEDS'] ?? 60)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 1000)

/** Every seed draws its own weather, size and fate. */
function optionsOf(seed: number): SimOptions {
  return {
    seed,
    nodes: 2 + (seed % 7),
    // Half of the clusters that can are masked.
    masking: seed % 7 > 0 && (seed >> 1) % 2 ? 'secagg/1' : 'none',
    rounds: 1 + (seed % 4),
    weather: {
      delayMillis: [5, 100, 700][seed % 3] as number,
      loss: [0, 0.02, 0.1][(seed >> 1) % 3] as number,
      duplication: [0, 0.2][(seed >> 2) % 2] as number,
      breaks: [0, 0.03][(seed >> 3) % 2] as number,
    },
    crash: [0, 0.02, 0.1][(seed >> 2) % 3] as number,
    deaths: (seed >> 4) % 3,
  }
}

test(`${SEEDS} seeds from ${FIRST} on: no round hangs, no record fails to verify, no payment is lost or made twice`, async () => {
  const seen = { closed: 0, aborted: 0, crashes: 0, failedRuns: 0 }
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const outcome: Outcome = await simulate(optionsOf(seed))
    const { run, verdict, balances, crashes } = outcome
    if (!verdict.ok) throw new Error(`seed ${seed}: ${verdict.step} ${verdict.round ?? ''}: ${verdict.detail}`)
    const operators = [...balances].filter(([account]) => account.startsWith('operator:'))
    expect({ seed, paid: operators.reduce((sum, [, amount]) => sum + amount, 0n) }).toEqual({ seed, paid: run.paid })
    expect({ seed, total: run.paid + run.released }).toEqual({ seed, total: run.spec.budget })
    seen.crashes += crashes
    for (const { manifest } of run.past) manifest ? seen.closed++ : seen.aborted++
    if (verdict.outcome === 'failed') seen.failedRuns++
  }
  process.stdout.write(`sim campaign: ${SEEDS} seeds, ${JSON.stringify(seen)}\n`)
}, 3_600_000)
