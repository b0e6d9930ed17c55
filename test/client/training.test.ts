import { expect, test } from '@jest/globals'
import { dequantise, quantiserFor } from '#aggregation/quantise.ts'
import { payloadOf, type Training } from '#client/assignment.ts'
import { train } from '#client/training.ts'
import { shapeOf } from '#protocol/architecture.ts'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Plan } from '#protocol/plan.ts'
import type { LocalUpdate, TrainerBackend } from '#protocol/ports.ts'
import { accept } from '#protocol/result.ts'
import { must } from '#test/aggregation/given.ts'
import { logistic, trainingOf } from './trainers/tasks.ts'

/** Of two columns: scale and offset, a weight each and one alone, then two moving means and two variances. */
const architecture = {
  ...logistic,
  layers: [
    { layer: 'batchNormalization', name: 'norm', momentumMicro: 900_000, epsilonNano: 1_000_000 },
    ...logistic.layers,
  ],
} as const
const shape = must(shapeOf(architecture))
const delta = [0.25, -0.5, 0, 0, 0.125, 0, 0.5, 0.25, -0.5, 900, -900]

function trainingIn(purpose: 'train' | 'evaluate'): Training {
  const { task } = trainingOf(architecture, 'sigmoid-cross-entropy', 2)
  const quantiser = quantiserFor({ clipNormMicro: 1_000_000, movingRangeMicro: 5_000_000, rowsMax: 1, cohortMax: 5 })
  const plan = { quantiser, purpose, round: 1, secure: null, task: cidOf(RAW, utf8('a task')) } as unknown as Plan
  const { parameters, trained, moving } = shape
  const read = async () => accept(new Float32Array(parameters))
  return { kind: 'training', plan, task, architecture, model: { parameters, trained, moving, read } }
}

async function sentOf(training: Training, learned: readonly number[]) {
  const evaluation = { rows: 4, correct: 1, lossSumNats: 2 }
  const update: LocalUpdate = { delta: Float32Array.from(learned), examples: 1, evaluation, trainMillis: 1 }
  const trainer = { backend: 'none', fit: async () => update } as unknown as TrainerBackend
  const doors = { trainer, secret: new Uint8Array(32), withholdsEvaluation: false }
  const { lanes } = must(await train(doors, training, new AbortController().signal, () => undefined))
  return must(dequantise(lanes, payloadOf(training), training.plan.quantiser))
}

test('how far statistics move neither clips what was learned nor leaves their range', async () => {
  expect(shape.moving).toBe(4)
  const { mean } = await sentOf(trainingIn('train'), delta)
  for (const [index, value] of mean.entries())
    expect(value).toBeCloseTo(Math.max(-5, Math.min(5, delta[index] as number)), 5)
})

test('an evaluate round of such a model carries no statistics', async () => {
  expect(await sentOf(trainingIn('evaluate'), [])).toMatchObject({ mean: { length: 0 }, evaluation: { rows: 4 } })
})
