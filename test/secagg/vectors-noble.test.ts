/**
 * The conditions of a browser: `#crypto` is noble, and so is everything above it.
 *
 * @jest-environment-options {"customExportConditions": ["browser"]}
 */

import { expect, test } from '@jest/globals'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { SUITE_HYBRID, SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import { verifySession } from '#aggregation/secagg/verification.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { keystream } from '#crypto'
import { toHex } from '#protocol/bytes.ts'
import * as noble from '#protocol/crypto/noble.ts'
import { must } from '#test/aggregation/given.ts'
import { buildVectors } from '#test/vectors/build.ts'
import { published } from '#test/vectors/published.ts'
import { cohortOf, plainSum } from './cohort.ts'
import { play } from './play.ts'

test('this file runs without node:crypto', () => {
  expect(keystream).toBe(noble.keystream)
})

test('the vectors are the same bytes in pure JavaScript', async () => {
  const { vectors } = await buildVectors()
  expect(vectors).toEqual(published(Object.keys(vectors)))
})

test.each([SUITE_X25519, SUITE_HYBRID] as const)(
  'a session in suite %i gives the exact sum in pure JavaScript',
  async (suite) => {
    const cohort = cohortOf('pure', 4, { suite })
    const played = must(await play(cohort, { mask: [2] }))
    const verified = must(
      await verifySession(
        played.record,
        cohort.coordinator.id,
        { parameters: cohort.parameters, moving: 0, scores: NO_SCORES },
        played.vectors.read,
      ),
    )
    expect(toHex(encodeLanes(verified.sum))).toBe(toHex(encodeLanes(plainSum(cohort, [1, 3, 4]))))
  },
)
