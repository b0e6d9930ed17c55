import type { Activation, Layer } from '#protocol/layers.ts'
import { micro, nano } from './real.ts'

/** Every layer that is trained here, as a function: numbers as people say them in, the protocol's whole numbers out. */

type Kind = Layer['layer']
type Of<K extends Kind> = Extract<Layer, { readonly layer: K }>
/** A layer that has no name yet. */
export type Unnamed = { [K in Kind]: Omit<Of<K>, 'name'> & { readonly name?: string | undefined } }[Kind]

/** What any layer may be told besides: its name, and which layers (or `input`) it takes from instead of the one before it. */
export type Placed = { readonly name?: string; readonly from?: readonly string[] }
type Weighed = Placed & { readonly bias?: false; readonly frozen?: true }
/** One number for both sides, or one for each. */
type Side = number | readonly [number, number]
type Pad = 'valid' | 'same'

/** Layers one after another; one that says `from` takes from these instead, so any graph can be told. Names are made up. */
export function sequential(layers: readonly Unnamed[]): readonly Layer[] {
  const counts = new Map<string, number>()
  return layers.map(({ name, ...layer }) => {
    const count = (counts.get(layer.layer) ?? 0) + 1
    counts.set(layer.layer, count)
    return { ...layer, name: name ?? `${layer.layer}_${count}` } as Layer
  })
}

/** @property adapter trains a low-rank change beside the weights (LoRA), which may then be frozen */
export function dense(
  units: number,
  activation: Activation = 'linear',
  { adapter, ...more }: Weighed & { readonly adapter?: { readonly rank: number; readonly alpha: number } } = {},
): Unnamed {
  const low = adapter && { adapter: { rank: adapter.rank, alphaMicro: micro(adapter.alpha, 'an adapter’s alpha') } }
  return { layer: 'dense', units, activation, ...low, ...more }
}

type Convolved = Weighed & {
  readonly activation?: Activation
  readonly strides?: Side
  readonly padding?: Pad
}

export function conv2d(filters: number, kernel: Side, more: Convolved = {}): Unnamed {
  return { layer: 'conv2d', filters, ...window(kernel, more) }
}

export function depthwiseConv2d(
  kernel: Side,
  { multiplier = 1, ...more }: Convolved & { readonly multiplier?: number } = {},
): Unnamed {
  return { layer: 'depthwiseConv2d', multiplier, ...window(kernel, more) }
}

function window(kernel: Side, { activation = 'linear', strides = 1, padding = 'valid', ...more }: Convolved) {
  return { kernel: pair(kernel), strides: pair(strides), padding, activation, ...more }
}

export function conv1d(
  filters: number,
  kernel: number,
  {
    activation = 'linear',
    stride = 1,
    padding = 'valid',
    ...more
  }: Weighed & {
    readonly activation?: Activation
    readonly stride?: number
    readonly padding?: Pad | 'causal'
  } = {},
): Unnamed {
  return { layer: 'conv1d', filters, kernel, stride, padding, activation, ...more }
}

type Pooled = Placed & { readonly strides?: Side; readonly padding?: 'same' }

export function maxPooling2d(pool: Side = 2, { strides = pool, ...more }: Pooled = {}): Unnamed {
  return { layer: 'maxPooling2d', pool: pair(pool), strides: pair(strides), ...more }
}

export function averagePooling2d(pool: Side = 2, { strides = pool, ...more }: Pooled = {}): Unnamed {
  return { layer: 'averagePooling2d', pool: pair(pool), strides: pair(strides), ...more }
}

type Pooled1d = Placed & { readonly stride?: number; readonly padding?: 'same' }

export function maxPooling1d(pool = 2, { stride = pool, ...more }: Pooled1d = {}): Unnamed {
  return { layer: 'maxPooling1d', pool, stride, ...more }
}

export function averagePooling1d(pool = 2, { stride = pool, ...more }: Pooled1d = {}): Unnamed {
  return { layer: 'averagePooling1d', pool, stride, ...more }
}

/** Over every axis but the last. */
export function globalPooling(of: 'average' | 'max', more: Placed = {}): Unnamed {
  return { layer: 'globalPooling', of, ...more }
}

export function zeroPadding2d(
  { top = 0, bottom = 0, left = 0, right = 0 }: Partial<Record<'top' | 'bottom' | 'left' | 'right', number>>,
  more: Placed = {},
): Unnamed {
  return { layer: 'zeroPadding2d', top, bottom, left, right, ...more }
}

export function flatten(more: Placed = {}): Unnamed {
  return { layer: 'flatten', ...more }
}

export function reshape(shape: readonly number[], more: Placed = {}): Unnamed {
  return { layer: 'reshape', shape, ...more }
}

/** Neighbouring values of the row that is put in, in a shape of their own: of a table and an image, the image. */
export function part(offset: number, shape: readonly number[], more: Placed = {}): Unnamed {
  return { layer: 'part', offset, shape, ...more }
}

/** @property slope of a leaky ReLU below zero */
export function activation(kind: Activation, { slope, ...more }: Placed & { readonly slope?: number } = {}): Unnamed {
  const leaky = slope !== undefined && { slopeMicro: micro(slope, 'a slope') }
  return { layer: 'activation', activation: kind, ...leaky, ...more }
}

export function dropout(rate: number, more: Placed = {}): Unnamed {
  return { layer: 'dropout', rateMicro: micro(rate, 'a dropout rate'), ...more }
}

type Normal = Placed & { readonly epsilon?: number; readonly frozen?: true }

export function batchNormalization({
  momentum = 0.99,
  epsilon = 1e-3,
  ...more
}: Normal & { readonly momentum?: number } = {}): Unnamed {
  const units = { momentumMicro: micro(momentum, 'a momentum'), epsilonNano: nano(epsilon, 'an epsilon') }
  return { layer: 'batchNormalization', ...units, ...more }
}

export function layerNormalization({ epsilon = 1e-3, ...more }: Normal = {}): Unnamed {
  return { layer: 'layerNormalization', epsilonNano: nano(epsilon, 'an epsilon'), ...more }
}

/** Of whole numbers below `vocabulary`: for text, the words and 2. */
export function embedding(vocabulary: number, units: number, more: Placed & { readonly frozen?: true } = {}): Unnamed {
  return { layer: 'embedding', vocabulary, units, ...more }
}

export function positionEmbedding(more: Placed & { readonly frozen?: true } = {}): Unnamed {
  return { layer: 'positionEmbedding', ...more }
}

type Recurrent = Placed & { readonly sequences?: true; readonly backwards?: true; readonly frozen?: true }

export function lstm(units: number, more: Recurrent = {}): Unnamed {
  return { layer: 'lstm', units, ...more }
}

export function simpleRnn(units: number, more: Recurrent = {}): Unnamed {
  return { layer: 'simpleRnn', units, ...more }
}

/** @property resetAfter as Keras has it unless it is told otherwise */
export function gru(units: number, more: Recurrent & { readonly resetAfter?: true } = {}): Unnamed {
  return { layer: 'gru', units, ...more }
}

/**
 * @property from queries, keys and values, in this order
 * @property dropout of what the softmax gives, while training
 */
export function attention(
  heads: number,
  {
    dropout,
    ...more
  }: {
    readonly name?: string
    readonly from: readonly [string, string, string]
    readonly causal?: true
    readonly dropout?: number
  },
): Unnamed {
  const dropped = dropout !== undefined && { dropoutMicro: micro(dropout, 'a dropout rate') }
  return { layer: 'attention', heads, ...dropped, ...more }
}

/** Of layers that are told: `add(['trunk', 'branch'])`. */
export function add(from: readonly string[], more: { readonly name?: string } = {}): Unnamed {
  return { layer: 'add', from, ...more }
}

export function multiply(from: readonly string[], more: { readonly name?: string } = {}): Unnamed {
  return { layer: 'multiply', from, ...more }
}

export function concatenate(from: readonly string[], more: { readonly name?: string } = {}): Unnamed {
  return { layer: 'concatenate', from, ...more }
}

function pair(side: Side): readonly [number, number] {
  return typeof side === 'number' ? [side, side] : side
}
