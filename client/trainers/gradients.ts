import '@tensorflow/tfjs-layers'
import {
  type _FusedMatMulAttrs,
  type Conv2DBackpropFilterAttrs,
  type Conv2DBackpropInputAttrs,
  engine,
  type FusedConv2DAttrs,
  getGradient,
  matMul,
  type NamedAttrMap,
  registerGradient,
  sum,
  type Tensor,
} from '@tensorflow/tfjs-core'
import { registerFusedGradients, reluGradient } from './kernels/fused.ts'

/**
 * The derivatives that TF.js's tape runs along are its own, which its layers package registers, and these of the fused
 * kernels that {@link file://./network.ts} uses, which have none: TF.js's fused operations always work out the input's
 * gradient, which for a first layer nobody asks for and which costs as much as the rest. Activations fused into a kernel are
 * linear and relu; the others are kernels of their own.
 */
export function registerGradients(): void {
  if (getGradient('FusedConv2D')) return
  registerFusedGradients()
  registerGradient({
    kernelName: 'FusedConv2D',
    inputsToSave: ['x', 'filter'],
    outputsToSave: [true],
    gradFunc: (dy, saved, attrs) => {
      const [x, filter, y] = saved as [Tensor, Tensor, Tensor]
      const { activation, strides, pad, dataFormat, dimRoundingMode } = attrs as unknown as FusedConv2DAttrs
      const dz = beforeActivation(dy as Tensor, y, activation)
      const shared = { strides, pad, dataFormat, dimRoundingMode }
      const filterAttrs: Conv2DBackpropFilterAttrs = { ...shared, filterShape: filter.shape as Sides } as never
      const inputAttrs: Conv2DBackpropInputAttrs = { ...shared, inputShape: x.shape as Sides } as never
      return {
        x: () => run('Conv2DBackpropInput', { dy: dz, filter }, inputAttrs),
        filter: () => run('Conv2DBackpropFilter', { x, dy: dz }, filterAttrs),
        bias: () => sum(dz, [0, 1, 2]),
      }
    },
  })
  registerGradient({
    kernelName: 'Relu',
    outputsToSave: [true],
    gradFunc: (dy, saved) => ({ x: () => reluGradient(dy as Tensor, (saved as [Tensor])[0]) }),
  })
  registerGradient({
    kernelName: '_FusedMatMul',
    inputsToSave: ['a', 'b'],
    outputsToSave: [true],
    gradFunc: (dy, saved, attrs) => {
      const [a, b, y] = saved as [Tensor, Tensor, Tensor]
      const dz = beforeActivation(dy as Tensor, y, (attrs as unknown as _FusedMatMulAttrs).activation)
      return {
        a: () => matMul(dz, b, false, true),
        b: () => matMul(a, dz, true, false),
        bias: () => sum(dz, [0]),
      }
    },
  })
}

type Sides = [number, number, number, number]

/** A kernel by its name. */
export function run(kernelName: string, inputs: Record<string, Tensor>, attrs: object): Tensor {
  return engine().runKernel(kernelName, inputs, attrs as NamedAttrMap) as Tensor
}

function beforeActivation(dy: Tensor, y: Tensor, activation: string | undefined): Tensor {
  return activation === 'relu' ? reluGradient(dy, y) : dy
}
