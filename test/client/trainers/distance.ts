import { expect } from '@jest/globals'

/** The largest difference, beside the largest number; no number where one is none. */
export function distance(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(found.length).toBe(expected.length)
  let [worst, scale] = [0, 1e-6]
  for (let index = 0; index < expected.length; index++) {
    worst = Math.max(worst, Math.abs((found[index] as number) - (expected[index] as number)))
    scale = Math.max(scale, Math.abs(expected[index] as number))
  }
  return worst / scale
}
