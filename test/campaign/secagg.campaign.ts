import { expect, test } from '@jest/globals'
import { SUITE_HYBRID, SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import { must } from '#test/aggregation/given.ts'
import { cohortOf } from '#test/secagg/cohort.ts'
import { isExact } from '#test/secagg/exact.ts'
import { play } from '#test/secagg/play.ts'
import { roughSession } from '#test/secagg/rough.ts'

/** How many sessions, and from which seed on. */
const SEEDS = Number(process.env['CONSILIUM_SEEDS'] ?? 2_000)
const FIRST = Number(process.env['CONSILIUM_FIRST_SEED'] ?? 10_000)

test(`${SEEDS} masked sessions from ${FIRST} on: no wrong sum, no state that answers twice, no secret of both kinds`, async () => {
  const seen = { exact: 0, lacking: {} as Record<string, number>, refused: 0, members: 0 }
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const ending = await roughSession(seed, { min: 3, max: 16 })
    seen.refused += ending.refused
    seen.members += ending.n
    if ('survivors' in ending) seen.exact += 1
    else seen.lacking[ending.lacking] = (seen.lacking[ending.lacking] ?? 0) + 1
  }
  expect(Object.keys(seen.lacking).every((name) => name.startsWith('too-few'))).toBe(true)
  expect(seen.exact).toBeGreaterThan(SEEDS / 3)
  process.stdout.write(`secagg campaign: ${SEEDS} sessions, ${JSON.stringify(seen)}\n`)
}, 3_600_000)

test.each([SUITE_X25519, SUITE_HYBRID] as const)(
  'a session of 30 members in suite %i, of whom some fall out in each phase, is exact',
  async (suite) => {
    const cohort = cohortOf(`large ${suite}`, 30, { suite })
    for (const absent of [{}, { share: [3, 11], mask: [1, 30], confirm: [7], unmask: [12, 13] }]) {
      const played = must(await play(cohort, absent))
      expect(played.survivors).toHaveLength(absent.share ? 26 : 30)
      await isExact(cohort, played)
    }
  },
)
