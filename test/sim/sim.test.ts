import { describe, expect, test } from '@jest/globals'
import { chanceOf } from '#sim/chance.ts'
import { climateOf } from '#sim/climate.ts'
import { blowAt, type Faults } from '#sim/faults.ts'
import { CALM } from '#sim/setting.ts'
import { some, times } from '#test/effort.ts'
import { play } from './play.ts'

const MIXED = { ...CALM, delayMillis: 400, duplication: 0.3 }
const STORM = { delayMillis: 300, duplication: 0.1, loss: 0.03, breaks: 0.02 }

describe('a simulated cluster', () => {
  const calm = play({})

  test('completes, verifies and pays in calm weather', async () => {
    const { run, verdict } = await calm
    expect(run.past.map(({ reason }) => reason)).toEqual([null, null, null, null])
    expect(verdict).toMatchObject({ ok: true, pinned: true, outcome: 'completed' })
    expect(run.paid).toBe(run.spec.budget)
  })

  test('makes the same model in whatever order reports arrive and however often', async () => {
    const { run } = await calm
    for (const seed of some(1, [11, 12])) {
      const mixed = await play({ seed, weather: MIXED })
      expect(mixed.run.past.map(({ reason }) => reason)).toEqual([null, null, null, null])
      expect(mixed.run.model).toBe(run.model)
      expect(mixed.run.evaluation).toEqual(run.evaluation)
    }
  })

  test('makes the same model when the coordinator dies and comes back at any append', async () => {
    const { run } = await calm
    let crashes = 0
    for (const seed of some(2, [21, 22, 23])) {
      const outcome = await play({ seed, crash: 0.08 })
      crashes += outcome.crashes
      // A restart may cost a round its late nodes; where it cost none, nothing may differ.
      if (outcome.verdict.ok && outcome.verdict.rounds.every(({ reports }) => reports === 5))
        expect(outcome.run.model).toBe(run.model)
    }
    expect(crashes).toBeGreaterThan(5)
  })

  test('never hangs, never pays twice, and always leaves a record that verifies, whatever is lost, broken or killed', async () => {
    for (const seed of Array.from({ length: times(2, 6) }, (_, index) => 100 + index))
      await play({ seed, weather: STORM, crash: seed % 2 ? 0.03 : 0, deaths: seed % 3 })
  }, 60_000)

  test('loses nothing, and makes the same model, when a coordinator dies at a call of any of its doors', async () => {
    const run = { nodes: 3, rounds: 1, patience: 3 }
    const { model } = (await play(run)).run
    for (let place = 0; place < 120; place += times(41, 17))
      for (const when of ['before', 'after'] as const) {
        const outcome = await play({ ...run, blow: blowAt(place, when) })
        expect(outcome.crashes).toBe(1)
        expect(outcome.run.past.map(({ reason }) => reason)).toEqual([null, null])
        expect(outcome.run.model).toBe(model)
      }
  })

  test('bears partitions, pauses, full and slow disks and wrong clocks, each by itself and all together', async () => {
    const troubles: readonly Partial<Faults>[] = [
      ...[{ partitions: 3 }, { pauses: 3 }, { fullDisks: 3 }, { slowDisks: 3 }, { skewMillis: 5000, jumps: 3 }],
      { crashAnywhere: 0.005, nodeCrashAnywhere: 0.005 },
    ]
    for (const [index, trouble] of [...troubles, Object.assign({}, ...troubles)].entries())
      await play({ seed: 400 + index, rounds: times(1, 3), ...trouble })
  })

  test('makes the same model with three processes of the coordinator as with one, whoever of them writes what', async () => {
    const [alone, three] = [await calm, await play({ coordinators: 3 })]
    expect(three.run.past.map(({ reason }) => reason)).toEqual([null, null, null, null])
    expect(three.run.model).toBe(alone.run.model)
    expect(three.run.evaluation).toEqual(alone.run.evaluation)
  })

  test('keeps its promises with several processes of the coordinator, any of which dies, stops or comes back', async () => {
    for (const seed of some(1, [601, 600, 602])) {
      const trouble = climateOf('storm', chanceOf(seed)('climate'))
      await play({ ...trouble, seed, coordinators: 2 + (seed % 2), crash: 0.05 })
    }
  })

  test('ends as a failure with a reason when every node is gone', async () => {
    const { run, verdict } = await play({ seed: 5, nodes: 2, weather: { ...CALM, loss: 1 } })
    expect(verdict).toMatchObject({ ok: true, outcome: 'failed' })
    expect(run.past.every(({ manifest }) => manifest === null)).toBe(true)
    expect(run.released).toBe(run.spec.budget)
  })
})
