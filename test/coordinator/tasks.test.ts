import { expect, test } from '@jest/globals'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { createRun } from '#coordinator/create.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { RUN } from './fixture.ts'
import { request } from './live.ts'

const number = { column: 'z', rule: 'number', centreMicro: -5_000_000, scaleMicro: 2_500_000 } as const
const { task: toy } = request() as { task: { data: object; architecture: { layers: object[] } } }
const joint = {
  data: {
    kind: 'joint',
    parts: [
      { kind: 'table', columns: [{ kind: 'number', name: 'x', gaps: true }] },
      { kind: 'image', height: 3, width: 4, channels: 1 },
    ],
    label: number,
    rowsMax: 100,
  },
  architecture: { v: 1, input: [14], layers: toy.architecture.layers },
  loss: 'huber',
}
const text = {
  data: { kind: 'text', column: 'note', tokens: { kind: 'bytes' }, length: 6, label: number, rowsMax: 100 },
  architecture: { v: 1, input: [6], layers: toy.architecture.layers },
  loss: 'mean-absolute-error',
}

/** Where the mistake of such a task is; undefined where it can be run. */
async function mistakeOf(change: object): Promise<string | undefined> {
  const asked = createRunSchema.parse(request({ task: { ...toy, ...change } }))
  const made = await createRun(openMemoryBlobs(), RUN, asked, null)
  return made.ok ? undefined : `${made.where?.pointer}: ${made.where?.message}`
}

test('a task may predict numbers, from text, or from a table with images', async () => {
  const numbers = { data: { ...toy.data, label: number }, loss: 'mean-squared-error' }
  for (const change of [numbers, joint, text]) expect(await mistakeOf(change)).toBeUndefined()
})

test('a loss that is not for the labels is said to be the mistake', async () => {
  expect(await mistakeOf({ loss: 'huber' })).toBe('/task/loss: huber is for a number')
  const numbers = { data: { ...toy.data, label: number } }
  expect(await mistakeOf(numbers)).toBe('/task/loss: sigmoid-cross-entropy is for two classes, or for several labels')
  expect(await mistakeOf({ ...numbers, loss: 'softmax-cross-entropy' })).toBe(
    '/task/loss: softmax-cross-entropy is for classes',
  )
  expect(await mistakeOf({ ...joint, architecture: { ...joint.architecture, input: [13] } })).toBe(
    '/task/architecture/input: must be [14], what the data contract yields',
  )
})

test('a range of moving statistics is for a model that has some', async () => {
  expect(await mistakeOf({ movingRangeMicro: 1 })).toBe('/task/movingRangeMicro: the model has no moving statistics')
  const norm = { layer: 'batchNormalization', name: 'norm', momentumMicro: 990_000, epsilonNano: 1_000_000 }
  const architecture = { ...toy.architecture, layers: [norm, ...toy.architecture.layers] }
  expect(await mistakeOf({ movingRangeMicro: 1, architecture })).toBeUndefined()
})

test('a task may predict several labels of a row, by one output and one logistic loss each', async () => {
  const findings = ['a', 'b', 'c'].map((column) => ({ column, positiveMicro: 3_000_000 }))
  const label = { rule: 'multi-label', labels: findings }
  const out = { layer: 'dense', name: 'out', units: 3, activation: 'linear' }
  const several = { data: { ...toy.data, label }, architecture: { ...toy.architecture, layers: [out] } }
  const image = { kind: 'image', height: 1, width: 2, channels: 1 }
  const scan = { ...several, data: { kind: 'joint', parts: [image], label, rowsMax: 100 } }
  for (const change of [several, { ...several, metrics: ['auroc', 'brier'] }, scan])
    expect(await mistakeOf(change)).toBeUndefined()
  expect(await mistakeOf({ data: several.data })).toBe(
    '/task/architecture/layers: must end in 3 values for sigmoid-cross-entropy',
  )
  for (const loss of ['huber', 'softmax-cross-entropy'])
    expect(await mistakeOf({ ...several, loss })).toMatch(`/task/loss: ${loss} is for `)
  expect(await mistakeOf({ ...several, metrics: ['rmse'] })).toBe(
    '/task/metrics: rmse is not for several labels: auroc, auprc, f1, sensitivity, specificity, balanced-accuracy, calibration, brier are',
  )
  for (const labels of [
    findings.slice(1, 2),
    [...findings, { column: 'a' }],
    Array.from({ length: 29 }, (_, of) => ({ column: `f${of}` })),
  ])
    await expect(mistakeOf({ ...several, data: { ...toy.data, label: { ...label, labels } } })).rejects.toThrow()
  await expect(mistakeOf({ ...scan, data: { ...scan.data, label: number } })).rejects.toThrow('images by themselves')
})
