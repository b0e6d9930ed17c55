import { add, cast, clipByValue, gather, type Tensor } from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import type { Pass } from './pass.ts'

/**
 * Rows of a table by whole numbers, which come as floats like every input. One outside the table is read as the nearest
 * inside, and a fraction is cut off, whatever the backend does with such places.
 */
export function applyEmbedding(
  { vocabulary }: Extract<Layer, { layer: 'embedding' }>,
  x: Tensor,
  { weight }: Pass,
): Tensor {
  return gather(weight('embeddings'), cast(clipByValue(x, 0, vocabulary - 1), 'int32'))
}

export function applyPositionEmbedding(x: Tensor, { weight }: Pass): Tensor {
  return add(x, weight('embeddings'))
}
