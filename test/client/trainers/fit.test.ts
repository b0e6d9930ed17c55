import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import { memory } from '@tensorflow/tfjs-core'
import { applyImageContract } from '#client/data/contract.ts'
import { formatIdx, type IdxRows, openIdx, rowsIn } from '#client/data/idx.ts'
import { inMemory } from '#client/data/source.ts'
import { openBackend } from '#client/trainers/backend.ts'
import { fitModel } from '#client/trainers/fit.ts'
import type { Architecture } from '#protocol/architecture.ts'
import type { Layer } from '#protocol/layers.ts'
import { TrainingRefused, type TrainProgress } from '#protocol/ports.ts'
import type { TableContract } from '#protocol/task.ts'
import { datasetOf, fitHere, gradientOf, noise, someDataset, someModel, tableOf, trainingOf } from './tasks.ts'

type Dense = Extract<Layer, { layer: 'dense' }>
const image: Architecture = {
  v: 1,
  input: [8, 8, 1],
  layers: [
    {
      layer: 'conv2d',
      name: 'a',
      filters: 4,
      kernel: [3, 3],
      strides: [1, 1],
      padding: 'same',
      activation: 'relu',
    },
    { layer: 'maxPooling2d', name: 'b', pool: [2, 2], strides: [2, 2] },
    { layer: 'flatten', name: 'c' },
    { layer: 'dense', name: 'd', units: 3, activation: 'linear' },
  ],
}
const linear: Architecture = {
  v: 1,
  input: [4],
  layers: [{ layer: 'dense', name: 'a', units: 3, activation: 'linear' }],
}

describe.each(['wasm', 'cpu'] as const)('on the %s backend', (backend) => {
  beforeAll(async () => {
    await openBackend(backend)
  })

  test('the same seeds give the same bits, whatever was fitted in between', async () => {
    const dataset = someDataset(image.input, 50, 3, 3)
    const training = trainingOf(image, 'softmax-cross-entropy', 3, {
      batchSize: 16,
      epochs: 2,
      optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 900_000 },
    })
    const model = someModel(image, 1)
    const first = await fitHere(model, training, dataset)
    await fitHere(someModel(linear, 9), trainingOf(linear, 'softmax-cross-entropy', 3), someDataset([4], 9, 3, 1))
    const other = await fitHere(model, { ...training, shuffleSeed: new Uint8Array(32).fill(7) }, dataset)
    const again = await fitHere(model, training, dataset)
    expect([...again.delta]).toEqual([...first.delta])
    expect(again.evaluation).toEqual(first.evaluation)
    expect([...other.delta]).not.toEqual([...first.delta])
  })

  test('no tensor outlives a fit, whether it ends well, is refused or is stopped', async () => {
    const dataset = someDataset(image.input, 20, 3, 3)
    const training = trainingOf(image, 'softmax-cross-entropy', 3, {
      batchSize: 8,
      optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 900_000 },
    })
    const model = someModel(image, 1)
    const before = memory().numTensors
    for (let turn = 0; turn < 5; turn++) {
      await fitHere(model, training, dataset)
      await expect(
        fitHere(
          model.map(() => Number.NaN),
          training,
          dataset,
        ),
      ).rejects.toThrow(TrainingRefused)
      let asked = 0
      const checkpoint = () => {
        if (++asked === 4) throw new Error('stop')
      }
      await expect(fitModel(model, training, dataset, { checkpoint, progress: () => undefined })).rejects.toThrow(
        'stop',
      )
    }
    expect(memory().numTensors).toBe(before)
  })
})

describe('a fit', () => {
  beforeAll(async () => {
    await openBackend('wasm')
  })

  test('of a sample of the rows says so', async () => {
    const dataset = someDataset([4], 7, 3, 21)
    const said: TrainProgress[] = []
    const doors = { checkpoint: () => undefined, progress: (at: TrainProgress) => said.push(at) }
    const training = trainingOf(linear, 'softmax-cross-entropy', 3)
    await fitModel(someModel(linear, 4), training, dataset, doors)
    await fitModel(someModel(linear, 4), training, { ...dataset, labelled: 900 }, doors)
    const rows = dataset.train.length + dataset.heldOut.length
    expect(said.map(({ sample }) => sample)).toEqual([undefined, { rows, of: 900 }])
  })

  test('is SGD with momentum over every batch, the short last one too', async () => {
    const dataset = someDataset([4], 7, 3, 21)
    const rate = 0.1
    const momentum = 0.5
    const model = someModel(linear, 4)
    const { delta } = await fitHere(
      model,
      trainingOf(linear, 'softmax-cross-entropy', 3, {
        epochs: 3,
        batchSize: 7,
        optimiser: { kind: 'sgd', rateMicro: rate * 1e6, momentumMicro: momentum * 1e6 },
      }),
      dataset,
    )
    const weights = Float64Array.from(model)
    let velocity = new Float64Array(model.length)
    for (let epoch = 0; epoch < 3; epoch++) {
      const gradient = await gradientOf(Float32Array.from(weights), linear, 'softmax-cross-entropy', dataset)
      velocity = velocity.map((speed, index) => momentum * speed + (gradient[index] as number))
      for (const [index, speed] of velocity.entries()) weights[index] = (weights[index] as number) - rate * speed
    }
    for (const [index, step] of delta.entries()) {
      expect(step).toBeCloseTo((weights[index] as number) - (model[index] as number), 5)
    }
    const seen: number[] = []
    const watched = {
      ...dataset,
      heldOut: new Int32Array(0),
      read: (rows: Int32Array, into: Float32Array) => {
        seen.push(...rows)
        return dataset.read(rows, into)
      },
    }
    await fitHere(model, trainingOf(linear, 'softmax-cross-entropy', 3, { batchSize: 3, epochs: 2 }), watched)
    expect(seen).toHaveLength(14)
    expect(seen.slice(0, 7).toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(seen.slice(7).toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(seen.slice(0, 7)).not.toEqual(seen.slice(7))
  })

  test('judges the model that came in, on at most as many held-out rows as it may', async () => {
    // Class 0 where the first feature is below zero; the model gives logits (-x, x, -100).
    const values = [-3, -1, 2, 5, 40].map((value) => Float32Array.of(value, 0, 0, 0))
    const dataset = datasetOf([4], values, [0, 1, 1, 0, 0], [0, 1, 2, 3, 4])
    const model = new Float32Array(15)
    model.set([-1, 1, 0])
    model.set([0, 0, -100], 12)
    const training = trainingOf(linear, 'softmax-cross-entropy', 3)
    const evaluation = (await fitHere(model, training, dataset)).evaluation
    const nats = (margin: number) => Math.log1p(Math.exp(-margin))
    expect(evaluation).toMatchObject({ rows: 5, correct: 2 })
    expect(evaluation.lossSumNats).toBeCloseTo(nats(6) + nats(-2) + nats(4) + nats(-10) + 64, 4)
    const capped = (await fitHere(model, { ...training, evaluationRowsMax: 2 }, dataset)).evaluation
    expect(capped).toMatchObject({ rows: 2, correct: 1 })
  })

  test('of an evaluate round gives no delta and trains on nothing', async () => {
    const dataset = someDataset([4], 9, 3, 2)
    const update = await fitHere(
      someModel(linear, 1),
      trainingOf(linear, 'softmax-cross-entropy', 3, { purpose: 'evaluate' }),
      dataset,
    )
    expect(update.delta).toHaveLength(0)
    expect(update.examples).toBe(0)
    expect(update.evaluation.rows).toBe(9)
  })

  test('that runs away is refused, and nothing that is no number leaves', async () => {
    const dataset = someDataset([4], 12, 3, 2)
    const training = trainingOf(linear, 'softmax-cross-entropy', 3, {
      epochs: 400,
      batchSize: 4,
      optimiser: { kind: 'sgd', rateMicro: 1_000_000_000, momentumMicro: 999_999 },
    })
    const steep = {
      ...dataset,
      read: (_rows: Int32Array, into: Float32Array) => void into.fill(1e30),
    }
    await expect(fitHere(someModel(linear, 1), training, steep)).rejects.toThrow(/^not-finite: /)
  })

  test('of a model that does not fit its data or its loss is refused by name', async () => {
    const dataset = someDataset([4], 6, 3, 2)
    const model = someModel(linear, 1)
    const training = trainingOf(linear, 'softmax-cross-entropy', 3)
    await expect(fitHere(model, training, someDataset([5], 6, 3, 2))).rejects.toThrow(/^wrong-input: /)
    await expect(fitHere(model, trainingOf(linear, 'softmax-cross-entropy', 4), dataset)).rejects.toThrow(
      /^wrong-output: /,
    )
    await expect(fitHere(model, trainingOf(linear, 'sigmoid-cross-entropy', 2), dataset)).rejects.toThrow(
      /^wrong-output: /,
    )
  })

  test('on rows that come from a file by their places has the bits of one on rows in memory', async () => {
    const next = noise(8)
    const bytes = Uint8Array.from({ length: 30 * 64 }, () => 128 + 127 * next())
    const idx = { sides: [30, 8, 8], bytes }
    const labels = { sides: [30], bytes: Uint8Array.from({ length: 30 }, (_, row) => row % 3) }
    const contract = { kind: 'image', height: 8, width: 8, channels: 1, classes: 3, rowsMax: 100 } as const
    const training = trainingOf(image, 'softmax-cross-entropy', 3, { batchSize: 7, epochs: 2, data: contract })
    const fitOn = (images: IdxRows) =>
      fitHere(someModel(image, 1), training, applyImageContract({ images, labels }, contract, new Uint8Array(32)))
    const whole = await fitOn(rowsIn(idx))
    const read = await fitOn(await openIdx(inMemory('images', formatIdx(idx)), 10 * 64))
    expect([...read.delta]).toEqual([...whole.delta])
    expect(read.evaluation).toEqual(whole.evaluation)
    expect(whole.evaluation.rows).toBe(6)
  })

  test('counts the time that it trains, and none that it is held up', async () => {
    const clock = { now: 0 }
    const now = jest.spyOn(performance, 'now').mockImplementation(() => clock.now)
    try {
      const training = trainingOf(linear, 'softmax-cross-entropy', 3, { batchSize: 2, epochs: 2 })
      const update = await fitModel(someModel(linear, 1), training, someDataset([4], 12, 3, 2), {
        checkpoint: async () => {
          clock.now += 60_000
        },
        progress: () => {
          clock.now += 100
        },
      })
      expect(update.trainMillis).toBe(200)
    } finally {
      now.mockRestore()
    }
  })

  test('of rows that cannot be read ends with what was wrong, and with no reading left unheard', async () => {
    const dataset = someDataset([4], 12, 3, 2)
    let turns = 0
    const broken = {
      ...dataset,
      inMemory: false,
      read: (rows: Int32Array, into: Float32Array) =>
        ++turns > 3 ? Promise.reject(new Error('no disk')) : dataset.read(rows, into),
    }
    const training = trainingOf(linear, 'softmax-cross-entropy', 3, { batchSize: 2 })
    const before = memory().numTensors
    await expect(fitHere(someModel(linear, 1), training, broken)).rejects.toThrow('no disk')
    expect(memory().numTensors).toBe(before)
  })

  test('of numbers finds the line that they lie on, and classes none of them', async () => {
    const line: Architecture = { ...linear, input: [2], layers: [{ ...(linear.layers[0] as Dense), units: 1 }] }
    const next = noise(3)
    const rows = Array.from({ length: 40 }, () => Float32Array.of(next(), next()))
    const labels = rows.map(([a = 0, b = 0]) => 2 * a - b + 0.5)
    const dataset = datasetOf([2], rows, labels, [0, 1, 2])
    const label = { column: 'y', rule: 'number', centreMicro: 0, scaleMicro: 1_000_000 } as const
    const data = { ...(tableOf(2, 2) as TableContract), label }
    for (const loss of ['mean-squared-error', 'huber'] as const) {
      const changes = {
        data,
        epochs: 40,
        batchSize: 8,
        optimiser: { kind: 'sgd', rateMicro: 200_000, momentumMicro: 0 },
      } as const
      const { delta, evaluation } = await fitHere(new Float32Array(3), trainingOf(line, loss, 2, changes), dataset)
      for (const [index, weight] of [2, -1, 0.5].entries()) expect(delta[index]).toBeCloseTo(weight, 2)
      expect(evaluation).toMatchObject({ rows: 3, correct: 0 })
      // The incoming model says 0, so that what it misses is the labels.
      const asked = trainingOf(line, loss, 2, { data, purpose: 'evaluate' })
      const scored = { ...asked, task: { ...asked.task, metrics: ['mae'] as const } }
      const { tallies } = (await fitHere(new Float32Array(3), scored, dataset)).evaluation
      const misses = [...dataset.labels.subarray(0, 3)].reduce((sum, each) => sum + Math.abs(each), 0)
      expect(tallies?.[0]?.[0]).toBeCloseTo(misses, 5)
    }
    const classes = trainingOf(line, 'mean-squared-error', 2)
    await expect(fitHere(new Float32Array(3), classes, dataset)).rejects.toThrow(
      'wrong-loss: mean-squared-error is for a number',
    )
  })

  test('of layers that do not fit together, or of which none learns, is refused by name', async () => {
    const learn = (...layers: readonly Layer[]) =>
      fitHere(
        new Float32Array(15),
        trainingOf({ ...linear, layers }, 'softmax-cross-entropy', 3),
        someDataset([4], 6, 3, 2),
      )
    const [out] = linear.layers as [Layer]
    await expect(learn({ layer: 'lstm', name: 'memory', units: 3 }, out)).rejects.toThrow(
      'bad-shape: memory (lstm) cannot take [4]',
    )
    await expect(learn({ ...out, frozen: true } as Layer)).rejects.toThrow(/^nothing-to-train: /)
  })
})
