import {
  customGrad,
  type GradSaveFunc,
  logSoftmax,
  mul,
  neg,
  type Scalar,
  sigmoid,
  softmax,
  softplus,
  sub,
  sum,
  type Tensor,
} from '@tensorflow/tfjs-core'
import type { Loss } from '#protocol/task.ts'

/**
 * Cross-entropy from logits, in nats, summed over the rows: worked out where the logits lie, so that a step on an
 * accelerator waits for nothing.
 *
 * softmax: −log softmax(z)[label]; gradient softmax(z) − onehot(label).
 * sigmoid: log(1 + e^z) − z·label; gradient σ(z) − label.
 *
 * @param logits [rows, outputs]
 * @param targets of the same shape: one-hot classes, or the one label
 */
export function lossSum(loss: Loss, logits: Tensor, targets: Tensor): Scalar {
  const isSoftmax = loss === 'softmax-cross-entropy'
  const summed = customGrad((z, save) => {
    const values = z as Tensor
    ;(save as GradSaveFunc)([values])
    const nats = isSoftmax ? neg(mul(logSoftmax(values), targets)) : sub(softplus(values), mul(values, targets))
    const gradFunc = (dy: Tensor, saved: readonly Tensor[]) => {
      const [at] = saved as readonly [Tensor]
      return mul(sub(isSoftmax ? softmax(at) : sigmoid(at), targets), dy)
    }
    return { value: sum(nats), gradFunc: gradFunc as never }
  })
  return summed(logits) as Scalar
}

/** The same of each row in float64, for evaluation, and which rows are classed right. */
export function crossEntropy(
  loss: Loss,
  logits: ArrayLike<number>,
  labels: ArrayLike<number>,
): { readonly nats: Float64Array; readonly correct: number } {
  const rows = labels.length
  const width = logits.length / rows
  const nats = new Float64Array(rows)
  let correct = 0
  for (let row = 0; row < rows; row++) {
    const label = labels[row] as number
    if (loss === 'sigmoid-cross-entropy') {
      const z = logits[row] as number
      // No z overflows this form.
      nats[row] = Math.max(z, 0) - z * label + Math.log1p(Math.exp(-Math.abs(z)))
      if (z > 0 === (label === 1)) correct++
      continue
    }
    const first = row * width
    let largest = first
    for (let at = first + 1; at < first + width; at++) {
      if ((logits[at] as number) > (logits[largest] as number)) largest = at
    }
    const top = logits[largest] as number
    let total = 0
    for (let at = first; at < first + width; at++) total += Math.exp((logits[at] as number) - top)
    nats[row] = Math.log(total) + top - (logits[first + label] as number)
    if (largest === first + label) correct++
  }
  return { nats, correct }
}

/** Outputs that a model must have for a loss. */
export function outputsFor(loss: Loss, classes: number): number {
  return loss === 'sigmoid-cross-entropy' ? 1 : classes
}
