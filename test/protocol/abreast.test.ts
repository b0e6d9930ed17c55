import { expect, test } from '@jest/globals'
import { abreast } from '#protocol/abreast.ts'

test('what fails while the next is waited for is heard of all the same', async () => {
  const failure = new Error('the first')
  async function* items() {
    yield 1
    await new Promise(setImmediate)
    yield 2
  }
  const done: number[] = []
  const acting = abreast(items(), async (item) => {
    if (item === 1) throw failure
    done.push(item)
  })
  await expect(acting).rejects.toBe(failure)
  expect(done).toEqual([2])
})
