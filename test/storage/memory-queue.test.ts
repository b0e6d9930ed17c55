import { expect, test } from '@jest/globals'
import { BrokenInvariant } from '#protocol/assert.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryQueue } from '#storage/queues/memory.ts'
import type { JobFailure } from '#storage/queues/options.ts'
import { queueConformance } from '#test/conformance/queues.ts'

queueConformance('memory', (clock) => ({ queue: openMemoryQueue({ clock }) }))

test('pauses double from the first to the longest, and the tries never end', async () => {
  const clock = virtualClock(0)
  const failures: JobFailure[] = []
  const queue = openMemoryQueue<string>({
    clock,
    firstPauseMillis: 100,
    longestPauseMillis: 1000,
    onFailure: (failure) => void failures.push(failure),
  })
  const tries: number[] = []
  await using _worker = queue.work(async () => {
    tries.push(clock.now())
    throw new Error('never')
  })
  await queue.push('id', 'job')
  await clock.advance(5000)
  expect(tries).toEqual([0, 100, 300, 700, 1500, 2500, 3500, 4500])
  expect(failures.map(({ id, failures }) => `${id} ${failures}`)).toEqual(tries.map((_, index) => `id ${index + 1}`))
})

test('no more jobs run at a time than allowed, and the oldest goes first', async () => {
  const clock = virtualClock(0)
  const queue = openMemoryQueue<number>({ clock, concurrency: 3 })
  const started: number[] = []
  const gates = Array.from({ length: 10 }, () => Promise.withResolvers<void>())
  for (let job = 0; job < 10; job++) await queue.push(`job-${job}`, job)
  await using _worker = queue.work(async (job) => {
    started.push(job)
    await gates[job]?.promise
  })
  await clock.advance(0)
  expect(started).toEqual([0, 1, 2])
  gates[1]?.resolve()
  await clock.advance(0)
  expect(started).toEqual([0, 1, 2, 3])
  for (const gate of gates) gate.resolve()
  await clock.advance(0)
  expect(started).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
})

test('a broken invariant is not tried again: it goes to whoever stops the process', async () => {
  const clock = virtualClock(0)
  const broken: BrokenInvariant[] = []
  const queue = openMemoryQueue<string>({ clock, onBroken: (cause) => void broken.push(cause) })
  await using _worker = queue.work(async () => {
    throw new BrokenInvariant('two and two')
  })
  await queue.push('id', 'job')
  await clock.advance(60 * 60_000)
  expect(broken.map(({ message }) => message)).toEqual(['two and two'])
})
