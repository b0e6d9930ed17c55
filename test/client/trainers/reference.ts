import { type Architecture, shapeOf } from '#protocol/architecture.ts'
import { type Batch, referenceLayer, type Weight } from './reference-layers.ts'

/** Mean loss over the rows, in nats. @param rows each of the input's size */
export function referenceLoss(
  architecture: Architecture,
  weights: Float64Array,
  rows: readonly Float32Array[],
  labels: readonly number[],
  loss: 'softmax-cross-entropy' | 'sigmoid-cross-entropy',
): number {
  const losses = referenceOutput(architecture, weights, rows, true).map(({ values }, index) => {
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

/** What the model puts out for each row. @param isTraining batches are normalised by their own statistics */
export function referenceOutput(
  architecture: Architecture,
  weights: Float64Array,
  rows: readonly Float32Array[],
  isTraining: boolean,
): Batch {
  const named = weightsByName(architecture, weights)
  const made = new Map<string, Batch>([
    ['input', rows.map((row) => ({ shape: architecture.input, values: Float64Array.from(row) }))],
  ])
  let last = 'input'
  for (const layer of architecture.layers) {
    const from = (layer.from ?? [last]).map((source) => made.get(source) as Batch)
    const weight: Weight = (part) => named.get(`${layer.name}/${part}`) as Float64Array
    made.set(layer.name, referenceLayer(layer, from, weight, isTraining))
    last = layer.name
  }
  return made.get(last) as Batch
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

/** Some weights of every tensor that is trained, the last of each among them: indices into the flat weights. */
export function someWeights(architecture: Architecture, perTensor: number): readonly number[] {
  const found: number[] = []
  let from = 0
  for (const { size, role } of placesOf(architecture)) {
    if (role !== 'trainable') break
    const stride = Math.max(1, Math.ceil(size / perTensor))
    for (let index = 0; index < size; index += stride) found.push(from + index)
    found.push(from + size - 1)
    from += size
  }
  return found
}

function weightsByName(architecture: Architecture, weights: Float64Array): ReadonlyMap<string, Float64Array> {
  const named = new Map<string, Float64Array>()
  let from = 0
  for (const { name, size } of placesOf(architecture)) {
    named.set(name, weights.subarray(from, from + size))
    from += size
  }
  return named
}

function placesOf(architecture: Architecture) {
  const shaped = shapeOf(architecture)
  if (!shaped.ok) throw new Error(`${shaped.refusal}: ${shaped.detail}`)
  return shaped.value.tensors.map(({ name, shape, role }) => ({
    ...{ name, role },
    size: shape.reduce((product, side) => product * side, 1),
  }))
}
