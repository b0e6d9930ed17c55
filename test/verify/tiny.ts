import type { Architecture } from '#protocol/architecture.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import type { Task } from '#protocol/task.ts'

/** 19 parameters. */
export const TINY: Architecture = {
  v: 1,
  input: [4],
  layers: [
    { layer: 'dense', name: 'hidden', units: 3, activation: 'relu' },
    { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
  ],
}

export function tinyTask(seed: Bytes, architecture: Cid, genesis: Cid): Task {
  return {
    v: 1,
    name: 'tiny',
    seed,
    architecture,
    genesis,
    data: {
      kind: 'table',
      columns: ['a', 'b', 'c', 'd'].map((name) => ({ kind: 'number', name, gaps: false })),
      label: { column: 'ill', rule: 'not-zero', classes: 2 },
      rowsMax: 500,
    },
    loss: 'sigmoid-cross-entropy',
    optimiser: { kind: 'sgd', rateMicro: 50_000, momentumMicro: 0 },
    epochs: 1,
    batchSize: 16,
    clipNormMicro: 2_000_000,
    strategy: { kind: 'fedavg', rateMicro: 1_000_000 },
  }
}
