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
  expect(await mistakeOf(numbers)).toBe('/task/loss: sigmoid-cross-entropy is for two classes')
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
