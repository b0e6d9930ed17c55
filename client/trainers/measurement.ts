import { referenceRows, referenceWeights } from '#aggregation/reference-data.ts'
import type { Bytes, Millis } from '#protocol/ids.ts'
import type { TrainingTask } from '#protocol/ports.ts'
import {
  REFERENCE_BATCH,
  REFERENCE_MODELS,
  REPETITION_ROWS,
  type ReferenceModel,
  referenceTask,
} from '#protocol/reference-models.ts'
import type { Dataset } from '../data/dataset.ts'
import { copyRows } from '../data/features.ts'
import type { Measured, Measurement } from '../measuring.ts'
import { type FitDoors, fitModel } from './fit.ts'

/** The time is over: thrown through the loop, which ends as it does when it is stopped. */
class Enough extends Error {}

/** A backend compiles at its first steps: a slow one is not warmed for longer than this. */
const WARM_MILLIS = 500

/** Trains on the backend that is set, by the loop that rounds are trained by. @param checkpoint as that loop has it */
export async function measure(measurement: Measurement, checkpoint: FitDoors['checkpoint']): Promise<Measured> {
  const { amount } = measurement
  const repetitions = new Repetitions(measurement, checkpoint)
  if (amount.kind === 'time') return repetitions.during(amount.millis)
  const started = performance.now()
  for (let at = amount.from; at < amount.from + amount.count; at++) await repetitions.run(at)
  return repetitions.measuredSince(started)
}

class Repetitions {
  readonly #measurement: Measurement
  readonly #checkpoint: FitDoors['checkpoint']
  readonly #weights: Float32Array
  readonly #training: TrainingTask
  #losses: number[] = []
  #samples = 0

  constructor(measurement: Measurement, checkpoint: FitDoors['checkpoint']) {
    const { model, seed } = measurement
    this.#measurement = measurement
    this.#checkpoint = checkpoint
    this.#weights = referenceWeights(model, seed)
    this.#training = trainingOf(model, seed)
  }

  /** As many as there is time for, to the end of an epoch, where the device has caught up; of a slow one a part of the first. */
  async during(millis: Millis): Promise<Measured> {
    await this.run(0, performance.now() + Math.min(millis, WARM_MILLIS))
    this.#losses = []
    this.#samples = 0
    const started = performance.now()
    for (let at = 1; performance.now() < started + millis; at++) await this.run(at, started + millis)
    return this.measuredSince(started)
  }

  measuredSince(started: Millis): Measured {
    return { losses: this.#losses, samples: this.#samples, millis: performance.now() - started }
  }

  async run(repetition: number, until = Number.POSITIVE_INFINITY): Promise<void> {
    const { model, seed } = this.#measurement
    let batches = 0
    let isEnough = false
    const doors: FitDoors = {
      checkpoint: async () => {
        await this.#checkpoint()
        isEnough ||= this.#losses.length === 0 && batches > 0 && performance.now() >= until
        if (isEnough) throw new Enough()
        batches++
      },
      progress: ({ loss }) => {
        this.#losses.push(loss)
        isEnough = performance.now() >= until
      },
    }
    try {
      await fitModel(this.#weights, this.#training, datasetOf(model, seed, repetition), doors)
    } catch (cause) {
      if (!(cause instanceof Enough)) throw cause
    }
    this.#samples += batches * REFERENCE_BATCH
  }
}

function trainingOf(model: ReferenceModel, seed: Bytes): TrainingTask {
  return {
    task: referenceTask(model),
    architecture: REFERENCE_MODELS[model],
    purpose: 'train',
    ...{ shuffleSeed: seed, holdoutSeed: seed, evaluationRowsMax: 0 },
  }
}

/** Every row is trained on, and none tested. */
function datasetOf(model: ReferenceModel, seed: Bytes, repetition: number): Dataset {
  const { values, labels } = referenceRows(model, seed, repetition)
  const width = values.length / REPETITION_ROWS
  return {
    ...{ shape: REFERENCE_MODELS[model].input, dropped: 0, labelled: 0, inMemory: true, heldOut: new Int32Array(0) },
    labels: Float32Array.from(labels),
    train: Int32Array.from(labels.keys()),
    read: (rows, into) => copyRows({ values, width }, rows, into, { offset: 0, stride: width }),
  }
}
