import { expect, test } from '@jest/globals'
import { keep } from '#coordinator/keeper.ts'
import { sweeping } from '#coordinator/sweeping.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { contentOf } from '#test/content.ts'

const HOUR = 3_600_000

test('what was not finished is forgotten within an hour after its time, also where one store cannot do it', async () => {
  const clock = virtualClock(0)
  const [broken, sound] = [openMemoryBlobs(), openMemoryBlobs()]
  const bytes = contentOf('never whole', 100)
  const part = { cid: cidOf(RAW, bytes), bytes }
  await sound.putParts(cidOf(RAW, contentOf('the whole', 9)), [part], HOUR + 1)
  const failed: unknown[] = []
  const stores = [{ ...broken, sweep: () => Promise.reject(new Error('the disk is gone')) }, sound]
  const end = new AbortController()
  const keeping = keep([sweeping(stores, clock)], { clock, failed: (cause) => void failed.push(cause) }, end.signal)
  await clock.advance(HOUR)
  expect(await sound.has(part.cid)).toBe(true)
  await clock.advance(HOUR)
  expect(await sound.has(part.cid)).toBe(false)
  expect(failed).toHaveLength(3)
  end.abort()
  await keeping
})
