import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { expectFlat, type Held, heldBy } from './held.ts'

/** `test/campaign/growth.campaign.ts` has a thousand of each, and the node around them. */
test.each(['wasm', 'cpu'])('a hundred fits leave no tensor behind (%s)', async (backend) => {
  const held = await heldBy(join(import.meta.dirname, 'trainers/growth-process.ts'), 100, backend)
  expect(held.at(-1)).toMatchObject({ turn: 100, tensors: 0 })
  // Cold code is still being compiled: only what is large would be seen.
  expectFlat(held, { heapBytes: 20_000, externalBytes: 20_000, residentBytes: 200_000 })
})

test('what grows is found: tensors, the heap, and what lies outside of it', () => {
  const limits = { heapBytes: 1000, externalBytes: 500, residentBytes: 4000 }
  const some = (grown: (turn: number) => Partial<Held>): readonly Held[] =>
    Array.from({ length: 20 }, (_, index) => {
      const turn = 50 * (index + 1)
      return {
        turn,
        tensors: 3,
        heapBytes: 2e7 + 1000 * (turn % 7),
        externalBytes: 4e7,
        residentBytes: 1e8 + 100_000 * (turn % 3),
        ...grown(turn),
      }
    })
  expectFlat(
    some(() => ({})),
    limits,
  )
  expectFlat(
    some((turn) => ({ heapBytes: 2e7 - 1e7 / turn, residentBytes: turn > 400 ? 2e8 : 1e8 })),
    limits,
  )
  expect(() =>
    expectFlat(
      some((turn) => ({ tensors: 3 + Math.floor(turn / 900) })),
      limits,
    ),
  ).toThrow()
  expect(() =>
    expectFlat(
      some((turn) => ({ heapBytes: 2e7 + 1100 * turn })),
      limits,
    ),
  ).toThrow()
  expect(() =>
    expectFlat(
      some((turn) => ({ externalBytes: 4e7 + 600 * turn })),
      limits,
    ),
  ).toThrow()
  expect(() =>
    expectFlat(
      some((turn) => ({ residentBytes: 1e8 + 4100 * turn })),
      limits,
    ),
  ).toThrow()
})
