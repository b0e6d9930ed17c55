import { z } from 'zod'
import { type Converted, of, optionsOf } from './conversion.ts'
import { absent, common, ignored, only, real, weighed } from './options.ts'

const UNMASKED = 'steps are not masked: leave it out'

/**
 * Four dense layers around what we call attention, which is exact: a kernel [width, heads, depth] is one of [width, heads · depth] to
 * the value. It takes queries, values and, where they are no values, keys.
 */
export const multiHeadAttention = of(
  z.strictObject({
    ...common,
    ...weighed('kernel', 'bias'),
    num_heads: z.int().min(1),
    key_dim: z.int().min(1),
    value_dim: z.int().min(1).nullish(),
    dropout: real(0.999_999).default(0),
    use_bias: z.boolean().default(true),
    output_shape: z.union([z.int(), z.tuple([z.int()]).transform(([one]) => one), z.null()], 'one number').optional(),
    attention_axes: z
      .union([z.literal(1), z.tuple([z.literal(1)]), z.null()], 'steps alone: Reshape what it takes to [steps, width]')
      .optional(),
    use_gate: only(false, 'leave it false'),
    sliding_window: absent('every step is seen: leave it out'),
    ...{ flash_attention: ignored, query_shape: ignored, key_shape: ignored, value_shape: ignored },
    /** What it was told when it was called. */
    called: z.strictObject(
      {
        use_causal_mask: z.boolean().default(false),
        return_attention_scores: only(false, 'only what a layer puts out is passed on'),
        attention_mask: absent(UNMASKED),
        ...{ query_mask: absent(UNMASKED), key_mask: absent(UNMASKED), value_mask: absent(UNMASKED) },
      },
      'it takes queries and values: make a functional model',
    ),
  }),
  (config, { name, from, sources }) => {
    const { num_heads: heads, key_dim: depth, called } = config
    const width = config.value_dim ?? depth
    const units = config.output_shape ?? from[0]?.at(-1) ?? 0
    const dense = { layer: 'dense', activation: 'linear', ...optionsOf(config) } as const
    const side = (part: string, at: number, size: number) => ({
      layer: { ...dense, name: `${name}_${part}`, from: [sources[at] as string], units: heads * size },
      ...{ inner: part, shapes: { kernel: [from[at]?.at(-1) ?? 0, heads, size], bias: [heads, size] } },
    })
    const sides = [side('query', 0, depth), side('key', from.length - 1, depth), side('value', 1, width)]
    const attention: Converted = {
      layer: {
        ...{ layer: 'attention', name: `${name}_heads`, from: sides.map(({ layer }) => layer.name), heads },
        ...(called.use_causal_mask && { causal: true }),
        ...(config.dropout > 0 && { dropoutMicro: Math.max(1, Math.round(config.dropout * 1e6)) }),
      },
    }
    const out = { ...dense, name, from: [attention.layer.name], units }
    const kept = { inner: 'attention_output', shapes: { kernel: [heads, width, units] } }
    return [...sides, attention, { layer: out, ...kept }]
  },
)
