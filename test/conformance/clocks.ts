import { describe, expect, test } from '@jest/globals'
import type { Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'

/**
 * What every Clock promises.
 *
 * @param pass lets at least this much time go by
 */
export function clockConformance(name: string, clock: Clock, pass: (millis: Millis) => Promise<void>): void {
  describe(`clocks: ${name}`, () => {
    const never = new AbortController().signal

    test('it wakes nobody early, and everybody in time', async () => {
      const start = clock.now()
      const woken: number[] = []
      const sleepers = [20, 5, 10].map(async (millis) => {
        await clock.wakeAt(start + millis, never)
        expect(clock.now()).toBeGreaterThanOrEqual(start + millis)
        woken.push(millis)
      })
      await pass(25)
      await Promise.all(sleepers)
      expect(woken).toEqual([5, 10, 20])
    })

    test('a time that has passed is no wait', async () => {
      await clock.wakeAt(clock.now(), never)
      await clock.wakeAt(clock.now() - 1000, never)
    })

    test('an abort wakes with its reason, before or during the wait', async () => {
      const far = clock.now() + 2 ** 40
      await expect(clock.wakeAt(far, AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late')
      await expect(clock.wakeAt(0, AbortSignal.abort(new Error('even then')))).rejects.toThrow('even then')
      const stop = new AbortController()
      const waits = clock.wakeAt(far, stop.signal)
      stop.abort(new Error('never mind'))
      await expect(waits).rejects.toThrow('never mind')
    })
  })
}
