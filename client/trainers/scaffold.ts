import { assert } from '#protocol/assert.ts'
import type { Optimiser } from '#protocol/task.ts'

/** How far a site went: the steps it took, and the rate of each. */
export type Walk = { readonly steps: number; readonly rate: number }

/**
 * A site's control variate after a fit: SCAFFOLD's option II (Karimireddy et al. 2020, arXiv:1910.06378, algorithm 1,
 * line 12), the mean of the gradients that it went down without the correction:
 *
 *     cᵢ⁺ = cᵢ − c + (x − yᵢ) ÷ (K·ηₗ)
 *
 * @param correction c − cᵢ, of the trainable weights @param delta yᵢ − x, of which those are the first
 */
export function nextControl(correction: Float32Array, delta: Float32Array, { steps, rate }: Walk): Float32Array {
  assert(steps > 0 && rate > 0 && correction.length <= delta.length, 'a site that was corrected has moved')
  return correction.map((each, index) => -each - (delta[index] as number) / (steps * rate))
}

/** The equation holds where every step is the rate times a gradient, and nowhere else. */
export function isPlain(optimiser: Optimiser): boolean {
  return optimiser.kind === 'sgd' && optimiser.momentumMicro === 0
}
