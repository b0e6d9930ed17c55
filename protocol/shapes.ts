import type { Layer } from './layers.ts'
import { ELEMENTS_MAX } from './limits.ts'

/** What shape one layer gives its inputs, and which weights it has. Shapes are of one row: no axis counts the rows. */
export type Tensor = {
  readonly name: string
  readonly shape: readonly number[]
  /** `moving` are statistics that training keeps, and that are averaged as the trainable weights are. */
  readonly role: 'trainable' | 'moving' | 'frozen'
  readonly start: Start
}

/** How a tensor's first values are made. */
export type Start =
  | { readonly kind: 'fill'; readonly value: 0 | 1 }
  /** Uniform, ±√(6 / (in + out)): Glorot and Bengio 2010, equation 16. */
  | { readonly kind: 'glorot'; readonly in: number; readonly out: number }
  /** Uniform, ±limit. */
  | { readonly kind: 'uniform'; readonly limit: number }
  /** Zeros, and ones for the second of four gates: Jozefowicz et al. 2015, §2.2. */
  | { readonly kind: 'forget' }

type Sides = readonly number[]
type Inferred = { readonly tensors: readonly Tensor[]; readonly shape: Sides }

/** Elements of a tensor. */
export function sizeOf(tensor: { readonly shape: Sides }): number {
  return tensor.shape.reduce((product, side) => product * side, 1)
}

/** @returns undefined where the layer cannot take these */
export function infer(layer: Layer, from: readonly Sides[]): Inferred | undefined {
  const inferred = inferAny(layer, from)
  return inferred && sizeOf(inferred) <= ELEMENTS_MAX ? inferred : undefined
}

function inferAny(layer: Layer, from: readonly Sides[]): Inferred | undefined {
  const [first] = from
  if (!first) return undefined
  switch (layer.layer) {
    case 'add':
    case 'multiply':
      return from.length > 1 && from.every((each) => String(each) === String(first)) ? plain(first) : undefined
    case 'concatenate': {
      const fits = from.length > 1 && from.every((each) => String(each.slice(0, -1)) === String(first.slice(0, -1)))
      const last = from.reduce((total, each) => total + (each.at(-1) as number), 0)
      return fits ? plain([...first.slice(0, -1), last]) : undefined
    }
    case 'attention':
      return inferAttention(layer, from)
    default:
      return from.length === 1 ? inferOne(layer, first) : undefined
  }
}

type One = Exclude<Layer, { layer: 'add' | 'multiply' | 'concatenate' | 'attention' }>

function inferOne(layer: One, shape: Sides): Inferred | undefined {
  switch (layer.layer) {
    case 'activation':
    case 'dropout':
      return plain(shape)
    case 'flatten':
      return plain([sizeOf({ shape })])
    case 'reshape':
      return sizeOf({ shape }) === sizeOf(layer) ? plain(layer.shape) : undefined
    case 'part':
      return layer.offset + sizeOf(layer) <= sizeOf({ shape }) ? plain(layer.shape) : undefined
    case 'globalPooling':
      return shape.length > 1 ? plain(shape.slice(-1)) : undefined
    case 'dense':
      return inferDense(layer, shape)
    case 'conv1d':
      return inferConv1d(layer, shape)
    case 'conv2d':
    case 'depthwiseConv2d':
      return inferConv2d(layer, shape)
    case 'maxPooling1d':
    case 'averagePooling1d': {
      const [steps, channels] = shape
      if (shape.length !== 2 || steps === undefined || channels === undefined) return undefined
      const out = slide(steps, layer.pool, layer.stride, layer.padding === 'same')
      return out < 1 ? undefined : plain([out, channels])
    }
    case 'maxPooling2d':
    case 'averagePooling2d': {
      const out = slideOver(shape, layer.pool, layer.strides, layer.padding === 'same')
      return out && plain([...out, shape[2] as number])
    }
    case 'zeroPadding2d': {
      const [height, width, channels] = shape
      if (height === undefined || width === undefined || channels === undefined) return undefined
      return plain([height + layer.top + layer.bottom, width + layer.left + layer.right, channels])
    }
    case 'batchNormalization':
    case 'layerNormalization':
      return inferNormalization(layer, shape)
    case 'embedding': {
      if (shape.length !== 1) return undefined
      const table = tensor(layer, 'embeddings', [layer.vocabulary, layer.units], { kind: 'uniform', limit: 0.05 })
      return { tensors: [table], shape: [...shape, layer.units] }
    }
    case 'positionEmbedding':
      if (shape.length !== 2) return undefined
      return { tensors: [tensor(layer, 'embeddings', shape, { kind: 'uniform', limit: 0.05 })], shape }
    case 'lstm':
    case 'gru':
    case 'simpleRnn':
      return inferRecurrent(layer, shape)
  }
}

type Of<K extends Layer['layer']> = Extract<Layer, { layer: K }>

function inferDense(layer: Of<'dense'>, shape: Sides): Inferred {
  const width = shape.at(-1) as number
  const { units, adapter } = layer
  const tensors = weights(layer, [width, units], { in: width, out: units })
  // The adapter adds nothing at first: Hu et al. 2021, §4.1.
  const adapted = adapter
    ? [
        tensor({ name: layer.name }, 'lora_a', [width, adapter.rank], { kind: 'uniform', limit: 1 / Math.sqrt(width) }),
        tensor({ name: layer.name }, 'lora_b', [adapter.rank, units], ZEROS),
      ]
    : []
  return { tensors: [...tensors, ...adapted], shape: [...shape.slice(0, -1), units] }
}

function inferConv1d(layer: Of<'conv1d'>, shape: Sides): Inferred | undefined {
  const [steps, channels] = shape
  if (shape.length !== 2 || steps === undefined || channels === undefined) return undefined
  const { kernel, filters } = layer
  const out = slide(steps, kernel, layer.stride, layer.padding !== 'valid')
  if (out < 1) return undefined
  const fan = { in: kernel * channels, out: kernel * filters }
  return { tensors: weights(layer, [kernel, channels, filters], fan), shape: [out, filters] }
}

function inferConv2d(layer: Of<'conv2d' | 'depthwiseConv2d'>, shape: Sides): Inferred | undefined {
  const [rows, columns] = layer.kernel
  const out = slideOver(shape, layer.kernel, layer.strides, layer.padding === 'same')
  if (!out) return undefined
  const channels = shape[2] as number
  if (layer.layer === 'depthwiseConv2d') {
    const { multiplier } = layer
    const fan = { in: rows * columns, out: rows * columns * multiplier }
    const kernel = [rows, columns, channels, multiplier]
    return { tensors: weights(layer, kernel, fan, channels * multiplier), shape: [...out, channels * multiplier] }
  }
  const fan = { in: rows * columns * channels, out: rows * columns * layer.filters }
  return { tensors: weights(layer, [rows, columns, channels, layer.filters], fan), shape: [...out, layer.filters] }
}

function inferNormalization(layer: Of<'batchNormalization' | 'layerNormalization'>, shape: Sides): Inferred {
  const side = [shape.at(-1) as number]
  const scaled = [tensor(layer, 'gamma', side, ONES), tensor(layer, 'beta', side, ZEROS)]
  if (layer.layer === 'layerNormalization') return { tensors: scaled, shape }
  const role = layer.frozen ? 'frozen' : 'moving'
  const moving = [
    { ...tensor(layer, 'moving_mean', side, ZEROS), role } as const,
    { ...tensor(layer, 'moving_variance', side, ONES), role } as const,
  ]
  return { tensors: [...scaled, ...moving], shape }
}

/** Columns of a kernel for each unit. */
const GATES = { lstm: 4, gru: 3, simpleRnn: 1 } as const

function inferRecurrent(layer: Of<'lstm' | 'gru' | 'simpleRnn'>, shape: Sides): Inferred | undefined {
  const [steps, width] = shape
  if (shape.length !== 2 || steps === undefined || width === undefined) return undefined
  const { units } = layer
  const gates = GATES[layer.layer]
  const tensors = [
    tensor(layer, 'kernel', [width, gates * units], { kind: 'glorot', in: width, out: gates * units }),
    tensor(layer, 'recurrent_kernel', [units, gates * units], { kind: 'glorot', in: units, out: gates * units }),
    // Of what is put in and of what the step before put out, where each has its own.
    tensor(
      layer,
      'bias',
      'resetAfter' in layer && layer.resetAfter ? [2, gates * units] : [gates * units],
      layer.layer === 'lstm' ? { kind: 'forget' } : ZEROS,
    ),
  ]
  return { tensors, shape: layer.sequences ? [steps, units] : [units] }
}

function inferAttention({ heads }: Of<'attention'>, from: readonly Sides[]): Inferred | undefined {
  const [queries, keys, values] = from
  if (from.length !== 3 || !queries || !keys || !values) return undefined
  if (from.some((each) => each.length !== 2 || (each[1] as number) % heads !== 0)) return undefined
  if (queries[1] !== keys[1] || keys[0] !== values[0]) return undefined
  return plain([queries[0] as number, values[1] as number])
}

const ZEROS: Start = { kind: 'fill', value: 0 }
const ONES: Start = { kind: 'fill', value: 1 }

function plain(shape: Sides): Inferred {
  return { tensors: [], shape }
}

function tensor(
  { name, frozen }: { readonly name: string; readonly frozen?: true | undefined },
  part: string,
  shape: Sides,
  start: Start,
): Tensor {
  return { name: `${name}/${part}`, shape, role: frozen ? 'frozen' : 'trainable', start }
}

type Weighed = { readonly name: string; readonly frozen?: true | undefined; readonly bias?: false | undefined }

/** @param out how many biases there are */
function weights(
  layer: Weighed,
  kernel: Sides,
  fan: { readonly in: number; readonly out: number },
  out = kernel.at(-1),
): Tensor[] {
  const filter = tensor(layer, 'kernel', kernel, { kind: 'glorot', ...fan })
  return layer.bias === false ? [filter] : [filter, tensor(layer, 'bias', [out as number], ZEROS)]
}

function slideOver(shape: Sides, window: readonly [number, number], strides: readonly [number, number], same: boolean) {
  const [height, width] = shape
  if (shape.length !== 3 || height === undefined || width === undefined) return undefined
  const out = [slide(height, window[0], strides[0], same), slide(width, window[1], strides[1], same)]
  return out.some((side) => side < 1) ? undefined : out
}

/** Positions of a window that slides over `side`. */
function slide(side: number, window: number, stride: number, same: boolean): number {
  return same ? Math.ceil(side / stride) : Math.floor((side - window) / stride) + 1
}
