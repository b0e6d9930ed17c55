import type { z } from 'zod'
import { type Layer, layerSchema } from '../layers.ts'
import { accept, type Result, refuse } from '../result.ts'
import { firstOf } from './json.ts'

/** One of our layers, and how Keras keeps its weights where that is otherwise. */
export type Converted = {
  readonly layer: Layer
  /** What the kernel is called. */
  readonly kernel?: string
  /** What the layer within a layer is called. */
  readonly inner?: string
  /** Shapes of the same values in the same order, by what comes after the layer's name. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>
}
/** What a layer is called, the shapes of what it takes, and what these are called. */
export type Told = {
  readonly name: string
  readonly from: readonly (readonly number[])[]
  readonly sources: readonly string[]
}
export type Convert = (config: unknown, told: Told) => Result<readonly Converted[], 'unsupported-option'>

/** @param make of checked options; undefined where they cannot be said here */
export function of<S extends z.ZodType>(
  schema: S,
  make: (config: z.output<S>, told: Told) => Layer | readonly Converted[] | string,
): Convert {
  return (config, told) => {
    const read = schema.safeParse(config)
    if (!read.success) return refuse('unsupported-option', `${told.name}: ${firstOf(read.error)}`)
    const made = make(read.data, told)
    if (typeof made === 'string') return refuse('unsupported-option', `${told.name}: ${made}`)
    const layers = 'layer' in made ? [{ layer: made }] : made
    for (const { layer } of layers) {
      const checked = layerSchema.safeParse(layer)
      if (!checked.success) return refuse('unsupported-option', `${told.name}: ${firstOf(checked.error)}`)
    }
    return accept(layers)
  }
}

export type Weighed = { readonly trainable: boolean; readonly use_bias?: boolean | null | undefined }
export const frozenOf = ({ trainable }: Weighed) => (trainable ? {} : { frozen: true as const })
export const optionsOf = (config: Weighed) => ({
  ...(config.use_bias === false ? { bias: false as const } : {}),
  ...frozenOf(config),
})
