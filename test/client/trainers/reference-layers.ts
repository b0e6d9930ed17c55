import type { Activation, Layer } from '#protocol/layers.ts'

/**
 * The layers once more, in float64, by nested loops over their definitions, and sharing no line with the trainer: what
 * every backend is checked against. Images are [height, width, channels], sequences [steps, channels].
 */
export type Volume = { readonly shape: readonly number[]; readonly values: Float64Array }
export type Batch = readonly Volume[]
export type Weight = (part: string) => Float64Array

type Of<K extends Layer['layer']> = Extract<Layer, { layer: K }>

/** @param isTraining batches are normalised by their own statistics; nothing is dropped, which is not the reference's to draw */
export function referenceLayer(layer: Layer, from: readonly Batch[], weight: Weight, isTraining: boolean): Batch {
  const [first] = from as readonly [Batch]
  if (layer.layer === 'batchNormalization') return normalizeBatch(layer, first, weight, isTraining && !layer.frozen)
  return first.map((_, row) =>
    applyLayer(
      layer,
      from.map((batch) => batch[row] as Volume),
      weight,
    ),
  )
}

function applyLayer(layer: Layer, from: readonly Volume[], weight: Weight): Volume {
  const [x] = from as readonly [Volume]
  const { shape, values } = x
  switch (layer.layer) {
    case 'flatten':
      return { shape: [values.length], values }
    case 'reshape':
      return { shape: layer.shape, values }
    case 'part': {
      const size = layer.shape.reduce((product, side) => product * side, 1)
      return { shape: layer.shape, values: values.slice(layer.offset, layer.offset + size) }
    }
    case 'dropout':
      return x
    case 'activation':
      return activate(x, layer.activation, layer.slopeMicro)
    case 'dense':
      return denseLayer(layer, x, weight)
    case 'conv2d':
      return convolve(layer, x, weight)
    case 'conv1d': {
      const { kernel, stride, padding } = layer
      const before = padding === 'causal' ? kernel - 1 : 0
      const longer = new Float64Array(before * (shape[1] as number) + values.length)
      longer.set(values, before * (shape[1] as number))
      const image = { shape: [1, (shape[0] as number) + before, shape[1] as number], values: longer }
      const flat = { ...layer, kernel: [1, kernel] as const, strides: [1, stride] as const }
      return flatImage(convolve({ ...flat, padding: padding === 'same' ? 'same' : 'valid' }, image, weight))
    }
    case 'depthwiseConv2d': {
      const [kernel, channels, each] = [weight('kernel'), shape[2] as number, layer.multiplier]
      const bias = layer.bias === false ? undefined : weight('bias')
      const convolved = slide(x, layer.kernel, layer.strides, layer.padding, channels * each, (window, out) => {
        const channel = Math.floor(out / each)
        return window.reduce(
          (sum, { tap, from }) =>
            sum + (values[from + channel] as number) * (kernel[tap * channels * each + out] as number),
          bias?.[out] ?? 0,
        )
      })
      return activate(convolved, layer.activation)
    }
    case 'maxPooling2d':
    case 'averagePooling2d':
      return pool(layer.layer === 'maxPooling2d', x, layer.pool, layer.strides, layer.padding)
    case 'maxPooling1d':
    case 'averagePooling1d': {
      const image = { shape: [1, ...shape], values }
      return flatImage(pool(layer.layer === 'maxPooling1d', image, [1, layer.pool], [1, layer.stride], layer.padding))
    }
    case 'globalPooling': {
      const channels = shape.at(-1) as number
      const columns = lines(transpose(values, channels), values.length / channels)
      const pooled = columns.map((column) => (layer.of === 'max' ? Math.max(...column) : meanOf(column)))
      return { shape: [channels], values: Float64Array.from(pooled) }
    }
    case 'zeroPadding2d': {
      const [height, width, channels] = shape as [number, number, number]
      const [tall, wide] = [height + layer.top + layer.bottom, width + layer.left + layer.right]
      const padded = new Float64Array(tall * wide * channels)
      for (const [at, value] of values.entries()) {
        const [row, column] = [Math.floor(at / channels / width), Math.floor(at / channels) % width]
        padded[((row + layer.top) * wide + column + layer.left) * channels + (at % channels)] = value
      }
      return { shape: [tall, wide, channels], values: padded }
    }
    case 'layerNormalization': {
      const width = shape.at(-1) as number
      const normal = lines(values, width).flatMap((line) => {
        const [mean, variance] = momentsOf(line)
        return [...line].map((value, at) => {
          const standard = (value - mean) / Math.sqrt(variance + layer.epsilonNano / 1e9)
          return standard * (weight('gamma')[at] as number) + (weight('beta')[at] as number)
        })
      })
      return { shape, values: Float64Array.from(normal) }
    }
    case 'embedding': {
      const rows = [...values].flatMap((id) => [
        ...weight('embeddings').subarray(id * layer.units, (id + 1) * layer.units),
      ])
      return { shape: [...shape, layer.units], values: Float64Array.from(rows) }
    }
    case 'positionEmbedding':
      return { shape, values: values.map((value, at) => value + (weight('embeddings')[at] as number)) }
    case 'lstm':
    case 'gru':
    case 'simpleRnn':
      return recur(layer, x, weight)
    case 'attention':
      return attend(layer, from as readonly [Volume, Volume, Volume])
    case 'add':
      return { shape, values: values.map((_, at) => from.reduce((sum, each) => sum + (each.values[at] as number), 0)) }
    case 'multiply':
      return { shape, values: values.map((_, at) => from.reduce((all, each) => all * (each.values[at] as number), 1)) }
    case 'concatenate': {
      const widths = from.map((each) => each.shape.at(-1) as number)
      const joined = lines(values, widths[0] as number).flatMap((_, line) =>
        from.flatMap((each, index) => [...(lines(each.values, widths[index] as number)[line] as Float64Array)]),
      )
      const width = widths.reduce((sum, each) => sum + each, 0)
      return { shape: [...shape.slice(0, -1), width], values: Float64Array.from(joined) }
    }
    case 'batchNormalization':
      throw new Error('it is of a whole batch')
  }
}

function denseLayer(layer: Of<'dense'>, { shape, values }: Volume, weight: Weight): Volume {
  const width = shape.at(-1) as number
  const { units, adapter } = layer
  const out = lines(values, width).flatMap((line) => {
    const sums = times(line, weight('kernel'), units)
    const low = adapter && times(times(line, weight('lora_a'), adapter.rank), weight('lora_b'), units)
    return [...sums].map(
      (sum, unit) =>
        sum +
        (layer.bias === false ? 0 : (weight('bias')[unit] as number)) +
        (low && adapter ? ((low[unit] as number) * adapter.alphaMicro) / 1e6 / adapter.rank : 0),
    )
  })
  return activate({ shape: [...shape.slice(0, -1), units], values: Float64Array.from(out) }, layer.activation)
}

type Convolution = Pick<Of<'conv2d'>, 'kernel' | 'strides' | 'padding' | 'filters' | 'activation' | 'bias'>

function convolve(layer: Convolution, x: Volume, weight: Weight): Volume {
  const [channels, kernel] = [x.shape[2] as number, weight('kernel')]
  const bias = layer.bias === false ? undefined : weight('bias')
  const convolved = slide(x, layer.kernel, layer.strides, layer.padding, layer.filters, (window, filter) => {
    let sum = bias?.[filter] ?? 0
    for (const { tap, from } of window)
      for (let channel = 0; channel < channels; channel++)
        sum +=
          (x.values[from + channel] as number) * (kernel[(tap * channels + channel) * layer.filters + filter] as number)
    return sum
  })
  return activate(convolved, layer.activation)
}

type Pair = readonly [number, number]

function pool(isMax: boolean, x: Volume, window: Pair, strides: Pair, padding: 'valid' | 'same' = 'valid'): Volume {
  return slide(x, window, strides, padding, x.shape[2] as number, (pixels, channel) => {
    const seen = pixels.map(({ from }) => x.values[from + channel] as number)
    return isMax ? Math.max(...seen) : meanOf(seen)
  })
}

function normalizeBatch(layer: Of<'batchNormalization'>, batch: Batch, weight: Weight, byBatch: boolean): Batch {
  const channels = batch[0]?.shape.at(-1) as number
  const statistics = Array.from({ length: channels }, (_, channel): readonly [number, number] => {
    if (!byBatch) return [weight('moving_mean')[channel] as number, weight('moving_variance')[channel] as number]
    return momentsOf(batch.flatMap(({ values }) => [...values].filter((_, at) => at % channels === channel)))
  })
  return batch.map(({ shape, values }) => ({
    shape,
    values: values.map((value, at) => {
      const channel = at % channels
      const [mean, variance] = statistics[channel] as readonly [number, number]
      const standard = (value - mean) / Math.sqrt(variance + layer.epsilonNano / 1e9)
      return standard * (weight('gamma')[channel] as number) + (weight('beta')[channel] as number)
    }),
  }))
}

/** Keras's equations, gate by gate. */
function recur(layer: Of<'lstm' | 'gru' | 'simpleRnn'>, { shape, values }: Volume, weight: Weight): Volume {
  const { units } = layer
  const [steps, gates] = [lines(values, shape[1] as number), { lstm: 4, gru: 3, simpleRnn: 1 }[layer.layer]]
  const order = layer.backwards ? [...steps.keys()].reverse() : [...steps.keys()]
  const outputs: Float64Array[] = []
  let hidden = new Float64Array(units)
  let carry = new Float64Array(units)
  for (const step of order) {
    const given = times(steps[step] as Float64Array, weight('kernel'), gates * units)
    const share = (gate: number, state: Float64Array) =>
      given.slice(gate * units, (gate + 1) * units).map((sum, unit) => {
        const column = gate * units + unit
        const recurrent = weight('recurrent_kernel').filter((_, at) => at % (gates * units) === column)
        const back = state.reduce((total, value, at) => total + value * (recurrent[at] as number), 0)
        return sum + back + (weight('bias')[column] as number)
      })
    if (layer.layer === 'simpleRnn') hidden = share(0, hidden).map(Math.tanh)
    else if (layer.layer === 'lstm') {
      const [i, f, o] = [0, 1, 3].map((gate) => share(gate, hidden).map(sigmoid)) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ]
      const c = share(2, hidden).map(Math.tanh)
      const before = carry
      carry = before.map((value, at) => (f[at] as number) * value + (i[at] as number) * (c[at] as number))
      hidden = carry.map((value, at) => (o[at] as number) * Math.tanh(value))
    } else if (layer.resetAfter) {
      const before = hidden
      const [x, h] = [given, times(before, weight('recurrent_kernel'), 3 * units)].map((sums, row) =>
        sums.map((sum, at) => sum + (weight('bias')[row * 3 * units + at] as number)),
      ) as [Float64Array, Float64Array]
      const of = (sums: Float64Array, gate: number, unit: number) => sums[gate * units + unit] as number
      hidden = before.map((value, unit) => {
        const [z, r] = [0, 1].map((gate) => sigmoid(of(x, gate, unit) + of(h, gate, unit))) as [number, number]
        return z * value + (1 - z) * Math.tanh(of(x, 2, unit) + r * of(h, 2, unit))
      })
    } else {
      const before = hidden
      const [z, r] = [share(0, before).map(sigmoid), share(1, before).map(sigmoid)]
      const h = share(
        2,
        before.map((value, at) => value * (r[at] as number)),
      ).map(Math.tanh)
      hidden = before.map((value, at) => (z[at] as number) * value + (1 - (z[at] as number)) * (h[at] as number))
    }
    outputs[step] = hidden
  }
  if (!layer.sequences) return { shape: [units], values: hidden }
  return { shape: [steps.length, units], values: Float64Array.from(outputs.flatMap((each) => [...each])) }
}

function attend(
  { heads, causal }: Of<'attention'>,
  [queries, keys, values]: readonly [Volume, Volume, Volume],
): Volume {
  const [depth, width] = [(queries.shape[1] as number) / heads, (values.shape[1] as number) / heads]
  const of = (x: Volume, step: number, head: number, size: number) =>
    x.values.subarray((step * heads + head) * size, (step * heads + head + 1) * size)
  const out = Array.from({ length: queries.shape[0] as number }, (_, query) =>
    Array.from({ length: heads }, (_, head) => {
      const seen = Array.from({ length: keys.shape[0] as number }, (_, key) => key).filter(
        (key) => !causal || key <= query,
      )
      const q = of(queries, query, head, depth)
      const scores = seen.map((key) =>
        Math.exp(of(keys, key, head, depth).reduce((s, k, at) => s + k * (q[at] as number), 0) / Math.sqrt(depth)),
      )
      const total = scores.reduce((sum, each) => sum + each, 0)
      return Array.from({ length: width }, (_, at) =>
        seen.reduce(
          (sum, key, index) => sum + ((scores[index] as number) / total) * (of(values, key, head, width)[at] as number),
          0,
        ),
      )
    }),
  )
  return { shape: [out.length, heads * width], values: Float64Array.from(out.flat(2)) }
}

/** `from` is where its channels begin. */
type Pixel = { readonly tap: number; readonly from: number }

/** Pixels outside the image are left out of the window. */
function slide(
  x: Volume,
  window: Pair,
  strides: Pair,
  padding: 'valid' | 'same',
  depth: number,
  value: (window: readonly Pixel[], channel: number) => number,
): Volume {
  const [height, width, channels] = x.shape as [number, number, number]
  // TensorFlow's "same": as many positions as the stride allows, padding shared out with the odd one at the end.
  const [down, right] = ([height, width] as const).map((side, axis) => {
    const [size, stride] = [window[axis] as number, strides[axis] as number]
    return padding === 'valid' ? 0 : Math.max((Math.ceil(side / stride) - 1) * stride + size - side, 0)
  }) as [number, number]
  const outHeight = Math.floor((height + down - window[0]) / strides[0]) + 1
  const outWidth = Math.floor((width + right - window[1]) / strides[1]) + 1
  const [top, left] = [Math.floor(down / 2), Math.floor(right / 2)]
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

function flatImage({ shape, values }: Volume): Volume {
  return { shape: shape.slice(1), values }
}

/** Every `width` values. */
function lines(values: Float64Array, width: number): Float64Array[] {
  return Array.from({ length: values.length / width }, (_, line) => values.subarray(line * width, (line + 1) * width))
}

function transpose(values: Float64Array, columns: number): Float64Array {
  const rows = values.length / columns
  return values.map((_, at) => values[(at % rows) * columns + Math.floor(at / rows)] as number)
}

function times(line: Float64Array, kernel: Float64Array, units: number): Float64Array {
  return Float64Array.from({ length: units }, (_, unit) =>
    line.reduce((sum, value, input) => sum + value * (kernel[input * units + unit] as number), 0),
  )
}

function meanOf(values: ArrayLike<number>): number {
  return Array.from(values).reduce((sum, each) => sum + each, 0) / values.length
}

function momentsOf(values: ArrayLike<number>): readonly [number, number] {
  const mean = meanOf(values)
  return [mean, meanOf(Array.from(values, (value) => (value - mean) ** 2))]
}

function activate(x: Volume, name: Activation, slopeMicro = 200_000): Volume {
  if (name !== 'softmax')
    return {
      ...x,
      values: x.values.map(name === 'leakyRelu' ? (z) => Math.max(z, (z * slopeMicro) / 1e6) : ofOne[name]),
    }
  const softened = lines(x.values, x.shape.at(-1) as number).flatMap((line) => {
    const exponentials = [...line].map(Math.exp)
    const total = exponentials.reduce((sum, each) => sum + each, 0)
    return exponentials.map((each) => each / total)
  })
  return { ...x, values: Float64Array.from(softened) }
}

const sigmoid = (z: number) => 1 / (1 + Math.exp(-z))

const ofOne: Readonly<Record<Exclude<Activation, 'softmax' | 'leakyRelu'>, (z: number) => number>> = {
  linear: (z) => z,
  relu: (z) => Math.max(z, 0),
  relu6: (z) => Math.min(Math.max(z, 0), 6),
  elu: (z) => (z > 0 ? z : Math.exp(z) - 1),
  // Klambauer et al. 2017, equation 2.
  selu: (z) => 1.0507009873554805 * (z > 0 ? z : 1.6732632423543772 * (Math.exp(z) - 1)),
  gelu: (z) => z * normal(z),
  swish: (z) => z * sigmoid(z),
  tanh: Math.tanh,
  sigmoid,
  hardSigmoid: (z) => Math.min(Math.max(0.2 * z + 0.5, 0), 1),
  softplus: (z) => Math.log(1 + Math.exp(z)),
  softsign: (z) => z / (1 + Math.abs(z)),
}

/** The normal distribution function by its series around zero, for arguments of a few units. */
function normal(z: number): number {
  let [term, sum] = [z, z]
  for (let odd = 3; odd < 200; odd += 2) {
    term *= (z * z) / odd
    sum += term
  }
  return 0.5 + (sum * Math.exp((-z * z) / 2)) / Math.sqrt(2 * Math.PI)
}
