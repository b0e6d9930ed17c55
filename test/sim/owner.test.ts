import { describe, expect, test } from '@jest/globals'
import type { ClientMessage } from '#protocol/messages.ts'
import { some } from '#test/effort.ts'
import { type Owner, stopAt, stoppedIn } from './owner.ts'
import { play } from './play.ts'

describe('a simulated run whose owner stops it', () => {
  test('ends with a record that verifies, nothing paid twice and the rest given back, whenever that is', async () => {
    const seen = new Set<string>()
    for (const seed of some(4, [400, 402, 404, 407, 401, 403, 405, 406]))
      for (const phase of stoppedIn(await stopAt(seed, 2200 + 700 * (seed - 400)))) seen.add(phase)
    expect(seen.size).toBeGreaterThan(2)
  }, 60_000)
})

describe('a simulated run that may be paused', () => {
  /** Nobody hears who would join one of the first three rounds. */
  const lost = (said: ClientMessage) => said.kind === 'join' && said.round <= 3

  test('waits for its owner as long as that takes, and then trains to its end', async () => {
    const waited: number[] = []
    const owner: Owner = ({ phase, at }, elapsed) => {
      if (phase !== 'paused') return undefined
      waited.push(elapsed)
      return waited.length > 400 && at > 0 ? { kind: 'resumed' } : undefined
    }
    const { run, verdict } = await play({ rounds: 2, onFailures: 'pause', lost, owner, crash: 0.02 })
    expect(waited).toHaveLength(401)
    expect(run.past.slice(0, 3).map(({ reason }) => reason)).toEqual(Array(3).fill('too-few-nodes'))
    expect(verdict).toMatchObject({ outcome: 'completed' })
    expect(run.paid).toBe(run.spec.budget)
  })
})
