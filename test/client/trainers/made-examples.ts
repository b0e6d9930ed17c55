import type { Architecture } from '#protocol/architecture.ts'
import type { Layer } from '#protocol/layers.ts'
import { type Example, examples } from './layer-examples.ts'
import { referenceGradient, referenceLoss, someWeights } from './reference.ts'
import { gradientOf, someDataset, someModel } from './tasks.ts'

/** An example with weights, and five rows: an odd number, as most last batches are. */
export function exampleOf(name: string) {
  const { input, layers, loss: odd, vocabulary } = examples[name] as Example
  const loss = odd ?? 'softmax-cross-entropy'
  const architecture: Architecture = { v: 1, input, layers }
  const model = someModel(architecture, 5)
  if (name.includes('below zero')) model.fill(-9, 2 * 2 * 2 * 5, 2 * 2 * 2 * 5 + 5)
  const classes = loss === 'sigmoid-cross-entropy' ? 2 : (layers.at(-1) as Extract<Layer, { layer: 'dense' }>).units
  const dataset = someDataset(input, 5, classes, 11, vocabulary)
  return { architecture, loss, model, dataset, at: someWeights(architecture, 5) } as const
}

/** On the backend that is set. */
export function exampleGradient(name: string): Promise<Float32Array> {
  const { architecture, loss, model, dataset } = exampleOf(name)
  return gradientOf(model, architecture, loss, dataset)
}

/** Of the loss, by float64 differences, at those of its weights that `at` names. */
export function exampleSlopes(name: string): readonly number[] {
  const { architecture, loss, model, dataset, at } = exampleOf(name)
  const [rows, labels] = [dataset.rows, [...dataset.labels]]
  return referenceGradient(model, at, (weights) => referenceLoss(architecture, weights, rows, labels, loss))
}
