import { expect, test } from '@jest/globals'
import type { Plan } from '#protocol/plan.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'
import { type Hooks, recordRun, type Shape } from './fixture.ts'
import { plan } from './hooks.ts'
import { TINY } from './tiny.ts'

/** Six moving statistics, the last parameters; they reach a hundred times as far as the weights together, or less than one. */
const [hidden, ...others] = TINY.layers
const normalized = {
  ...TINY,
  layers: [
    hidden as (typeof TINY.layers)[number],
    { layer: 'batchNormalization', name: 'norm', momentumMicro: 900_000, epsilonNano: 1_000_000 } as const,
    ...others,
  ],
}

const verdictOf = async (shape: Shape, hooks: Hooks = {}, movingRangeMicro: number | undefined = 200_000_000) => {
  const task: Hooks['task'] = (tiny) => ({ ...tiny, ...(movingRangeMicro && { movingRangeMicro }) })
  const run = await recordRun({ architecture: normalized, planned: 1, ...shape, hooks: { task, ...hooks } })
  return verifyBundle(fileOf(await run.file()))
}

test('a run of a model with moving statistics is proved, plain and masked, whatever their range', async () => {
  const masked: Shape = { secure: { suite: 1, corrupt: 1, publish: 'full' } }
  for (const range of [200_000_000, 500_000, 0])
    expect(await verdictOf({}, {}, range)).toMatchObject({ ok: true, outcome: 'completed' })
  expect(await verdictOf(masked)).toMatchObject({ ok: true, outcome: 'completed' })
})

const range = (change: Partial<Plan['quantiser']>) =>
  plan(1, ({ quantiser }) => ({ quantiser: { ...quantiser, ...change } }))

test('a plan whose statistics have another range than the task gives them is refused', async () => {
  expect(await verdictOf({}, range({ movingRangeMicro: 200_000_001 }))).toMatchObject({ ok: false, step: 'plan' })
  expect(await verdictOf({}, range({ movingRangeMicro: 1 }), 0)).toMatchObject({ ok: false, step: 'plan' })
})

const NORM = { step: 'vector', detail: 'seat 1: out-of-range, longer than the clip norm' }

test('statistics count for nothing in the norm, and weights beyond it are refused all the same', async () => {
  const [first, statistics] = [8, 8 + 19 + 6]
  const far = (from: number): Hooks => ({
    vector: (lanes, { round, seat }) => {
      // A report of 81 of 500 rows goes 81 ÷ 500 of the way.
      const reach = Math.floor((((2 ** 24 - 1) / 2) * 81) / 500)
      if (round === 1 && seat === 1) for (let at = from; at < from + 6; at++) lanes[at] = 2 ** 23 + reach
      return lanes
    },
  })
  expect(await verdictOf({}, far(statistics))).toMatchObject({ ok: true })
  expect(await verdictOf({}, far(first))).toMatchObject({ ok: false, ...NORM })
})
