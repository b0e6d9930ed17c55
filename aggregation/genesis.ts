import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { genesisSeed } from '#protocol/seeds.ts'
import { type Start, sizeOf } from '#protocol/shapes.ts'
import { unitStream } from './rng.ts'

/**
 * The weights that round 1 starts from, where a task brings none. Each tensor has a stream of its own, so a new layer
 * changes no other's start.
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
    fill(weights.subarray(at, end), tensor.start, genesisSeed(taskSeed, index))
    at = end
  }
  return weights
}

function fill(values: Float32Array, start: Start, seed: Bytes): void {
  switch (start.kind) {
    case 'fill':
      values.fill(start.value)
      return
    case 'forget':
      values.fill(1, values.length / 4, values.length / 2)
      return
    case 'glorot':
      return spread(values, Math.sqrt(6 / (start.in + start.out)), seed)
    case 'uniform':
      return spread(values, start.limit, seed)
  }
}

function spread(values: Float32Array, limit: number, seed: Bytes): void {
  const unit = unitStream(seed)
  for (let at = 0; at < values.length; at++) values[at] = (2 * unit() - 1) * limit
}
