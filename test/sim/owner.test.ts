import { describe, expect, test } from '@jest/globals'
import type { ClientMessage } from '#protocol/messages.ts'
import { CALM, type SimOptions } from '#sim/cluster.ts'
import { play } from './play.ts'

type Owner = NonNullable<SimOptions['owner']>

const STORM = { delayMillis: 300, duplication: 0.1, loss: 0.03, breaks: 0.02 }
const SLOW = { ...CALM, delayMillis: 300 }
const MASKED: Partial<SimOptions> = { masking: 'secagg/1', nodes: 4, rounds: 2, population: 'hospital' }

describe('a simulated run whose owner stops it', () => {
  test('ends with a record that verifies, nothing paid twice and the rest given back, whenever that is', async () => {
    const seen = new Set<string | null>()
    for (let seed = 400; seed < 416; seed++) {
      const at = 2200 + 350 * (seed - 400)
      const owner: Owner = ({ stopping }, elapsed) =>
        stopping === null && elapsed >= at ? { kind: 'stopped', reason: 'enough' } : undefined
      const storm = { weather: seed % 3 ? SLOW : STORM, crash: seed % 4 ? 0 : 0.03 }
      const { verdict, run } = await play({ seed, ...storm, ...(seed % 2 ? MASKED : {}), owner })
      expect(verdict).toMatchObject({ outcome: expect.stringMatching(/stopped|completed/) })
      for (const { reason, endedIn } of run.past) if (reason === 'run-stopped') seen.add(endedIn)
    }
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
