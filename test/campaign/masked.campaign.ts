import { expect, test } from '@jest/globals'
import { unitStream } from '#aggregation/rng.ts'
import { SUITE_HYBRID, SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import type { SimOptions } from '#sim/setting.ts'
import { seed as seedOf } from '#test/aggregation/given.ts'
import { play } from '#test/sim/play.ts'

/** How many seeds, and from which on: a slice in CI, the whole by hand. Each is a run of 3 to 7 masked rounds. */
const SEEDS = Number(process.env['CONSILIUM_SEEDS'] ?? 430)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 30_000)

/** What a member says in each phase of a session, whose loss makes it a dropout there. */
const WORDS = ['join', 'deal', 'agree', 'submit', 'confirm', 'unmask', 'abandon'] as const

/** Everything drawn from the seed: who and how many, what the network does, and who falls out in which phase of which round. */
function optionsOf(seed: number): Partial<SimOptions> {
  const unit = unitStream(seedOf(seed))
  const one = <T>(...of: readonly T[]): T => of[Math.floor(unit() * of.length)] as T
  const nodes = one(3, 3, 4, 4, 5, 5, 6, 7, 9)
  const rounds = one(2, 3, 4, 6)
  const silence = one(0, 0.02, 0.05)
  const silent = new Set<string>()
  for (let round = 1; round <= rounds + 1; round++)
    for (let site = 0; site < nodes; site++)
      for (const word of WORDS) if (unit() < silence) silent.add(`${word} ${round} ${site}`)
  return {
    ...{ seed, nodes, rounds, masking: 'secagg/1', patience: one(1, 4) },
    population: one('open', 'hospital'),
    suite: one(SUITE_X25519, SUITE_X25519, SUITE_HYBRID),
    weather: {
      delayMillis: one(5, 100, 400),
      loss: one(0, 0.005, 0.02),
      duplication: one(0, 0.1, 0.3),
      breaks: one(0, 0.005, 0.02),
    },
    ...{ crash: one(0, 0, 0.01), crashAnywhere: one(0, 0, 0.001), nodeCrash: one(0, 0, 0.01) },
    ...{ nodeCrashAnywhere: one(0, 0, 0.001), deaths: one(0, 0, 1), restarts: one(0, 1, 2), partitions: one(0, 0, 1) },
    ...{ pauses: one(0, 0, 1), fullDisks: one(0, 0, 1), slowDisks: one(0, 0, 1), skewMillis: one(0, 0, 1000) },
    jumps: one(0, 0, 1),
    lost: (said: ClientMessage, site: number) => 'round' in said && silent.has(`${said.kind} ${said.round} ${site}`),
  }
}

test(`${SEEDS} masked runs from ${FIRST} on: no wrong sum, whoever falls out in whichever phase`, async () => {
  const seen = { closed: 0, short: 0, aborted: {} as Record<string, number>, nodeRestarts: 0, coordinatorCrashes: 0 }
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const { run, verdict, nodes, crashes } = await play(optionsOf(seed))
    for (const { lives } of nodes) seen.nodeRestarts += lives - 1
    seen.coordinatorCrashes += crashes
    for (const round of verdict.ok ? verdict.rounds : []) {
      if (round.outcome === 'closed') seen.closed++
      // Closed without somebody: masks of dropouts came off by their roots, or they were left out before.
      if (round.outcome === 'closed' && round.reports < nodes.length) seen.short++
      const reason = run.past[round.round - 1]?.reason
      if (reason) seen.aborted[reason] = (seen.aborted[reason] ?? 0) + 1
    }
  }
  expect(seen.closed).toBeGreaterThan(SEEDS)
  expect(seen.short).toBeGreaterThan(SEEDS / 10)
  const rounds = seen.closed + Object.values(seen.aborted).reduce((sum, count) => sum + count, 0)
  process.stdout.write(`masked campaign: ${SEEDS} runs, ${rounds} rounds, ${JSON.stringify(seen)}\n`)
}, 3_600_000)
