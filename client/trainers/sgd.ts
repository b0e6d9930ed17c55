import {
  add,
  keep,
  mul,
  type NamedTensorMap,
  type Scalar,
  scalar,
  sub,
  type Tensor,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core'
import { assert } from '#protocol/assert.ts'
import type { Task } from '#protocol/task.ts'

/** Velocity ← momentum · velocity + gradient; weight ← weight − rate · velocity. */
export type Sgd = { step(gradients: NamedTensorMap): void; dispose(): void }

/** Starts at rest. TF.js's own momentum optimiser leaves a tensor behind each time it is disposed of. */
export function sgd(variables: readonly Variable[], { rateMicro, momentumMicro }: Task['optimiser']): Sgd {
  const [rate, momentum] = [scalar(rateMicro / 1e6), scalar(momentumMicro / 1e6)]
  const velocities: (Tensor | undefined)[] = variables.map(() => undefined)
  return {
    step(gradients) {
      for (const [index, weights] of variables.entries()) {
        const gradient = gradients[weights.name]
        assert(gradient, 'the loss depends on every weight')
        const before = velocities[index]
        const velocity = keep(tidy(() => (before ? add(mul(before, momentum), gradient) : gradient.clone())))
        move(weights, velocity, rate)
        before?.dispose()
        velocities[index] = velocity
      }
    },
    dispose() {
      for (const each of [rate, momentum, ...velocities]) each?.dispose()
    },
  }
}

function move(weights: Variable, velocity: Tensor, rate: Scalar): void {
  const moved = tidy(() => sub(weights, mul(velocity, rate)))
  weights.assign(moved)
  moved.dispose()
}
