import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { z } from 'zod'
import type { launchRunSchema } from '#coordinator/api/run-schemas.ts'
import { createRunSchema } from '#coordinator/api/schemas.ts'
import { shapeOf } from '#protocol/architecture.ts'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { layerSchema } from '#protocol/layers.ts'
import { topologyOf } from '#protocol/topology/export.ts'
import * as data from '#sdk/data.ts'
import { kerasModel } from '#sdk/keras.ts'
import * as layers from '#sdk/layers.ts'
import { micro, nano, TaskError } from '#sdk/real.ts'
import { adam, adamW, type CreateRun, defineTask, fedAvg, rmsprop, sgd, type TaskDefinition } from '#sdk/task.ts'

const label = data.classIn('kind', 3)
const base: TaskDefinition = {
  name: 'a task',
  model: layers.sequential([layers.dense(8, 'relu'), layers.dense(3)]),
  data: data.tableData({ columns: [data.number('age', { gaps: true }), data.category('sex', [0, 1])], label }),
  loss: 'softmax-cross-entropy',
  local: { epochs: 1, batch: 16, optimizer: adam(1e-3) },
  rounds: 3,
  cohort: { min: 3, max: 5 },
}

/** The validator's own words; and the type of what is built fits what it takes. */
const accepted = (order: CreateRun) => createRunSchema.parse(order satisfies z.input<typeof launchRunSchema>)

describe('a task', () => {
  test('is what the API takes, with the input that its data have', () => {
    const order = accepted(defineTask(base))
    expect(order.task.architecture.input).toEqual([3])
    expect(order.task.architecture.layers.map(({ name }) => name)).toEqual(['dense_1', 'dense_2'])
    expect(order.task.optimiser).toEqual({
      ...{ kind: 'adam', rateMicro: 1000, beta1Micro: 900_000, beta2Micro: 999_000, epsilonNano: 100 },
    })
    expect(order.cohort).toMatchObject({ min: 3, max: 5, quorum: 3 })
    expect(JSON.parse(JSON.stringify(defineTask(base)))).toEqual(defineTask(base))
  })

  test('may say everything that a run can be told', () => {
    const order = defineTask({
      ...base,
      seed: 255,
      metrics: ['auroc', 'brier'],
      server: fedAvg(0.5),
      local: {
        ...base.local,
        optimizer: sgd(0.05, { momentum: 0.9, nesterov: true }),
        clipNorm: 2.5,
        gradientNorm: 1,
        proximal: 0.01,
      },
      budget: '1000',
      population: 'hospital',
      masking: 'secagg/1',
      secure: { corrupt: 1 },
      timing: { reportingMillis: 60_000, stragglerMillis: null },
      onFailures: 'end',
    })
    const { task } = accepted(order)
    expect(task).toMatchObject({ clipNormMicro: 2_500_000, gradientNormMicro: 1_000_000, proximalMicro: 10_000 })
    expect(task).toMatchObject({ seed: `${'0'.repeat(62)}ff`, strategy: { kind: 'fedavg', rateMicro: 500_000 } })
  })

  test.each([
    ['adamW', adamW(1e-3, { weightDecay: 0.01 })],
    ['rmsprop', rmsprop(1e-3, { centred: true })],
    ['sgd', sgd(0.1)],
  ])('takes the optimiser %s', (_name, optimizer) => {
    accepted(defineTask({ ...base, local: { ...base.local, optimizer } }))
  })

  test.each([
    ['images', data.imageData({ height: 8, width: 8, classes: 3 }), [8, 8, 1]],
    ['words', data.textData({ column: 'note', tokens: data.words(['a', 'b']), length: 12, label }), [12]],
    ['bytes', data.textData({ column: 'note', tokens: data.BYTES, length: 7, label }), [7]],
    [
      'a table with images and text',
      data.jointData({
        parts: [
          data.tablePart([data.number('age')]),
          data.imagePart({ height: 2, width: 2 }),
          data.textPart({ column: 'note', tokens: data.BYTES, length: 3 }),
        ],
        label: data.notZero('sick'),
      }),
      [8],
    ],
  ])('takes %s', (_what, contract, input) => {
    const order = accepted(defineTask({ ...base, data: contract }))
    expect(order.task.architecture.input).toEqual(input)
  })

  test('on a number says its scale in millionths', () => {
    const days = data.value('days', { centre: -2.5, scale: 0.125 })
    expect(days).toEqual({ column: 'days', rule: 'number', centreMicro: -2_500_000, scaleMicro: 125_000 })
  })

  test('on several labels says each column, and what one that is there counts', () => {
    const label = data.multiLabel(['a', { column: 'b', positive: 2.5 }])
    const labels = [{ column: 'a' }, { column: 'b', positiveMicro: 2_500_000 }]
    expect(label).toEqual({ rule: 'multi-label', labels })
    const scans = data.jointData({ parts: [data.imagePart({ height: 4, width: 2 })], label })
    expect(accepted(defineTask({ ...base, data: scans })).task.architecture.input).toEqual([8])
  })

  test('whose last layer squashes what the loss squashes is refused here, by its name', () => {
    const model = layers.sequential([layers.dense(3, 'softmax', { name: 'out' })])
    expect(() => defineTask({ ...base, model })).toThrow(/takes logits.*out/)
  })

  test('from a Keras model has its architecture and its input', () => {
    const given = defineTask(base).task.architecture
    const topology = topologyOf(given)
    const model = kerasModel(topology.ok ? (topology.value as object) : {})
    expect(defineTask({ ...base, model }).task.architecture).toEqual(given)
    expect(() => kerasModel('{"a": 1}')).toThrow(TaskError)
  })

  test('from a Keras model keeps its last sigmoid where the loss is one of a number, and says what else it does not', () => {
    const config = { units: 1, activation: 'sigmoid', batch_input_shape: [null, 7] }
    const json = { class_name: 'Sequential', config: { layers: [{ class_name: 'Dense', config }] } }
    const notes: string[] = []
    const note = (text: string) => void notes.push(text)
    for (const loss of ['mean-squared-error', 'mean-absolute-error', 'huber'] as const)
      expect(kerasModel(json, { loss, note }).layers).toMatchObject([{ layer: 'dense', activation: 'sigmoid' }])
    expect(notes.join()).not.toMatch(/sigmoid/)
    for (const loss of ['sigmoid-cross-entropy', undefined] as const)
      expect(kerasModel(json, { note, ...(loss && { loss }) }).layers).toMatchObject([{ activation: 'linear' }])
    expect(notes.join()).toMatch(/final sigmoid is left out: losses of classes take logits/)
  })

  test('has a seed that anybody reads the same', () => {
    for (const seed of [-1, 0.5, 'abc', 2 ** 60]) expect(() => defineTask({ ...base, seed })).toThrow(TaskError)
  })
})

describe('a real number', () => {
  test('is taken exactly as it was written, or refused', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (whole) => {
        // A minus sign that nobody wrote is no other number.
        expect(micro(whole / 1e6, 'it') + 0).toBe(whole + 0)
        expect(nano(whole / 1e9, 'it') + 0).toBe(whole + 0)
      }),
    )
    for (const odd of [1e-7, 1 / 3, Number.NaN, Number.POSITIVE_INFINITY, 1e300])
      expect(() => micro(odd, 'a rate')).toThrow(/a rate is told in millionths/)
  })
})

describe('layers', () => {
  const { sequential } = layers
  /** A graph over images with every kind that takes them, and one over text with all the others. */
  const vision = sequential([
    layers.zeroPadding2d({ top: 1, left: 1 }),
    layers.conv2d(4, 3, { activation: 'relu', padding: 'same', name: 'trunk' }),
    layers.depthwiseConv2d(3, { padding: 'same', name: 'branch' }),
    layers.add(['trunk', 'branch'], { name: 'sum' }),
    layers.multiply(['sum', 'trunk'], { name: 'product' }),
    layers.batchNormalization(),
    layers.activation('leakyRelu', { slope: 0.1 }),
    layers.maxPooling2d(),
    layers.averagePooling2d(2, { strides: 1 }),
    layers.flatten(),
    layers.dropout(0.5),
    layers.dense(4, 'relu', { adapter: { rank: 2, alpha: 4 }, frozen: true }),
    layers.dense(3),
  ])
  const language = sequential([
    layers.part(0, [8], { name: 'tokens' }),
    layers.embedding(50, 4),
    layers.positionEmbedding({ name: 'placed' }),
    layers.attention(2, { from: ['placed', 'placed', 'placed'], causal: true }),
    layers.layerNormalization(),
    layers.conv1d(4, 3, { padding: 'causal' }),
    layers.maxPooling1d(),
    layers.averagePooling1d(2, { stride: 1 }),
    layers.lstm(4, { sequences: true }),
    layers.simpleRnn(4, { sequences: true, backwards: true }),
    layers.gru(4, { name: 'last' }),
    layers.reshape([2, 2]),
    layers.globalPooling('average', { name: 'pooled' }),
    layers.concatenate(['pooled', 'last']),
    layers.dense(3),
  ])

  test('of every kind are reachable, and as the protocol has them', () => {
    const kinds = [...vision, ...language].map((layer) => layerSchema.parse(layer).layer)
    expect(new Set(kinds)).toEqual(new Set(layerSchema.options.map(({ shape }) => shape.layer.value)))
  })

  test.each([
    ['images', [9, 9, 1], vision],
    ['text', [8], language],
  ])('make a model over %s', (_what, input, made) => {
    const shape = shapeOf(architectureSchema.parse({ v: 1, input, layers: made }))
    expect(shape).toMatchObject({ ok: true, value: { output: [3] } })
  })

  test('are named by their kind and place, unless they have a name', () => {
    const names = sequential([
      layers.dense(1),
      layers.flatten(),
      layers.dense(1),
      layers.dense(1, 'relu', { name: 'out' }),
    ])
    expect(names.map(({ name }) => name)).toEqual(['dense_1', 'flatten_1', 'dense_2', 'out'])
  })
})
