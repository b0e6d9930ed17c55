import { type Tensor, tensor, tidy, type Variable, variable } from '@tensorflow/tfjs-core'
import { type Architecture, INPUT, shapeOf, sourcesOf } from '#protocol/architecture.ts'
import { assert } from '#protocol/assert.ts'
import { TrainingRefused } from '#protocol/ports.ts'
import { sizeOf } from '#protocol/shapes.ts'
import { registerGradients } from './gradients.ts'
import { applyLayer } from './layers/layer.ts'
import type { Training } from './layers/pass.ts'

/** A model on the backend that is set. */
export type Network = {
  readonly output: readonly number[]
  /** What an optimiser moves. */
  readonly trainable: readonly Variable[]
  /**
   * @param x [rows, …input]
   * @param training makes it a step of training: values are dropped, batches normalised by their own statistics
   * @returns [rows, …output]
   */
  predict(x: Tensor, training?: Training): Tensor
  /** @param weights all of them, in the order of the weights file */
  write(weights: Float32Array): void
  /** The weights that are not frozen: the first of the file. */
  readTrained(): Promise<Float32Array>
  dispose(): void
}

/** Throws {@link TrainingRefused} for an architecture that does not fit together. */
export function buildNetwork(architecture: Architecture): Network {
  registerGradients()
  const shaped = shapeOf(architecture)
  if (!shaped.ok) throw new TrainingRefused(shaped.refusal, shaped.detail ?? '')
  const { tensors, output, parameters, trained } = shaped.value
  if (trained === 0) throw new TrainingRefused('nothing-to-train', 'every weight is frozen, or there is none')
  const variables = tensors.map((each) => {
    // In one row, also where a layer has two of them: what has more axes is decayed.
    const shape = each.name.endsWith('/bias') ? [sizeOf(each)] : [...each.shape]
    return tidy(() => variable(tensor(new Float32Array(sizeOf(each)), shape), each.role === 'trainable'))
  })
  const byName = new Map(tensors.map(({ name }, index) => [name, variables[index] as Variable]))
  return {
    output,
    trainable: variables.filter((each) => each.trainable),
    predict: (x, training) => tidy(() => predict(architecture, (name) => byName.get(name) as Variable, x, training)),
    write(weights) {
      assert(weights.length === parameters, 'a model has as many weights as its architecture')
      let from = 0
      for (const each of variables) {
        const values = tensor(weights.slice(from, from + each.size), each.shape)
        // Never into the heap under a variable: the backend's packed copies of it would not see that.
        each.assign(values)
        values.dispose()
        from += each.size
      }
    },
    async readTrained() {
      const moved = variables.filter((_, index) => tensors[index]?.role !== 'frozen')
      const weights = new Float32Array(trained)
      let to = 0
      for (const each of await Promise.all(moved.map((variable) => variable.data()))) {
        weights.set(each, to)
        to += each.length
      }
      return weights
    },
    dispose() {
      for (const each of variables) each.dispose()
    },
  }
}

function predict(
  architecture: Architecture,
  weightOf: (name: string) => Variable,
  x: Tensor,
  training: Training | undefined,
): Tensor {
  const made = new Map<string, Tensor>([[INPUT, x]])
  const sources = sourcesOf(architecture)
  let last = x
  for (const [index, layer] of architecture.layers.entries()) {
    const from = (sources[index] as readonly string[]).map((source) => made.get(source) as Tensor)
    last = applyLayer(layer, from, { weight: (part) => weightOf(`${layer.name}/${part}`), training })
    made.set(layer.name, last)
  }
  return last
}
