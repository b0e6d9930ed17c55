import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import type { Activation, Layer } from '#protocol/layers.ts'

/**
 * The layers once more, in float64, by nested loops over their definitions, and sharing no line with the trainer: what
 * both backends are checked against.
 */
type Volume = { readonly shape: readonly number[]; readonly values: Float64Array }

/** Mean loss over the rows, in nats. @param rows each of the input's size */
export function referenceLoss(
  architecture: Architecture,
  weights: Float64Array,
  rows: readonly Float32Array[],
  labels: readonly number[],
  loss: 'softmax-cross-entropy' | 'sigmoid-cross-entropy',
): number {
  const losses = rows.map((row, index) => {
    const { values } = referenceOutput(architecture, weights, row)
    const label = labels[index] as number
    if (loss === 'sigmoid-cross-entropy') {
      const p = 1 / (1 + Math.exp(-(values[0] as number)))
      return -Math.log(label === 1 ? p : 1 - p)
    }
    const exponentials = values.map(Math.exp)
    return -Math.log((exponentials[label] as number) / exponentials.reduce((sum, each) => sum + each, 0))
  })
  return losses.reduce((sum, each) => sum + each, 0) / rows.length
}

function referenceOutput(architecture: Architecture, weights: Float64Array, row: Float32Array): Volume {
  let at = 0
  const take = (length: number) => {
    at += length
    return weights.subarray(at - length, at)
  }
  return architecture.layers.reduce<Volume>((x, layer) => applyLayer(layer, x, take), {
    shape: architecture.input,
    values: Float64Array.from(row),
  })
}

/** Central differences at some of the weights: the loss's slope, to about ten digits. */
export function referenceGradient(
  weights: Float32Array,
  at: readonly number[],
  loss: (weights: Float64Array) => number,
): readonly number[] {
  const step = 1e-5
  return at.map((index) => {
    const moved = Float64Array.from(weights)
    moved[index] = (weights[index] as number) + step
    const above = loss(moved)
    moved[index] = (weights[index] as number) - step
    return (above - loss(moved)) / (2 * step)
  })
}

/** Some weights of every tensor, the last of each among them: indices into the flat weights. */
export function someWeights(architecture: Architecture, perTensor: number): readonly number[] {
  const shaped = shapeOf(architecture)
  if (!shaped.ok) throw new Error(shaped.refusal)
  const found: number[] = []
  let from = 0
  for (const { shape } of shaped.value.tensors) {
    const size = shape.reduce((product, side) => product * side, 1)
    const stride = Math.max(1, Math.ceil(size / perTensor))
    for (let index = 0; index < size; index += stride) found.push(from + index)
    found.push(from + size - 1)
    from += size
  }
  return found
}

function activationOf(name: Activation): (z: number) => number {
  const found = activations[name]
  if (!found) throw new Error(`the reference knows no ${name}`)
  return found
}

function applyLayer(layer: Layer, x: Volume, take: (length: number) => Float64Array): Volume {
  switch (layer.layer) {
    case 'flatten':
      return { shape: [x.values.length], values: x.values }
    case 'dense': {
      const kernel = take(x.values.length * layer.units)
      const bias = take(layer.units)
      const values = bias.map((start, unit) => {
        let sum = start
        for (let input = 0; input < x.values.length; input++)
          sum += (x.values[input] as number) * (kernel[input * layer.units + unit] as number)
        return sum
      })
      return { shape: [layer.units], values: values.map(activationOf(layer.activation)) }
    }
    case 'conv2d':
      return convolveLayer(layer, x, take)
    case 'maxPooling2d':
      return slide(x, layer.pool, layer.strides, [0, 0], x.shape[2] as number, (window, channel) =>
        window.reduce((largest, { from }) => Math.max(largest, x.values[from + channel] as number), -Infinity),
      )
    default:
      throw new Error(`the reference knows no ${layer.layer}`)
  }
}

function convolveLayer(
  layer: Extract<Layer, { layer: 'conv2d' }>,
  x: Volume,
  take: (length: number) => Float64Array,
): Volume {
  const [height, width, channels] = x.shape as [number, number, number]
  const [rows, columns] = layer.kernel
  const kernel = take(rows * columns * channels * layer.filters)
  const bias = take(layer.filters)
  // TensorFlow's "same": as many positions as the stride allows, padding shared out with the odd one at the end.
  const padding = ([height, width] as const).map((side, axis) => {
    const [window, stride] = [layer.kernel[axis as 0 | 1], layer.strides[axis as 0 | 1]]
    return layer.padding === 'valid' ? 0 : Math.max((Math.ceil(side / stride) - 1) * stride + window - side, 0)
  }) as [number, number]
  const convolved = slide(x, layer.kernel, layer.strides, padding, layer.filters, (window, filter) => {
    let sum = bias[filter] as number
    for (const { tap, from } of window)
      for (let channel = 0; channel < channels; channel++)
        sum +=
          (x.values[from + channel] as number) * (kernel[(tap * channels + channel) * layer.filters + filter] as number)
    return sum
  })
  return { shape: convolved.shape, values: convolved.values.map(activationOf(layer.activation)) }
}

/** `from` is where its channels begin. */
type Pixel = { readonly tap: number; readonly from: number }

/** `padding` is the whole of it, by axis; pixels outside the image are left out of the window. */
function slide(
  x: Volume,
  window: readonly [number, number],
  strides: readonly [number, number],
  padding: readonly [number, number],
  depth: number,
  value: (window: readonly Pixel[], channel: number) => number,
): Volume {
  const [height, width, channels] = x.shape as [number, number, number]
  const outHeight = Math.floor((height + padding[0] - window[0]) / strides[0]) + 1
  const outWidth = Math.floor((width + padding[1] - window[1]) / strides[1]) + 1
  const [top, left] = padding.map((whole) => Math.floor(whole / 2)) as [number, number]
  const values: number[] = []
  for (let outRow = 0; outRow < outHeight; outRow++) {
    for (let outColumn = 0; outColumn < outWidth; outColumn++) {
      const pixels: Pixel[] = []
      for (let tap = 0; tap < window[0] * window[1]; tap++) {
        const row = outRow * strides[0] - top + Math.floor(tap / window[1])
        const column = outColumn * strides[1] - left + (tap % window[1])
        if (row < 0 || row >= height || column < 0 || column >= width) continue
        pixels.push({ tap, from: (row * width + column) * channels })
      }
      for (let channel = 0; channel < depth; channel++) values.push(value(pixels, channel))
    }
  }
  return { shape: [outHeight, outWidth, depth], values: Float64Array.from(values) }
}

const activations: Partial<Record<Activation, (z: number) => number>> = {
  linear: (z: number) => z,
  relu: (z: number) => Math.max(z, 0),
  tanh: Math.tanh,
  sigmoid: (z: number) => 1 / (1 + Math.exp(-z)),
}
