import { describe, expect, test } from '@jest/globals'
import { BrokenInvariant } from '#protocol/assert.ts'
import type { Millis } from '#protocol/ids.ts'
import type { Clock, Queue } from '#protocol/ports.ts'
import { virtualClock } from '#sim/virtual-clock.ts'

export type QueueJob = { readonly say: string }

/**
 * What every Queue promises.
 *
 * @param open an empty queue whose pauses go by this clock; one that keeps its own time also says how to let it pass
 */
export function queueConformance(name: string, open: (clock: Clock) => Promise<OpenQueue> | OpenQueue): void {
  describe(`queues: ${name}`, () => {
    async function opened() {
      const clock = virtualClock(1_000_000)
      const { queue, pass = (millis) => clock.advance(millis) } = await open(clock)
      return { queue, pass }
    }

    test('every job is done, whether pushed before or after the work began', async () => {
      const { queue, pass } = await opened()
      const done: string[] = []
      await queue.push('before', { say: 'a' })
      await using _worker = queue.work(async ({ say }) => void done.push(say))
      await queue.push('after', { say: 'b' })
      await pass(1)
      expect(done.sort()).toEqual(['a', 'b'])
    })

    test('an id is one job while it waits and while it runs, and may be pushed again once finished', async () => {
      const { queue, pass } = await opened()
      let runs = 0
      let finish = Promise.withResolvers<void>()
      await queue.push('id', { say: 'waits' })
      await queue.push('id', { say: 'waits' })
      await using _worker = queue.work(async () => {
        runs++
        await finish.promise
      })
      await pass(1)
      await queue.push('id', { say: 'runs' })
      await pass(1)
      expect(runs).toBe(1)
      finish.resolve()
      await pass(1)
      expect(runs).toBe(1)
      finish = Promise.withResolvers()
      finish.resolve()
      await queue.push('id', { say: 'again' })
      await pass(1)
      expect(runs).toBe(2)
    })

    test('an id that is tried again later is still one job', async () => {
      const { queue, pass } = await opened()
      let runs = 0
      await using _worker = queue.work(async () => {
        runs++
        if (runs === 1) throw new Error('the world')
      })
      await queue.push('id', { say: 'fails once' })
      await pass(1)
      await queue.push('id', { say: 'fails once' })
      await pass(10 * 60_000)
      expect(runs).toBe(2)
    })

    test('a handler that throws is tried again until it does not, and keeps nobody waiting', async () => {
      const { queue, pass } = await opened()
      const done: string[] = []
      let failures = 0
      await using _worker = queue.work(async ({ say }) => {
        if (say === 'hard' && failures < 5) {
          failures++
          throw new Error('not yet')
        }
        done.push(say)
      })
      await queue.push('hard', { say: 'hard' })
      for (let index = 0; index < 20; index++) await queue.push(`easy-${index}`, { say: 'easy' })
      await pass(1)
      expect(done).toHaveLength(20)
      await pass(60 * 60_000)
      expect(failures).toBe(5)
      expect(done.at(-1)).toBe('hard')
    })

    test('who stops working tells its handlers, waits for them, and leaves the rest to others', async () => {
      const { queue, pass } = await opened()
      const ended: string[] = []
      const worker = queue.work(async ({ say }, signal) => {
        if (say === 'second') throw new Error('waits out its pause')
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        await Promise.resolve()
        ended.push(say)
      })
      await queue.push('first', { say: 'first' })
      await queue.push('second', { say: 'second' })
      await pass(1)
      await worker[Symbol.asyncDispose]()
      expect(ended).toEqual(['first'])
      await queue.push('third', { say: 'third' })
      await pass(1)
      const other: string[] = []
      await using _worker = queue.work(async ({ say }) => void other.push(say))
      await pass(10 * 60_000)
      expect(other.sort()).toEqual(['second', 'third'])
    })

    test('a job that was stopped midway is done by the next worker', async () => {
      const { queue, pass } = await opened()
      const worker = queue.work(async (_job, signal) => {
        await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
      })
      await queue.push('id', { say: 'half done' })
      await pass(1)
      await worker[Symbol.asyncDispose]()
      const done: string[] = []
      await using _worker = queue.work(async ({ say }) => void done.push(say))
      await pass(10 * 60_000)
      expect(done).toEqual(['half done'])
    })

    test.each(['', 'a b', 'a:b', '../a', 'é'])('a job cannot be called %j', async (id) => {
      const { queue } = await opened()
      await expect(queue.push(id, { say: 'nothing' })).rejects.toThrow(BrokenInvariant)
    })
  })
}

export type OpenQueue = {
  readonly queue: Queue<QueueJob>
  readonly pass?: (millis: Millis) => Promise<void>
}
