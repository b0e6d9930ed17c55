import { z } from 'zod'
import { count } from './codec.ts'
import { layerSchema } from './layers.ts'
import { LAYERS_MAX } from './limits.ts'

/**
 * A model's architecture as data: a graph of layers in an order in which they can be worked out, so that it is signed and
 * addressed like everything else. The last layer's output is the model's.
 */
export const architectureSchema = z.strictObject({
  v: z.literal(1),
  input: z.array(count(1_000_000, 1)).min(1).max(3).readonly(),
  layers: z.array(layerSchema).min(1).max(LAYERS_MAX).readonly(),
})
