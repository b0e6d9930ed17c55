import {
  abs,
  clipByValue,
  customGrad,
  type GradSaveFunc,
  minimum,
  mul,
  type Scalar,
  sigmoid,
  sign,
  softplus,
  square,
  sub,
  sum,
  type Tensor,
} from '@tensorflow/tfjs-core'
import type { Loss } from '#protocol/task.ts'
import { softmaxLoss } from './kernels/fused.ts'

/**
 * The loss of what a model puts out, summed over the rows: worked out where the outputs lie, so that a step on an accelerator
 * waits for nothing. With their gradients:
 *
 * softmax: −log softmax(z)[label]; softmax(z) − onehot(label).
 * sigmoid: log(1 + e^z) − z·label; σ(z) − label. Of several labels, each times its weight.
 * squared: (z − y)²; 2(z − y).
 * absolute: |z − y|; its sign.
 * Huber: ½(z − y)² up to 1, |z − y| − ½ beyond; z − y, cut off at ±1.
 *
 * @param outputs [rows, outputs]
 * @param targets of the same shape: one-hot classes, or the one label, or several
 * @param weights of the same shape, where a row has several labels: what each of them counts
 */
export function lossSum(loss: Loss, outputs: Tensor, targets: Tensor, weights?: Tensor): Scalar {
  if (loss === 'softmax-cross-entropy') return softmaxLoss(outputs, targets)
  const summed = customGrad((z, save) => {
    const values = z as Tensor
    ;(save as GradSaveFunc)([values])
    const weighed = (each: Tensor) => (weights ? mul(each, weights) : each)
    const gradFunc = (dy: Tensor, saved: readonly Tensor[]) =>
      mul(weighed(slopes(loss, saved[0] as Tensor, targets)), dy)
    return { value: sum(weighed(lossesAt(loss, values, targets))), gradFunc: gradFunc as never }
  })
  return summed(outputs) as Scalar
}

/** Those that are of one value a label. */
type PlainLoss = Exclude<Loss, 'softmax-cross-entropy'>

function lossesAt(loss: PlainLoss, z: Tensor, targets: Tensor): Tensor {
  switch (loss) {
    case 'sigmoid-cross-entropy':
      return sub(softplus(z), mul(z, targets))
    case 'mean-squared-error':
      return square(sub(z, targets))
    case 'mean-absolute-error':
      return abs(sub(z, targets))
    case 'huber': {
      // With c = min(|e|, 1), both branches are c·(|e| − c ÷ 2).
      const miss = abs(sub(z, targets))
      const small = minimum(miss, 1)
      return mul(small, sub(miss, mul(small, 0.5)))
    }
  }
}

function slopes(loss: PlainLoss, z: Tensor, targets: Tensor): Tensor {
  switch (loss) {
    case 'sigmoid-cross-entropy':
      return sub(sigmoid(z), targets)
    case 'mean-squared-error':
      return mul(sub(z, targets), 2)
    case 'mean-absolute-error':
      return sign(sub(z, targets))
    case 'huber':
      return clipByValue(sub(z, targets), -1, 1)
  }
}

/**
 * What each label of a row counts: its share of those that are known of the row, times its weight where it is there. What is
 * not known counts nothing.
 *
 * @param labels of one row: 1, 0, or NaN where it is not known
 * @param positives what each label counts where it is there
 */
export function labelWeights(labels: ArrayLike<number>, positives: readonly number[]): readonly number[] {
  const known = positives.reduce((sum, _, of) => sum + (Number.isNaN(labels[of]) ? 0 : 1), 0)
  return positives.map((positive, of) => (Number.isNaN(labels[of]) ? 0 : (labels[of] === 1 ? positive : 1) / known))
}

/** What evaluation counts: each row's loss in float64, and how many rows are classed right, which no number is. */
type Scored = { readonly losses: Float64Array; readonly correct: number }

/** @param positives where a row has several labels: of these, what each counts where it is there */
export function scoreRows(
  loss: Loss,
  outputs: ArrayLike<number>,
  labels: ArrayLike<number>,
  positives?: readonly number[],
): Scored {
  if (loss === 'softmax-cross-entropy') return scoreClasses(outputs, labels)
  if (positives) return scoreLabels(loss, outputs, labels, positives)
  const losses = new Float64Array(labels.length)
  let correct = 0
  for (const row of losses.keys()) {
    const [z, label] = [outputs[row] as number, labels[row] as number]
    losses[row] = lossOf(loss, z, label)
    if (loss === 'sigmoid-cross-entropy' && isRight(z, label)) correct++
  }
  return { losses, correct }
}

/** A row is right where all that is known of it is: accuracy over subsets, as scikit-learn has it. */
function scoreLabels(
  loss: PlainLoss,
  outputs: ArrayLike<number>,
  labels: ArrayLike<number>,
  positives: readonly number[],
): Scored {
  const count = positives.length
  const losses = new Float64Array(labels.length / count)
  let correct = 0
  for (const row of losses.keys()) {
    const own = positives.map((_, of) => labels[row * count + of] as number)
    let wrong = 0
    for (const [of, weight] of labelWeights(own, positives).entries()) {
      if (weight === 0) continue
      const [z, label] = [outputs[row * count + of] as number, own[of] as number]
      losses[row] = (losses[row] as number) + weight * lossOf(loss, z, label)
      if (!isRight(z, label)) wrong++
    }
    if (wrong === 0) correct++
  }
  return { losses, correct }
}

function isRight(z: number, label: number): boolean {
  return z > 0 === (label === 1)
}

function lossOf(loss: PlainLoss, z: number, label: number): number {
  const miss = Math.abs(z - label)
  switch (loss) {
    case 'sigmoid-cross-entropy':
      // No z overflows this form.
      return Math.max(z, 0) - z * label + Math.log1p(Math.exp(-Math.abs(z)))
    case 'mean-squared-error':
      return miss ** 2
    case 'mean-absolute-error':
      return miss
    case 'huber':
      return miss <= 1 ? miss ** 2 / 2 : miss - 0.5
  }
}

function scoreClasses(logits: ArrayLike<number>, labels: ArrayLike<number>): Scored {
  const rows = labels.length
  const width = logits.length / rows
  const losses = new Float64Array(rows)
  let correct = 0
  for (let row = 0; row < rows; row++) {
    const label = labels[row] as number
    const first = row * width
    let largest = first
    for (let at = first + 1; at < first + width; at++) {
      if ((logits[at] as number) > (logits[largest] as number)) largest = at
    }
    const top = logits[largest] as number
    let total = 0
    for (let at = first; at < first + width; at++) total += Math.exp((logits[at] as number) - top)
    losses[row] = Math.log(total) + top - (logits[first + label] as number)
    if (largest === first + label) correct++
  }
  return { losses, correct }
}
