import { z } from 'zod'
import { assert } from './assert.ts'
import { count, nameField } from './codec.ts'
import { LAYERS_MAX, NAME_CHARS_MAX, PARAMETERS_MAX } from './limits.ts'
import { accept, type Result, refuse } from './result.ts'

/**
 * A model's architecture as data: a chain of layers, integers only, so that it is signed and addressed like everything
 * else. Every layer here has had its gradients checked on every backend that trains it; what is not here is refused.
 */
const side = count(4096, 1)
const pair = z.tuple([side, side]).readonly()
/** Leaves room for what a tensor's name adds to its layer's. */
const layerName = nameField.max(NAME_CHARS_MAX - '/kernel'.length)
const activation = z.enum(['linear', 'relu', 'tanh', 'sigmoid'])

const conv2d = z.strictObject({
  layer: z.literal('conv2d'),
  name: layerName,
  filters: count(65_536, 1),
  kernel: pair,
  strides: pair,
  padding: z.enum(['valid', 'same']),
  activation,
})
const maxPooling2d = z.strictObject({ layer: z.literal('maxPooling2d'), name: layerName, pool: pair, strides: pair })
const flatten = z.strictObject({ layer: z.literal('flatten'), name: layerName })
const dense = z.strictObject({ layer: z.literal('dense'), name: layerName, units: count(1_000_000, 1), activation })

export const layerSchema = z.discriminatedUnion('layer', [conv2d, maxPooling2d, flatten, dense])
export const architectureSchema = z.strictObject({
  v: z.literal(1),
  input: z.array(count(1_000_000, 1)).min(1).max(3).readonly(),
  layers: z.array(layerSchema).min(1).max(LAYERS_MAX).readonly(),
})

export type Layer = z.output<typeof layerSchema>
export type Architecture = z.output<typeof architectureSchema>

/** `trainable` weights move by the aggregate; `moving` statistics have their own range (no built-in layer has any yet). */
export type Tensor = {
  readonly name: string
  readonly shape: readonly number[]
  readonly role: 'trainable' | 'moving'
  /** Units in and out, for the initialiser; undefined for a bias, which starts at zero. */
  readonly fan?: { readonly in: number; readonly out: number }
}

export type ArchitectureRefusal = 'bad-shape' | 'duplicate-layer' | 'too-many-parameters'

/** The tensors in the order of the weights file, and the shape that comes out: shape inference without a framework. */
export function shapeOf(
  architecture: Architecture,
): Result<
  { readonly tensors: readonly Tensor[]; readonly output: readonly number[]; readonly parameters: number },
  ArchitectureRefusal
> {
  const names = new Set<string>()
  const tensors: Tensor[] = []
  let shape: readonly number[] = architecture.input
  for (const layer of architecture.layers) {
    if (names.has(layer.name)) return refuse('duplicate-layer', layer.name)
    names.add(layer.name)
    const next = infer(layer, shape)
    if (!next) return refuse('bad-shape', `${layer.name} (${layer.layer}) cannot take [${shape.join(', ')}]`)
    tensors.push(...next.tensors)
    shape = next.shape
  }
  const parameters = tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0)
  if (parameters > PARAMETERS_MAX) return refuse('too-many-parameters', `${parameters}, at most ${PARAMETERS_MAX}`)
  return accept({ tensors, output: shape, parameters })
}

/** One layer of an architecture whose shapes fit: what it takes, what it puts out, and its weights. */
export type LayerShape = {
  readonly layer: Layer
  readonly from: readonly number[]
  readonly shape: readonly number[]
  readonly tensors: readonly Tensor[]
}

/** Layer by layer, of an architecture that {@link shapeOf} took. */
export function layersOf({ input, layers }: Architecture): readonly LayerShape[] {
  let from: readonly number[] = input
  return layers.map((layer) => {
    const next = infer(layer, from)
    assert(next, 'the shapes fit')
    const here = { layer, from, ...next }
    from = next.shape
    return here
  })
}

/** Elements of a tensor. */
export function sizeOf(tensor: { readonly shape: readonly number[] }): number {
  return tensor.shape.reduce((product, side) => product * side, 1)
}

function infer(layer: Layer, shape: readonly number[]): { tensors: Tensor[]; shape: readonly number[] } | undefined {
  const [height, width, channels] = shape
  switch (layer.layer) {
    case 'flatten':
      return { tensors: [], shape: [sizeOf({ shape })] }
    case 'dense': {
      if (shape.length !== 1 || height === undefined) return undefined
      return {
        tensors: weights(layer.name, [height, layer.units], { in: height, out: layer.units }),
        shape: [layer.units],
      }
    }
    case 'conv2d': {
      if (height === undefined || width === undefined || channels === undefined) return undefined
      const [rows, columns] = layer.kernel
      const same = layer.padding === 'same'
      const out = [slide(height, rows, layer.strides[0], same), slide(width, columns, layer.strides[1], same)]
      if (out.some((side) => side < 1)) return undefined
      const fan = { in: rows * columns * channels, out: rows * columns * layer.filters }
      return {
        tensors: weights(layer.name, [rows, columns, channels, layer.filters], fan),
        shape: [...out, layer.filters],
      }
    }
    case 'maxPooling2d': {
      if (height === undefined || width === undefined || channels === undefined) return undefined
      const out = [
        slide(height, layer.pool[0], layer.strides[0], false),
        slide(width, layer.pool[1], layer.strides[1], false),
      ]
      return out.some((side) => side < 1) ? undefined : { tensors: [], shape: [...out, channels] }
    }
  }
}

function weights(name: string, kernel: readonly number[], fan: { in: number; out: number }): Tensor[] {
  return [
    { name: `${name}/kernel`, shape: kernel, role: 'trainable', fan },
    { name: `${name}/bias`, shape: [kernel[kernel.length - 1] as number], role: 'trainable' },
  ]
}

/** Positions of a window that slides over `side`. */
function slide(side: number, window: number, stride: number, same: boolean): number {
  return same ? Math.ceil(side / stride) : Math.floor((side - window) / stride) + 1
}
