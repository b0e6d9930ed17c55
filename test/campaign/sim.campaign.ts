import { test } from '@jest/globals'
import { SUITE_HYBRID, SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import type { SimOptions } from '#sim/cluster.ts'
import { play } from '#test/sim/play.ts'

/** How many seeds, and from which on: a slice in CI, the whole by hand. A seed that fails is kept in sim.test.ts. */
const SEEDS = Number(process.env['CONSILIUM_SEEDS'] ?? 60)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 1000)

/** Every seed draws its own weather, size and fate. */
function optionsOf(seed: number): Partial<SimOptions> {
  return {
    seed,
    nodes: 2 + (seed % 7),
    // Half of the clusters that can are masked.
    ...(seed % 7 > 0 && (seed >> 1) % 2 ? maskedOptions(seed) : { masking: 'none' }),
    rounds: 1 + (seed % 4),
    weather: {
      delayMillis: [5, 100, 700][seed % 3] as number,
      loss: [0, 0.02, 0.1][(seed >> 1) % 3] as number,
      duplication: [0, 0.2][(seed >> 2) % 2] as number,
      breaks: [0, 0.03][(seed >> 3) % 2] as number,
    },
    crash: [0, 0.02, 0.1][(seed >> 2) % 3] as number,
    deaths: (seed >> 4) % 3,
    restarts: (seed >> 3) % 3,
  }
}

function maskedOptions(seed: number): Partial<SimOptions> {
  return {
    masking: 'secagg/1',
    population: (seed >> 2) % 2 ? 'hospital' : 'open',
    suite: (seed >> 3) % 4 ? SUITE_X25519 : SUITE_HYBRID,
    nodeCrash: [0, 0.02][(seed >> 2) % 2] as number,
    // A session says so much more than a plain round that in bad weather most would come to nothing.
    patience: [1, 6][(seed >> 2) % 2] as number,
  }
}

test(`${SEEDS} seeds from ${FIRST} on: no round hangs, no sum is wrong, no record fails to verify, no payment is lost or made twice`, async () => {
  const none = () => ({ runs: 0, failedRuns: 0, closed: 0, aborted: 0, coordinatorCrashes: 0, nodeRestarts: 0 })
  const seen = { none: none(), 'secagg/1': none() }
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const { run, verdict, crashes, nodes } = await play(optionsOf(seed))
    const count = seen[run.spec.masking]
    count.runs++
    count.coordinatorCrashes += crashes
    for (const { lives } of nodes) count.nodeRestarts += lives - 1
    for (const { manifest } of run.past) manifest ? count.closed++ : count.aborted++
    if (verdict.ok && verdict.outcome === 'failed') count.failedRuns++
  }
  for (const [masking, count] of Object.entries(seen))
    process.stdout.write(`sim campaign, masking ${masking}: ${JSON.stringify(count)}\n`)
}, 3_600_000)
