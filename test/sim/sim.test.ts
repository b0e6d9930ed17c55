import { describe, expect, test } from '@jest/globals'
import { CALM } from '#sim/cluster.ts'
import { play } from './play.ts'

const MIXED = { ...CALM, delayMillis: 400, duplication: 0.3 }
const STORM = { delayMillis: 300, duplication: 0.1, loss: 0.03, breaks: 0.02 }

describe('a simulated cluster', () => {
  test('completes, verifies and pays in calm weather', async () => {
    const { run, verdict } = await play({})
    expect(run.past.map(({ reason }) => reason)).toEqual([null, null, null, null])
    expect(verdict).toMatchObject({ ok: true, pinned: true, outcome: 'completed' })
    expect(run.paid).toBe(run.spec.budget)
  })

  test('makes the same model in whatever order reports arrive and however often', async () => {
    const { run } = await play({})
    for (const seed of [11, 12, 13]) {
      const mixed = await play({ seed, weather: MIXED })
      expect(mixed.run.past.map(({ reason }) => reason)).toEqual([null, null, null, null])
      expect(mixed.run.model).toBe(run.model)
      expect(mixed.run.evaluation).toEqual(run.evaluation)
    }
  })

  test('makes the same model when the coordinator dies and comes back at any append', async () => {
    const { run } = await play({})
    let crashes = 0
    for (const seed of [21, 22, 23, 24, 25, 26]) {
      const outcome = await play({ seed, crash: 0.08 })
      crashes += outcome.crashes
      // A restart may cost a round its late nodes; where it cost none, nothing may differ.
      if (outcome.verdict.ok && outcome.verdict.rounds.every(({ reports }) => reports === 5))
        expect(outcome.run.model).toBe(run.model)
    }
    expect(crashes).toBeGreaterThan(5)
  })

  test('never hangs, never pays twice, and always leaves a record that verifies, whatever is lost, broken or killed', async () => {
    for (const seed of Array.from({ length: 16 }, (_, index) => 100 + index))
      await play({ seed, weather: STORM, crash: seed % 2 ? 0.03 : 0, deaths: seed % 3 })
  }, 60_000)

  test('ends as a failure with a reason when every node is gone', async () => {
    const { run, verdict } = await play({ seed: 5, nodes: 2, weather: { ...CALM, loss: 1 } })
    expect(verdict).toMatchObject({ ok: true, outcome: 'failed' })
    expect(run.past.every(({ manifest }) => manifest === null)).toBe(true)
    expect(run.released).toBe(run.spec.budget)
  })
})
