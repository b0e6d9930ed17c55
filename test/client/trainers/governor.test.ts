import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DutyCycle } from '#client/trainers/duty-cycle.ts'
import { checkpointBy, type GovernedDoors, Governor, Stopped } from '#client/trainers/governor.ts'
import type { Millis } from '#protocol/ids.ts'

const anyShare = fc.integer({ min: 1, max: 100 }).map((percent) => percent / 100)
const anyBatches = fc.array(fc.double({ min: 0.01, max: 400, noNaN: true }), { minLength: 1, maxLength: 60 })

/** A thread's time, which passes only as it is told. @param wakes what comes while it sleeps */
function thread(wakes: (millis: Millis) => Millis = (millis) => millis) {
  const at = { now: 0, asleep: 0 }
  const doors: GovernedDoors = {
    now: () => at.now,
    sleep(_words, _word, millis) {
      const slept = wakes(millis)
      at.now += slept
      at.asleep += slept
    },
  }
  return { at, doors }
}

describe('a share of the time', () => {
  test('is what is worked, whatever batches take and however long a rest overshoots', () => {
    const overshoot = fc.double({ min: 0, max: 20, noNaN: true })
    fc.assert(
      fc.property(anyShare, anyBatches, overshoot, (share, batches, late) => {
        const { at, doors } = thread((millis) => millis + late)
        const checkpoint = checkpointBy(new Governor(share).words, doors)
        let busy = 0
        for (const batch of batches) {
          at.now += batch
          busy += batch
          checkpoint()
        }
        const due = (busy * (1 - share)) / share
        // A rest that is too short to take is owed: never 5 ms of it; one that took too long is made up for but for that.
        expect(at.asleep).toBeGreaterThanOrEqual(due - 5)
        expect(at.asleep).toBeLessThanOrEqual(due + batches.length * Math.max(0, late - 5) + late + 1e-6)
      }),
    )
  })

  test('of all of it is never rested from', () => {
    const { at, doors } = thread()
    const checkpoint = checkpointBy(new Governor(1).words, doors)
    for (let batch = 0; batch < 100; batch++) {
      at.now += 300
      checkpoint()
    }
    expect(at.asleep).toBe(0)
  })

  test('is not saved up while nothing is done', () => {
    const cycle = new DutyCycle(0.5)
    cycle.rested(3_600_000)
    expect(cycle.worked(100)).toBeGreaterThanOrEqual(95)
  })
})

describe('a governed thread', () => {
  test('does no batch while it is suspended, and goes on when it may', () => {
    const governor = new Governor(1)
    const { at, doors } = thread(() => {
      governor.suspend(at.now < 1000)
      return 100
    })
    const checkpoint = checkpointBy(governor.words, doors)
    governor.suspend(true)
    checkpoint()
    expect(at.now).toBe(1100)
    checkpoint()
    expect(at.now).toBe(1100)
  })

  test('says that it does nothing while it is suspended, and at no other time', () => {
    const governor = new Governor(0.5)
    const told: boolean[] = []
    const { at, doors } = thread((millis) => {
      told.push(governor.isResting)
      governor.suspend(false)
      return Math.min(millis, 100)
    })
    const checkpoint = checkpointBy(governor.words, doors)
    at.now += 100
    checkpoint()
    // The rest of a share ends by itself, with work.
    expect(told).toEqual([false])
    governor.suspend(true)
    expect(governor.isResting).toBe(false)
    checkpoint()
    expect(told).toEqual([false, true])
    expect(governor.isResting).toBe(false)
  })

  test('stops at the next checkpoint, at rest and suspended as well, and for good', () => {
    for (const share of [1, 0.01])
      for (const isSuspended of [false, true]) {
        const governor = new Governor(share)
        let naps = 0
        const { at, doors } = thread(() => {
          if (++naps === 3) governor.stop()
          return 1
        })
        const checkpoint = checkpointBy(governor.words, doors)
        governor.suspend(isSuspended)
        at.now += 50
        if (share === 1 && !isSuspended) {
          checkpoint()
          governor.stop()
        }
        expect(checkpoint).toThrow(Stopped)
        governor.suspend(true)
        governor.suspend(false)
        expect(checkpoint).toThrow(Stopped)
      }
  })

  test('that sleeps wakes at once when it is told something', async () => {
    // This thread sleeps for real; another one wakes it.
    const governor = new Governor(1)
    governor.suspend(true)
    const { Worker } = await import('node:worker_threads')
    const code = `
      const { workerData } = require('node:worker_threads')
      Atomics.store(workerData, 0, 0)
      Atomics.notify(workerData, 0)`
    const worker = new Worker(code, { eval: true, workerData: governor.words })
    checkpointBy(governor.words)()
    await worker.terminate()
  })
})
