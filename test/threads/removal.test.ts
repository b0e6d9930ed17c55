import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import { opposite } from '#aggregation/secagg/mask.ts'
import type { Bytes } from '#protocol/ids.ts'
import { maskRemovalConformance } from '#test/conformance/mask-removal.ts'
import { drawn, hexOf, masksOf, slowly } from '#test/secagg/masks.ts'
import type { Request } from '#threads/conversation.ts'
import { openMaskRemoval } from '#threads/removal.ts'
import { ThreadFault } from '#threads/thread.ts'

for (const threads of [1, 3]) {
  const removal = openMaskRemoval({ threads, hereBytes: 0 })
  afterAll(async () => removal[Symbol.asyncDispose]())
  maskRemovalConformance(`in worker threads, ${threads} of them`, removal.removeMasks)
}

describe('the masking threads', () => {
  /** Every worker that this process starts, and the seeds that each is given. */
  const workers: Worker[] = []
  const seeds: Bytes[] = []
  const started = (message: unknown) => {
    const { worker } = message as { readonly worker: Worker }
    workers.push(worker)
    const post = worker.postMessage.bind(worker)
    jest.spyOn(worker, 'postMessage').mockImplementation((request: Request, ...rest) => {
      if (request.masks) seeds.push(request.masks.seeds)
      post(request, ...rest)
    })
  }
  beforeEach(() => subscribe('worker_threads', started))
  afterEach(() => {
    unsubscribe('worker_threads', started)
    workers.length = 0
    seeds.length = 0
  })

  const lanes = 300_000
  const masks = masksOf(100)
  const exact = hexOf(slowly(drawn(lanes), opposite(masks)))
  const some = { threads: 2, hereBytes: 1_000_000 }

  test('are not started before there is a sum that is worth it, serve every other, and end with whoever opened them', async () => {
    {
      await using removal = openMaskRemoval(some)
      await removal.removeMasks(drawn(1_000), masks)
      expect(workers).toHaveLength(0)
      for (let turn = 0; turn < 2; turn++) {
        const sum = drawn(lanes)
        await removal.removeMasks(sum, masks)
        expect(hexOf(sum)).toBe(exact)
      }
      expect(workers).toHaveLength(2)
    }
    expect(workers.map(({ threadId }) => threadId)).toEqual([-1, -1])
  })

  test.each<[string, (worker: Worker) => void, RegExp]>([
    ['that is ended', (worker) => void worker.terminate(), /died: it ended with code 1/],
    ['that throws', (worker) => worker.postMessage({}), /died: .*typed array/],
  ])('one %s fails its sum by name, and the next sum has another in its place', async (_, harm, reason) => {
    await using removal = openMaskRemoval({ ...some, threads: 1 })
    await removal.removeMasks(drawn(lanes), masks)
    const failed = removal.removeMasks(drawn(lanes), masks).catch((cause: unknown) => cause)
    harm(workers[0] as Worker)
    expect(await failed).toBeInstanceOf(ThreadFault)
    expect(await failed).toMatchObject({ message: expect.stringMatching(reason) })
    const sum = drawn(lanes)
    await removal.removeMasks(sum, masks)
    expect(hexOf(sum)).toBe(exact)
    expect(workers).toHaveLength(2)
  })

  test('that answer a sum which was given up meanwhile do not write into it', async () => {
    await using removal = openMaskRemoval(some)
    const stop = new AbortController()
    const sum = drawn(lanes)
    const given = removal.removeMasks(sum, masks, stop.signal)
    stop.abort(new Error('the round is over'))
    await expect(given).rejects.toThrow('the round is over')
    // As if a thread had been done a moment before it was told to stop.
    for (const worker of workers) worker.emit('message', { kind: 'masked', lanes: drawn(8, 2) })
    await removal.removeMasks(drawn(lanes), masks)
    expect(hexOf(sum)).toBe(hexOf(drawn(lanes)))
  })

  test('that are closed while they work fail their sums, and take no other', async () => {
    const removal = openMaskRemoval(some)
    const running = removal.removeMasks(drawn(lanes), masks)
    const failed = expect(running).rejects.toThrow(ThreadFault)
    await removal[Symbol.asyncDispose]()
    await failed
    await expect(removal.removeMasks(drawn(8), masks)).rejects.toThrow('closed')
  })

  test('leave no seed in the memory that they share: after the sum, an abort, a death', async () => {
    await using removal = openMaskRemoval(some)
    const given = (): readonly string[] => [...new Set(seeds.map((bytes) => Buffer.from(bytes).toString('hex')))]
    const zeros = '00'.repeat(40 * masks.length)

    const whole = removal.removeMasks(drawn(lanes), masks)
    expect(given()).not.toContain(zeros)
    await whole
    expect(given()).toEqual([zeros])

    const stop = new AbortController()
    const aborted = removal.removeMasks(drawn(lanes), masks, stop.signal)
    expect(given()).toHaveLength(2)
    stop.abort(new Error('the round is over'))
    await expect(aborted).rejects.toThrow('the round is over')
    expect(given()).toEqual([zeros])

    const failed = removal.removeMasks(drawn(lanes), masks)
    expect(given()).toHaveLength(2)
    void workers[0]?.terminate()
    await expect(failed).rejects.toThrow(ThreadFault)
    expect(given()).toEqual([zeros])
  })
})
