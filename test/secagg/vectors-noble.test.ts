/**
 * The conditions of a browser: `#crypto` is noble, and so is everything above it.
 *
 * @jest-environment-options {"customExportConditions": ["browser"]}
 */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { SUITE_HYBRID, SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import { verifySession } from '#aggregation/secagg/verification.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { keystream } from '#crypto'
import { toHex } from '#protocol/bytes.ts'
import * as noble from '#protocol/crypto/noble.ts'
import { must } from '#test/aggregation/given.ts'
import { secaggSession, secaggVectors } from '#test/vectors/secagg.ts'
import { cohortOf, plainSum } from './cohort.ts'
import { play } from './play.ts'

const read = (name: string) => JSON.parse(readFileSync(join(import.meta.dirname, '../vectors', name), 'utf8'))

test('this file runs without node:crypto', () => {
  expect(keystream).toBe(noble.keystream)
})

test('the vectors are the same bytes in pure JavaScript', async () => {
  expect(secaggVectors()).toEqual(read('secagg.json'))
  expect(await secaggSession()).toEqual(read('secagg-session.json'))
})

test.each([SUITE_X25519, SUITE_HYBRID] as const)(
  'a session in suite %i gives the exact sum in pure JavaScript',
  async (suite) => {
    const cohort = cohortOf('pure', 4, { suite })
    const played = must(await play(cohort, { mask: [2] }))
    const verified = must(await verifySession(played.record, cohort.coordinator.id, played.vectors.read))
    expect(toHex(encodeLanes(verified.sum))).toBe(toHex(encodeLanes(plainSum(cohort, [1, 3, 4]))))
  },
)
