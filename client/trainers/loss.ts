import type { Loss } from '#protocol/task.ts'

/**
 * Cross-entropy from logits, in nats and in float64, with its gradient: one formula for training and for evaluation, and
 * the same on every backend.
 *
 * softmax: −log softmax(z)[label]; gradient softmax(z) − onehot(label).
 * sigmoid: max(z, 0) − z·label + log(1 + e^−|z|), which no z overflows; gradient σ(z) − label.
 */
export function crossEntropy(
  loss: Loss,
  logits: ArrayLike<number>,
  labels: ArrayLike<number>,
): { readonly nats: Float64Array; readonly gradient: Float32Array; readonly correct: number } {
  const rows = labels.length
  const width = logits.length / rows
  const nats = new Float64Array(rows)
  const gradient = new Float32Array(logits.length)
  let correct = 0
  for (let row = 0; row < rows; row++) {
    const label = labels[row] as number
    if (loss === 'sigmoid-cross-entropy') {
      const z = logits[row] as number
      nats[row] = Math.max(z, 0) - z * label + Math.log1p(Math.exp(-Math.abs(z)))
      gradient[row] = 1 / (1 + Math.exp(-z)) - label
      if (z > 0 === (label === 1)) correct++
      continue
    }
    const first = row * width
    let largest = first
    for (let at = first + 1; at < first + width; at++) {
      if ((logits[at] as number) > (logits[largest] as number)) largest = at
    }
    const top = logits[largest] as number
    let sum = 0
    for (let at = first; at < first + width; at++) sum += Math.exp((logits[at] as number) - top)
    for (let at = first; at < first + width; at++) gradient[at] = Math.exp((logits[at] as number) - top) / sum
    gradient[first + label] = (gradient[first + label] as number) - 1
    nats[row] = Math.log(sum) + top - (logits[first + label] as number)
    if (largest === first + label) correct++
  }
  return { nats, gradient, correct }
}

/** Outputs that a model must have for a loss. */
export function outputsFor(loss: Loss, classes: number): number {
  return loss === 'sigmoid-cross-entropy' ? 1 : classes
}
