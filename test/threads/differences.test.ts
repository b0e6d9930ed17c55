import { afterAll, describe, expect, test } from '@jest/globals'
import { equalBytes } from '#protocol/bytes.ts'
import { applyDeflated } from '#protocol/difference.ts'
import type { Bytes } from '#protocol/ids.ts'
import { contentOf } from '#test/content.ts'
import { movedBySum } from '#test/moved.ts'
import { openDifferences } from '#threads/differences.ts'
import { gridOf } from '#threads/grid.ts'
import { ThreadFault } from '#threads/thread.ts'

const differences = openDifferences()
afterAll(async () => differences[Symbol.asyncDispose]())

async function packed(parent: Bytes, next: Bytes): Promise<Bytes> {
  const deflated = await differences.differ(parent, next)
  const made = await applyDeflated(parent, deflated)
  expect(made.ok && equalBytes(made.value, next)).toBe(true)
  return deflated
}

describe('differences', () => {
  test.each([
    { reports: 5, spread: 2e-4, atMost: 0.42 },
    { reports: 16, spread: 2e-4, atMost: 0.48 },
    { reports: 5, spread: 5e-3, atMost: 0.56 },
  ])('a leaf that a sum of $reports moved by about $spread takes at most $atMost of itself', async (moved) => {
    const { parent, next } = movedBySum('leaf', { ...moved, weights: 2 ** 16 })
    expect((await packed(parent, next)).length / next.length).toBeLessThan(moved.atMost)
  })

  test('find the level of a sum by themselves, of an odd number of reports half a level off', () => {
    for (const reports of [2, 3, 8, 9]) {
      const { parent, next, level } = movedBySum(`${reports}`, { reports, spread: 1e-3, weights: 20_000 })
      const { unit, offset } = gridOf(parent, next)
      expect(Math.abs(unit / level - 1)).toBeLessThan(1e-6)
      expect(offset).toBe(reports % 2 === 1 ? unit / 2 : 0)
    }
  })

  test('are exact where there is nothing to find: of noise, of files of a few bytes, of one and the same', async () => {
    const [one, other] = [contentOf('one', 40_000), contentOf('other', 40_000)]
    expect(gridOf(one, other)).toEqual({ unit: 0, offset: 0 })
    await packed(one, other)
    await packed(one.subarray(0, 4), other.subarray(0, 4))
    expect((await packed(one, one)).length).toBeLessThan(400)
  })

  test('leave the memory that they were given to whoever gave it', async () => {
    const parent = contentOf('kept', 4000)
    await packed(parent, parent)
    expect(equalBytes(parent, contentOf('kept', 4000))).toBe(true)
  })

  test('that are closed make no more', async () => {
    const closed = openDifferences()
    await closed[Symbol.asyncDispose]()
    await expect(closed.differ(new Uint8Array(4), new Uint8Array(4))).rejects.toThrow(ThreadFault)
  })
})
