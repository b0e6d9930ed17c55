import { LEAKY_SLOPE } from '../activations.ts'
import { type Architecture, INPUT, layersOf, sourcesOf } from '../architecture.ts'
import type { Layer } from '../layers.ts'
import { accept, type Result, refuse } from '../result.ts'
import { sizeOf } from '../shapes.ts'

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/**
 * The model as a LayersModel's topology, to be trained on or served elsewhere; weights have the names `<layer>/<part>` in
 * both, but for a depthwise kernel. What TF.js has no layer for is refused.
 */
export function topologyOf(architecture: Architecture): Result<Json, 'no-counterpart'> {
  const sources = sourcesOf(architecture)
  const shapes = layersOf(architecture)
  const inputs = inputsOf(architecture)
  if (!inputs)
    return refuse('no-counterpart', 'what is put in is whole, or parts that leave nothing out, in their order')
  const layers: Json[] = inputs.map(({ name, shape }) => ({
    ...{ class_name: 'InputLayer', name, inbound_nodes: [] },
    config: { name, batch_input_shape: [null, ...shape], dtype: 'float32', sparse: false },
  }))
  for (const [index, layer] of architecture.layers.entries()) {
    if (inputs.some(({ name }) => name === layer.name)) continue
    const options = optionsOf(layer, shapes[index]?.from[0] ?? [])
    if (!options) return refuse('no-counterpart', `${layer.name} (${layer.layer}) has none in TF.js`)
    const { class_name, ...config } = options
    const from = (sources[index] as readonly string[]).map((source) => [source === INPUT ? WHOLE : source, 0, 0, {}])
    const trainable = !('frozen' in layer && layer.frozen)
    layers.push({
      ...{ class_name, name: layer.name, config: { name: layer.name, trainable, ...config } },
      inbound_nodes: [from],
    })
  }
  return accept({
    ...{ class_name: 'Model', keras_version: 'tfjs-layers 4.22.0', backend: 'tensor_flow.js' },
    config: {
      ...{ name: 'model', layers },
      input_layers: inputs.map(({ name }) => [name, 0, 0]),
      output_layers: [[architecture.layers.at(-1)?.name ?? '', 0, 0]],
    },
  })
}

/** Called as no layer is, since none may be called `input`. */
const WHOLE = INPUT

type Put = { readonly name: string; readonly shape: readonly number[] }

/** The row as it is, or the parts that it is made of; undefined where it is used in another way. */
function inputsOf(architecture: Architecture): readonly Put[] | undefined {
  const sources = sourcesOf(architecture)
  const takers = architecture.layers.filter((_, index) => sources[index]?.includes(INPUT))
  if (!takers.some(({ layer }) => layer === 'part')) return [{ name: WHOLE, shape: architecture.input }]
  let offset = 0
  const parts: Put[] = []
  for (const layer of takers) {
    if (layer.layer !== 'part' || layer.offset !== offset) return undefined
    parts.push({ name: layer.name, shape: layer.shape })
    offset += sizeOf(layer)
  }
  return offset === sizeOf({ shape: architecture.input }) ? parts : undefined
}

type Options = { readonly class_name: string; readonly [key: string]: Json }

function optionsOf(layer: Layer, from: readonly number[]): Options | undefined {
  switch (layer.layer) {
    case 'dense':
      if (layer.adapter) return undefined
      return weighed(layer, { class_name: 'Dense', units: layer.units })
    case 'conv2d':
      return weighed(layer, { class_name: 'Conv2D', filters: layer.filters, ...window(layer) })
    case 'depthwiseConv2d':
      return weighed(layer, { class_name: 'DepthwiseConv2D', depth_multiplier: layer.multiplier, ...window(layer) })
    case 'conv1d': {
      const { filters, kernel, stride, padding } = layer
      return weighed(layer, { class_name: 'Conv1D', filters, kernel_size: [kernel], strides: [stride], padding })
    }
    case 'maxPooling2d':
    case 'averagePooling2d': {
      const { pool: pool_size, strides, padding = 'valid' } = layer
      const class_name = layer.layer === 'maxPooling2d' ? 'MaxPooling2D' : 'AveragePooling2D'
      return { class_name, pool_size, strides, padding, data_format: LAST }
    }
    case 'maxPooling1d':
    case 'averagePooling1d': {
      const class_name = layer.layer === 'maxPooling1d' ? 'MaxPooling1D' : 'AveragePooling1D'
      return { class_name, pool_size: [layer.pool], strides: [layer.stride], padding: layer.padding ?? 'valid' }
    }
    case 'globalPooling': {
      const kind = layer.of === 'max' ? 'GlobalMaxPooling' : 'GlobalAveragePooling'
      return from.length === 3 ? { class_name: `${kind}2D`, data_format: LAST } : { class_name: `${kind}1D` }
    }
    case 'zeroPadding2d': {
      const padding = [
        [layer.top, layer.bottom],
        [layer.left, layer.right],
      ]
      return { class_name: 'ZeroPadding2D', padding, data_format: LAST }
    }
    case 'flatten':
      return { class_name: 'Flatten' }
    case 'reshape':
      return { class_name: 'Reshape', target_shape: layer.shape }
    case 'activation':
      if (layer.activation !== 'leakyRelu') return { class_name: 'Activation', activation: snake(layer.activation) }
      return { class_name: 'LeakyReLU', alpha: layer.slopeMicro === undefined ? LEAKY_SLOPE : layer.slopeMicro / 1e6 }
    case 'dropout':
      return { class_name: 'Dropout', rate: layer.rateMicro / 1e6, noise_shape: null, seed: null }
    case 'batchNormalization': {
      const shared = { axis: -1, epsilon: layer.epsilonNano / 1e9, center: true, scale: true }
      return { class_name: 'BatchNormalization', momentum: layer.momentumMicro / 1e6, ...shared }
    }
    case 'layerNormalization':
      return { class_name: 'LayerNormalization', axis: -1, epsilon: layer.epsilonNano / 1e9, center: true, scale: true }
    case 'embedding': {
      const sizes = { input_dim: layer.vocabulary, output_dim: layer.units, input_length: null }
      return { class_name: 'Embedding', ...sizes, mask_zero: false }
    }
    case 'lstm':
    case 'gru':
    case 'simpleRnn':
      return recurrent(layer)
    case 'add':
      return { class_name: 'Add' }
    case 'multiply':
      return { class_name: 'Multiply' }
    case 'concatenate':
      return { class_name: 'Concatenate', axis: -1 }
    case 'part':
    case 'positionEmbedding':
    case 'attention':
      return undefined
  }
}

const LAST = 'channels_last'

type Of<K extends Layer['layer']> = Extract<Layer, { layer: K }>

function window({ kernel, strides, padding }: Of<'conv2d' | 'depthwiseConv2d'>) {
  return { kernel_size: kernel, strides, padding, data_format: LAST, dilation_rate: [1, 1] }
}

/** A leaky ReLU is a layer of its own there. */
function weighed(layer: Of<'dense' | 'conv1d' | 'conv2d' | 'depthwiseConv2d'>, options: Options): Options | undefined {
  if (layer.activation === 'leakyRelu') return undefined
  return { ...options, activation: snake(layer.activation), use_bias: layer.bias !== false }
}

/** Keras turns what a layer puts out that goes backwards; here each step's stays in its place. */
function recurrent(layer: Of<'lstm' | 'gru' | 'simpleRnn'>): Options | undefined {
  const { units, sequences = false, backwards = false } = layer
  if ((sequences && backwards) || ('resetAfter' in layer && layer.resetAfter)) return undefined
  // Its own start would be an orthogonal matrix, which costs it minutes and is overwritten.
  const shared = {
    ...{ units, activation: 'tanh', use_bias: true, recurrent_initializer: ZEROS },
    ...{ return_sequences: sequences, go_backwards: backwards },
  }
  if (layer.layer === 'simpleRnn') return { class_name: 'SimpleRNN', ...shared }
  const gates = { recurrent_activation: 'sigmoid' }
  return layer.layer === 'lstm'
    ? { class_name: 'LSTM', ...shared, ...gates, unit_forget_bias: true }
    : { class_name: 'GRU', ...shared, ...gates, reset_after: false }
}

const ZEROS = { class_name: 'Zeros', config: {} }

function snake(activation: string): string {
  return activation.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
