import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { uint32Stream } from '#aggregation/rng.ts'
import type { Payload } from '#aggregation/vector.ts'
import type { Architecture } from '#protocol/architecture.ts'
import type { LocalUpdate, TrainerBackend, TrainingTask } from '#protocol/ports.ts'

/** The smallest model that is still one: two features, one logit. */
export const TOY_ARCHITECTURE: Architecture = {
  v: 1,
  input: [2],
  layers: [{ layer: 'dense', name: 'out', units: 1, activation: 'linear' }],
}

/** Of the logit: two weights and a bias. */
export const TOY_PAYLOAD: Payload = { parameters: 3, moving: 0, scores: NO_SCORES }

/** What an API client would post to train it. */
export const TOY_TASK = {
  name: 'toy',
  seed: '07'.repeat(32),
  architecture: TOY_ARCHITECTURE,
  data: {
    kind: 'table',
    columns: [
      { kind: 'number', name: 'x', gaps: false },
      { kind: 'number', name: 'y', gaps: false },
    ],
    label: { column: 'z', rule: 'not-zero', classes: 2 },
    rowsMax: 1000,
  },
  loss: 'sigmoid-cross-entropy',
  optimiser: { kind: 'sgd', rateMicro: 100_000, momentumMicro: 0 },
  epochs: 1,
  batchSize: 8,
  clipNormMicro: 10_000_000,
  strategy: { kind: 'fedavg', rateMicro: 1_000_000 },
} as const

/** What is told of a run of it needs this. */
export const TOY_ORDER = { subject: TOY_TASK, payload: TOY_PAYLOAD }

/**
 * Stands in for training where the protocol is under test, not learning: pulls the model a third of the way to this
 * site's own target, with noise from the task's seeds, so that every round's delta differs and every repeat is the same.
 */
export function toyTrainer(site: number): TrainerBackend {
  return {
    backend: 'toy',
    async fit(model: Float32Array, task: TrainingTask): Promise<LocalUpdate> {
      const words = uint32Stream(task.shuffleSeed)
      const pull = (weight: number, index: number) => (site + index - weight) / 3 + words() / 2 ** 34
      const delta = task.purpose === 'train' ? model.map(pull) : new Float32Array(0)
      const evaluation = { rows: 20 + site, correct: 10, lossSumNats: 3.5 * (site + 1) }
      const examples = task.purpose === 'train' ? 50 + site : 0
      return { delta, examples, evaluation, trainMillis: 100 + 37 * site }
    },
    async [Symbol.asyncDispose]() {},
  }
}
