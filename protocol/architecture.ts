import type { z } from 'zod'
import type { architectureSchema } from './architecture-schema.ts'
import { assert } from './assert.ts'
import type { Layer } from './layers.ts'
import { PARAMETERS_MAX } from './limits.ts'
import { accept, type Result, refuse } from './result.ts'
import { infer, sizeOf, type Tensor } from './shapes.ts'

/** What is put into a model, as a layer names it. */
export const INPUT = 'input'

/**
 * What follows from it is worked out without a package, so that clients which load none know what a model is; its schema has
 * a file of its own.
 */
export type Architecture = z.output<typeof architectureSchema>

/** What follows from an architecture whose layers fit together. */
export type Shape = {
  /** In the order of the weights file: trainable, then moving, then frozen ones, each in the order of the layers. */
  readonly tensors: readonly Tensor[]
  readonly output: readonly number[]
  /** Floats of the weights file. */
  readonly parameters: number
  /** Those that an update moves: all but the frozen ones, so the first of the file. */
  readonly trained: number
  /** Moving statistics among those: the last of them. */
  readonly moving: number
}

export type ArchitectureRefusal =
  | 'bad-shape'
  | 'duplicate-layer'
  | 'unknown-source'
  | 'loose-layer'
  | 'learned-places'
  | 'too-many-parameters'

/** One layer, what it takes, what it puts out, and its weights. */
export type LayerShape = {
  readonly layer: Layer
  readonly from: readonly (readonly number[])[]
  readonly shape: readonly number[]
  readonly tensors: readonly Tensor[]
}

const ROLES = ['trainable', 'moving', 'frozen'] as const

/** Shape inference without a framework. */
export function shapeOf(architecture: Architecture): Result<Shape, ArchitectureRefusal> {
  const layers = inferAll(architecture)
  if (!layers.ok) return layers
  const all = layers.value.flatMap(({ tensors }) => tensors)
  const tensors = ROLES.flatMap((role) => all.filter((tensor) => tensor.role === role))
  const parameters = sum(tensors)
  if (parameters > PARAMETERS_MAX) return refuse('too-many-parameters', `${parameters}, at most ${PARAMETERS_MAX}`)
  const output = layers.value.at(-1)?.shape
  assert(output, 'an architecture has a layer')
  const moving = sum(tensors.filter(({ role }) => role === 'moving'))
  const trained = moving + sum(tensors.filter(({ role }) => role === 'trainable'))
  return accept({ tensors, output, parameters, trained, moving })
}

/** Layer by layer, of an architecture that {@link shapeOf} took. */
export function layersOf(architecture: Architecture): readonly LayerShape[] {
  const layers = inferAll(architecture)
  assert(layers.ok, 'the shapes fit')
  return layers.value
}

/** Names of what each layer takes, in the order of the layers. */
export function sourcesOf({ layers }: Architecture): readonly (readonly string[])[] {
  return layers.map((layer, index) => layer.from ?? [layers[index - 1]?.name ?? INPUT])
}

function inferAll(architecture: Architecture): Result<readonly LayerShape[], ArchitectureRefusal> {
  const known = new Map<string, readonly number[]>([[INPUT, architecture.input]])
  const sources = sourcesOf(architecture)
  const taken = new Set<string>()
  const learned = new Set<string>()
  const inferred: LayerShape[] = []
  for (const [index, layer] of architecture.layers.entries()) {
    const { name } = layer
    if (known.has(name)) return refuse('duplicate-layer', name)
    const from: (readonly number[])[] = []
    for (const source of sources[index] as readonly string[]) {
      const shape = known.get(source)
      if (!shape) return refuse('unknown-source', `${name} takes ${source}, which no layer before it is called`)
      taken.add(source)
      from.push(shape)
    }
    const through = (sources[index] as readonly string[]).find((source) => learned.has(source))
    // Whole numbers have no slope, so nothing before them could learn.
    if (layer.layer === 'embedding' && through !== undefined)
      return refuse('learned-places', `${name} looks up places that ${through} works out by weights`)
    const next = infer(layer, from)
    if (!next)
      return refuse(
        'bad-shape',
        `${name} (${layer.layer}) cannot take ${from.map((each) => `[${each.join(', ')}]`).join(' and ')}`,
      )
    if (through !== undefined || next.tensors.length > 0) learned.add(name)
    inferred.push({ layer, from, ...next })
    known.set(name, next.shape)
  }
  const loose = architecture.layers.slice(0, -1).find(({ name }) => !taken.has(name))
  return loose ? refuse('loose-layer', `nothing takes what ${loose.name} puts out`) : accept(inferred)
}

function sum(tensors: readonly Tensor[]): number {
  return tensors.reduce((total, tensor) => total + sizeOf(tensor), 0)
}
