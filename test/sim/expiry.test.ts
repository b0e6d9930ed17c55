import { describe, expect, test } from '@jest/globals'
import { play } from './play.ts'

/** Long enough for the record to be verified first, by a clock that goes on in steps of 50 ms. */
const KEPT_MILLIS = 10_000

describe('once its vectors have expired, every vector of a run is gone and all else that its record names is there', () => {
  test.each([
    ['a plain run', { masking: 'none' }],
    ['a masked run', { masking: 'secagg/1' }],
    ['a run that withholds its vectors', { masking: 'secagg/1', population: 'hospital' }],
  ] as const)('of %s', async (_, options) => {
    await play({ ...options, rounds: 1, vectorsMillis: KEPT_MILLIS })
  })

  test('also where processes die at any call of a door, and two of them let vectors expire', async () => {
    const { crashes } = await play({
      ...{ seed: 2, rounds: 1, coordinators: 2, masking: 'secagg/1', crashAnywhere: 0.02, vectorsMillis: KEPT_MILLIS },
    })
    expect(crashes).toBeGreaterThan(0)
  })
})
