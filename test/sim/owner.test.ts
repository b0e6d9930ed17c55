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

describe('a simulated run that is extended', () => {
  const STORM = { delayMillis: 300, duplication: 0.1, loss: 0.03, breaks: 0.02 }
  const PHASES = ['selection', 'reporting', 'evaluation', 'aggregation', 'settlement'] as const
  const once = { key: new Uint8Array(32), body: new Uint8Array(32) }

  test('trains more, for a budget that is reserved once, whenever that is and whatever crashes; its record verifies', async () => {
    const moments = new Set<string>()
    for (const seed of some(3, [500, 501, 502, 503, 504])) {
      // Said again and again, as whoever gets no answer does: it counts once.
      const due = PHASES[seed - 500]
      const owner: Owner = (run) => {
        const phase = run.round?.phase ?? run.phase
        if (run.extensions.length === 0 && phase !== due) return undefined
        if (run.extensions.length === 0) moments.add(phase)
        return { kind: 'extended', rounds: 2, budget: 503n, once }
      }
      const trouble = { crash: 0.04, deaths: seed % 3 === 0 ? 1 : 0, coordinators: 1 + (seed % 2), weather: STORM }
      const { run, verdict } = await play({ seed, ...trouble, rounds: 2, onFailures: 'pause', owner: resuming(owner) })
      const isExtended = run.extensions.length === 1
      expect(verdict).toMatchObject({ outcome: 'completed', planned: isExtended ? 4 : 2 })
      expect([run.trained, run.paid]).toEqual(isExtended ? [4, 10_007n + 503n] : [2, 10_007n])
    }
    expect(moments.size).toBeGreaterThan(2)
  }, 60_000)

  test('while its last round evaluates, has the figures of that round for one more, and trains on', async () => {
    const owner: Owner = ({ round }) =>
      round?.purpose === 'evaluate' && round.round === 2 ? { kind: 'extended', rounds: 1, budget: 0n, once } : undefined
    const { run, verdict } = await play({ rounds: 1, owner, crash: 0.02 })
    expect(run.past.map(({ purpose }) => purpose)).toEqual(['train', 'evaluate', 'train', 'evaluate'])
    expect(verdict).toMatchObject({ outcome: 'completed', planned: 2, budget: 10_007n, paid: 10_007n })
  })
})

describe('a simulated run that its owner pauses', () => {
  test('lets the open round end, opens none, and trains to its end when it is resumed', async () => {
    const seen: string[] = []
    let waited = 0
    const owner: Owner = (run) => {
      if (run.past.length === 0)
        return run.round?.phase === 'reporting' ? { kind: 'paused', reason: 'the night' } : undefined
      if (run.phase !== 'paused') return undefined
      seen.push(`${run.past.length} ${run.pausing}`)
      return ++waited > 200 ? { kind: 'resumed' } : undefined
    }
    const { run, verdict } = await play({ rounds: 2, owner, crash: 0.02 })
    expect(new Set(seen)).toEqual(new Set(['1 the night']))
    expect(seen.length).toBeGreaterThan(200)
    expect([verdict.ok && verdict.outcome, run.trained]).toEqual(['completed', 2])
  })
})

describe('a simulated run with a rule of when it has trained enough', () => {
  test('is completed when the rule is met, says why, and gives back what it has not paid', async () => {
    const stopWhen = { metric: 'loss', patience: 1, minDelta: 60 } as const
    for (const masking of ['none', 'secagg/1'] as const) {
      const { run, verdict } = await play({ rounds: 5, stopWhen, masking, crash: 0.02 })
      const reason = 'loss has not got better in 1 round'
      expect(verdict).toMatchObject({ outcome: 'completed', reason, planned: 5, released: 10_007n - run.paid })
      expect(run.past.map(({ purpose }) => purpose)).toEqual(['train', 'train', 'evaluate'])
      expect(run.paid).toBe(2n * 2002n)
    }
  })
})

/** Lets a run that is paused for its failures go on. */
function resuming(owner: Owner): Owner {
  return (run, elapsed) => (run.phase === 'paused' ? { kind: 'resumed' } : owner(run, elapsed))
}
