import { keep, type NamedTensorMap, type Tensor, tidy, type Variable, zerosLike } from '@tensorflow/tfjs-core'
import { assert } from '#protocol/assert.ts'
import type { Task } from '#protocol/task.ts'
import { momentumStep } from './kernels/fused.ts'

/** Velocity ← momentum · velocity + gradient; weight ← weight − rate · velocity. */
export type Sgd = { step(gradients: NamedTensorMap): void; dispose(): void }

/** Starts at rest. TF.js's own momentum optimiser leaves a tensor behind each time it is disposed of. */
export function sgd(variables: readonly Variable[], { rateMicro, momentumMicro }: Task['optimiser']): Sgd {
  const attrs = { rate: rateMicro / 1e6, momentum: momentumMicro / 1e6 }
  const velocities: Tensor[] = variables.map((each) => keep(zerosLike(each)))
  return {
    step(gradients) {
      for (const [index, weights] of variables.entries()) {
        const gradient = gradients[weights.name]
        assert(gradient, 'the loss depends on every weight')
        const before = velocities[index] as Tensor
        tidy(() => {
          const next = momentumStep({ weights, gradient, velocity: before }, attrs)
          weights.assign(next.weights)
          velocities[index] = keep(next.velocity)
        })
        before.dispose()
      }
    },
    dispose() {
      for (const each of velocities) each.dispose()
    },
  }
}
