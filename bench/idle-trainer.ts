import type { TrainerBackend } from '#protocol/ports.ts'

/** Trains nothing, at once: what is left of a round is the round. */
export const idleTrainer: TrainerBackend = {
  backend: 'none',
  fit: async (model, { purpose }) => ({
    delta: new Float32Array(purpose === 'train' ? model.length : 0),
    examples: 1,
    evaluation: { rows: 1, correct: 1, lossSumNats: 0 },
    trainMillis: 0,
  }),
  async [Symbol.asyncDispose]() {},
}
