import { add, pad, reshape, type Tensor } from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import { run } from '../gradients.ts'
import { activate, activateRest, fusedOf } from './activation.ts'
import { type Pass, rowsOf } from './pass.ts'

type Of<K extends Layer['layer']> = Extract<Layer, { layer: K }>
type Weighed = Of<'conv1d' | 'conv2d' | 'depthwiseConv2d'>

export function applyConv2d(layer: Of<'conv2d'>, x: Tensor, { weight }: Pass): Tensor {
  return convolve(layer, { x, filter: weight('kernel'), ...biasOf(layer, weight) }, layer.strides, layer.padding)
}

/** An image one pixel high. */
export function applyConv1d(layer: Of<'conv1d'>, x: Tensor, { weight }: Pass): Tensor {
  const { kernel, stride, padding, filters } = layer
  const seen = padding === 'causal' ? pad(x, [...[[0, 0] as const], [kernel - 1, 0], [0, 0]] as Sides) : x
  const [rows, steps, channels] = seen.shape as [number, number, number]
  const image = reshape(seen, [rows, 1, steps, channels])
  const filter = reshape(weight('kernel'), [1, kernel, channels, filters])
  const inputs = { x: image, filter, ...biasOf(layer, weight) }
  const y = convolve(layer, inputs, [1, stride], padding === 'causal' ? 'valid' : padding)
  return reshape(y, [rowsOf(x), y.shape[2] as number, filters])
}

export function applyDepthwiseConv2d(layer: Of<'depthwiseConv2d'>, x: Tensor, { weight }: Pass): Tensor {
  const attrs = { strides: layer.strides, pad: layer.padding, dataFormat: 'NHWC', dilations: [1, 1] }
  const y = run('DepthwiseConv2dNative', { x, filter: weight('kernel') }, attrs)
  return activate(layer.activation, layer.bias === false ? y : add(y, weight('bias')))
}

type Sides = [number, number][]

function biasOf({ bias }: Weighed, weight: Pass['weight']): { readonly bias?: Tensor } {
  return bias === false ? {} : { bias: weight('bias') }
}

function convolve(
  { activation }: Weighed,
  inputs: Record<string, Tensor>,
  strides: readonly [number, number],
  padding: 'valid' | 'same',
): Tensor {
  const attrs = { strides, pad: padding, dataFormat: 'NHWC', dilations: 1, activation: fusedOf(activation) }
  return activateRest(activation, run('FusedConv2D', inputs, attrs))
}
