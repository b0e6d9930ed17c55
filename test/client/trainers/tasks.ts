import type { Dataset } from '#client/data/dataset.ts'
import { copyRows } from '#client/data/features.ts'
import { fitModel } from '#client/trainers/fit.ts'
import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import type { Cid } from '#protocol/ids.ts'
import type { LocalUpdate, TrainingTask } from '#protocol/ports.ts'
import { sizeOf } from '#protocol/shapes.ts'
import type { Loss, Task } from '#protocol/task.ts'

/** Numbers that look random and are the same each time: a linear congruential generator (Numerical Recipes), in −1…1. */
export function noise(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  }
}

export function someModel(architecture: Architecture, seed: number): Float32Array {
  const shaped = shapeOf(architecture)
  if (!shaped.ok) throw new Error(`${shaped.refusal}: ${shaped.detail}`)
  const next = noise(seed)
  const values = shaped.value.tensors.map((tensor) =>
    Float32Array.from({ length: sizeOf(tensor) }, () => {
      const value = next() * 0.6
      return tensor.name.endsWith('/moving_variance') ? Math.abs(value) + 0.1 : value
    }),
  )
  return Float32Array.from(values.flatMap((each) => [...each]))
}

export type RowsInMemory = Dataset & { readonly rows: readonly Float32Array[] }

/** A data set of rows in memory; every row is trained on, those in `heldOut` are tested on as well. */
export function datasetOf(
  shape: readonly number[],
  rows: readonly Float32Array[],
  labels: readonly number[],
  heldOut: readonly number[] = [],
): RowsInMemory {
  const width = sizeOf({ shape })
  const values = new Float32Array(rows.length * width)
  for (const [index, row] of rows.entries()) values.set(row, index * width)
  return {
    shape,
    rows,
    labels: Float32Array.from(labels),
    train: Int32Array.from(rows.keys()),
    heldOut: Int32Array.from(heldOut),
    dropped: 0,
    labelled: rows.length,
    inMemory: true,
    read: (batch, into) => copyRows({ values, width }, batch, into, { offset: 0, stride: width }),
  }
}

/** @param vocabulary makes the features whole numbers below it */
export function someDataset(
  shape: readonly number[],
  rows: number,
  classes: number,
  seed: number,
  vocabulary?: number,
): RowsInMemory {
  const real = noise(seed)
  const next = vocabulary === undefined ? real : () => Math.floor(((real() + 1) / 2) * vocabulary)
  const width = shape.reduce((product, side) => product * side, 1)
  const values = Array.from({ length: rows }, () => Float32Array.from({ length: width }, next))
  return datasetOf(
    shape,
    values,
    values.map((_, row) => row % classes),
    [...values.keys()],
  )
}

type Changes = Partial<
  Pick<Task, 'optimiser' | 'epochs' | 'batchSize' | 'data' | 'proximalMicro' | 'gradientNormMicro'>
> &
  Partial<Pick<TrainingTask, 'purpose' | 'shuffleSeed' | 'evaluationRowsMax'>>

export function trainingOf(
  architecture: Architecture,
  loss: Loss,
  classes: number,
  changes: Changes = {},
): TrainingTask {
  const { purpose = 'train', shuffleSeed = new Uint8Array(32).fill(1), evaluationRowsMax = 1000, ...task } = changes
  return {
    architecture,
    purpose,
    shuffleSeed,
    holdoutSeed: new Uint8Array(32).fill(2),
    evaluationRowsMax,
    task: {
      v: 1,
      name: 'a test',
      seed: new Uint8Array(32),
      architecture: '' as Cid,
      genesis: '' as Cid,
      data: tableOf(architecture.input[0] as number, classes),
      loss,
      optimiser: { kind: 'sgd', rateMicro: 100_000, momentumMicro: 0 },
      epochs: 1,
      batchSize: 1000,
      clipNormMicro: 1_000_000,
      strategy: { kind: 'fedavg', rateMicro: 1_000_000 },
      ...task,
    },
  }
}

/** Of two columns, one output and three weights. */
export const logistic: Architecture = {
  v: 1,
  input: [2],
  layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }],
}

/** 60 steps on 40 rows. */
export const longTask: TrainingTask = trainingOf(logistic, 'sigmoid-cross-entropy', 2, { epochs: 20, batchSize: 16 })

/** A table of plain numbers. */
export function tableOf(width: number, classes: number): Task['data'] {
  return {
    kind: 'table',
    columns: Array.from({ length: width }, (_, index) => ({ kind: 'number', name: `x${index}`, gaps: false })),
    label: { column: 'y', rule: 'integer', classes },
    rowsMax: 1000,
  }
}

/** The same, and of each row as many labels as these: what each counts where it is there. */
export function labelledTable(width: number, positives: readonly number[]): Task['data'] {
  const labels = positives.map((positive, of) => ({ column: `y${of}`, positiveMicro: positive * 1e6 }))
  return { ...tableOf(width, 2), kind: 'table', label: { rule: 'multi-label', labels } } as Task['data']
}

export function fitHere(model: Float32Array, training: TrainingTask, dataset: Dataset): Promise<LocalUpdate> {
  return fitModel(model, training, dataset, { checkpoint: () => undefined, progress: () => undefined })
}

/** The gradient that one whole-batch step went down: the step is the rate times it. */
export async function gradientOf(
  model: Float32Array,
  architecture: Architecture,
  loss: Loss,
  dataset: Dataset,
): Promise<Float32Array> {
  const rate = 100
  const classes = Math.max(2, ...dataset.labels.map((label) => label + 1))
  const optimiser = { kind: 'sgd', rateMicro: rate * 1e6, momentumMicro: 0 } as const
  const { delta } = await fitHere(model, trainingOf(architecture, loss, classes, { optimiser }), dataset)
  return delta.map((step) => -step / rate)
}
