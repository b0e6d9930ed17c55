import { add, concat, mul, pad, reshape, slice, type Tensor, type Tensor2D } from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { activate } from './activation.ts'
import { applyAttention } from './attention.ts'
import { applyConv1d, applyConv2d, applyDepthwiseConv2d } from './convolution.ts'
import { applyDense } from './dense.ts'
import { applyDropout } from './dropout.ts'
import { applyEmbedding, applyPositionEmbedding } from './embedding.ts'
import { applyBatchNormalization, applyLayerNormalization } from './normalization.ts'
import { type Pass, rowsOf } from './pass.ts'
import { applyGlobalPooling, applyPooling1d, applyPooling2d } from './pooling.ts'
import { applyRecurrent } from './recurrent.ts'

/** What a layer makes of what it takes, each [rows, …shape], as {@link file://./../../../protocol/shapes.ts} says. */
export function applyLayer(layer: Layer, from: readonly Tensor[], pass: Pass): Tensor {
  const [x] = from as readonly [Tensor, ...Tensor[]]
  switch (layer.layer) {
    case 'dense':
      return applyDense(layer, x, pass)
    case 'conv2d':
      return applyConv2d(layer, x, pass)
    case 'depthwiseConv2d':
      return applyDepthwiseConv2d(layer, x, pass)
    case 'conv1d':
      return applyConv1d(layer, x, pass)
    case 'maxPooling2d':
    case 'averagePooling2d':
      return applyPooling2d(layer, x)
    case 'maxPooling1d':
    case 'averagePooling1d':
      return applyPooling1d(layer, x)
    case 'globalPooling':
      return applyGlobalPooling(layer, x)
    case 'zeroPadding2d':
      return pad(x, [
        [0, 0],
        [layer.top, layer.bottom],
        [layer.left, layer.right],
        [0, 0],
      ] as [number, number][])
    case 'flatten':
      return reshape(x, [rowsOf(x), -1])
    case 'reshape':
      return reshape(x, [rowsOf(x), ...layer.shape])
    case 'part': {
      const flat = reshape(x, [rowsOf(x), -1]) as Tensor2D
      return reshape(slice(flat, [0, layer.offset], [-1, sizeOf(layer)]), [rowsOf(x), ...layer.shape])
    }
    case 'activation':
      return activate(layer.activation, x, layer.slopeMicro === undefined ? undefined : layer.slopeMicro / 1e6)
    case 'dropout':
      return applyDropout(layer.rateMicro, x, pass)
    case 'batchNormalization':
      return applyBatchNormalization(layer, x, pass)
    case 'layerNormalization':
      return applyLayerNormalization(layer, x, pass)
    case 'embedding':
      return applyEmbedding(layer, x, pass)
    case 'positionEmbedding':
      return applyPositionEmbedding(x, pass)
    case 'lstm':
    case 'gru':
    case 'simpleRnn':
      return applyRecurrent(layer, x, pass)
    case 'attention':
      return applyAttention(layer, from as readonly [Tensor, Tensor, Tensor], pass)
    case 'add':
      return from.reduce((sum, each) => add(sum, each))
    case 'multiply':
      return from.reduce((product, each) => mul(product, each))
    case 'concatenate':
      return concat([...from], x.rank - 1)
  }
}
