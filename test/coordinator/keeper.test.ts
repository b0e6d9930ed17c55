import { describe, expect, test } from '@jest/globals'
import { type Duty, keep, TURN_MILLIS } from '#coordinator/keeper.ts'
import { assert } from '#protocol/assert.ts'
import { virtualClock } from '#sim/virtual-clock.ts'

/** A keeper of these duties, and what it was told of. */
function keeperOf(...duties: readonly Duty[]) {
  const clock = virtualClock(1_000_000)
  const closing = new AbortController()
  const faults: unknown[] = []
  const ended = keep(duties, { clock, failed: (cause) => faults.push(cause) }, closing.signal)
  return { clock, closing, faults, ended }
}

/** Counts its turns. */
function duty(name: string, change: Partial<Duty> = {}) {
  const turns: number[] = []
  return { turns, duty: { name, perform: async () => void turns.push(turns.length), ...change } }
}

describe('the keeper', () => {
  test('performs a duty at once and then every so often, each at its own pace', async () => {
    const [slow, fast] = [duty('look'), duty('look closely', { everyMillis: 10_000 })]
    const { clock, closing, ended } = keeperOf(slow.duty, fast.duty)
    await clock.advance(0)
    expect([slow.turns.length, fast.turns.length]).toEqual([1, 1])
    await clock.advance(TURN_MILLIS)
    expect([slow.turns.length, fast.turns.length]).toEqual([2, 7])
    closing.abort()
    await ended
    await clock.advance(TURN_MILLIS)
    expect([slow.turns.length, fast.turns.length]).toEqual([2, 7])
  })

  test('reports a duty that throws by its name, and performs it again at the next turn', async () => {
    let turns = 0
    const shaky = duty('sweep', { perform: async () => Promise.reject(new Error(`the disk is away ${++turns}`)) })
    const { clock, closing, faults, ended } = keeperOf(shaky.duty)
    await clock.advance(TURN_MILLIS)
    expect(faults.map((fault) => (fault as Error).message)).toEqual(Array(2).fill('the keeper could not sweep'))
    expect((faults[1] as Error).cause).toEqual(new Error('the disk is away 2'))
    closing.abort()
    await ended
  })

  test('passes a broken invariant on as what it is, so that the process stops', async () => {
    const broken = duty('sweep', { perform: async () => assert(false, 'it is swept') })
    const { clock, closing, faults, ended } = keeperOf(broken.duty)
    await clock.advance(0)
    expect((faults[0] as Error).name).toBe('BrokenInvariant')
    closing.abort()
    await ended
  })

  test('never begins a duty that has not ended, and lets no other wait for it', async () => {
    const held = Promise.withResolvers<void>()
    let begun = 0
    const long = duty('publish', {
      perform: () => {
        begun++
        return held.promise
      },
    })
    const other = duty('sweep')
    const { clock, closing, ended } = keeperOf(long.duty, other.duty)
    await clock.advance(3 * TURN_MILLIS)
    expect([begun, other.turns.length]).toEqual([1, 4])
    held.resolve()
    await clock.advance(TURN_MILLIS)
    expect(begun).toBe(2)
    closing.abort()
    await ended
  })

  test('ends with its signal in the middle of a duty that heeds it, which is nobody’s fault', async () => {
    const waits = duty('publish', {
      perform: (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    })
    const { closing, faults, ended } = keeperOf(waits.duty)
    closing.abort()
    await ended
    expect(faults).toEqual([])
  })
})
