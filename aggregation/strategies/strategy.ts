import type { StrategySpec } from '#protocol/task.ts'
import { fedavg } from './fedavg.ts'

/**
 * From the mean update to the next model. A strategy sees the mean and never the list, so plain and masked rounds have one
 * shape. It uses only + − × ÷ √ in a fixed order: every engine gets the same bits.
 */
export interface Strategy {
  /** Float32 values carried from round to round, zeros at first. */
  memoryLength(parameters: number): number
  /** Changes none of its arguments. */
  apply(
    model: Float32Array,
    mean: Float64Array,
    memory: Float32Array,
  ): { readonly model: Float32Array; readonly memory: Float32Array }
}

export function strategyOf(spec: StrategySpec): Strategy {
  switch (spec.kind) {
    case 'fedavg':
      return fedavg(spec.rateMicro / 1_000_000)
  }
}
