import { expect } from '@jest/globals'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { verifySession } from '#aggregation/secagg/verification.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { toHex } from '#protocol/bytes.ts'
import { must } from '#test/aggregation/given.ts'
import { type Cohort, plainSum } from './cohort.ts'
import type { Played } from './play.ts'

/** Its sum is that of the survivors' plain vectors, and its record verifies to the same. */
export async function isExact(cohort: Cohort, played: Played): Promise<void> {
  expect(toHex(encodeLanes(played.sum))).toBe(toHex(encodeLanes(plainSum(cohort, played.survivors))))
  const verified = must(
    await verifySession(
      played.record,
      cohort.coordinator.id,
      { parameters: cohort.parameters, moving: 0, scores: NO_SCORES },
      played.vectors.read,
    ),
  )
  expect(toHex(encodeLanes(verified.sum))).toBe(toHex(encodeLanes(played.sum)))
}
