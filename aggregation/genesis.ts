import { type Architecture, shapeOf, sizeOf } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { genesisSeed } from '#protocol/seeds.ts'
import { unitStream } from './rng.ts'

/**
 * The weights that round 1 starts from. Kernels are Glorot uniform, ±√(6 / (fan in + fan out)) (Glorot and Bengio 2010,
 * equation 16); biases are zero. Each tensor has a stream of its own, so a new layer changes no other's start.
 *
 * @param architecture one that {@link shapeOf} accepts
 */
export function genesisWeights(architecture: Architecture, taskSeed: Bytes): Float32Array {
  const shape = shapeOf(architecture)
  assert(shape.ok, 'a model starts from a sound architecture')
  const weights = new Float32Array(shape.value.parameters)
  let at = 0
  for (const [index, tensor] of shape.value.tensors.entries()) {
    const end = at + sizeOf(tensor)
    if (tensor.fan) {
      const limit = Math.sqrt(6 / (tensor.fan.in + tensor.fan.out))
      const unit = unitStream(genesisSeed(taskSeed, index))
      for (let i = at; i < end; i++) weights[i] = (2 * unit() - 1) * limit
    }
    at = end
  }
  return weights
}
