import { mul, type Tensor, tensor } from '@tensorflow/tfjs-core'
import type { Pass } from './pass.ts'

/** Each value with probability 1 − rate, scaled up so that its expectation stays: Srivastava et al. 2014, §10. */
export function applyDropout(rateMicro: number, x: Tensor, { training }: Pass): Tensor {
  if (!training) return x
  const { next } = training
  const threshold = Math.round((rateMicro / 1e6) * 2 ** 32)
  const scale = 1 / (1 - rateMicro / 1e6)
  const mask = new Float32Array(x.size)
  for (let at = 0; at < mask.length; at++) if (next() >= threshold) mask[at] = scale
  return mul(x, tensor(mask, x.shape))
}
