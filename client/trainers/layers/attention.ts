import { add, matMul, mul, reshape, softmax, type Tensor, tensor, transpose } from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import { applyDropout } from './dropout.ts'
import type { Pass } from './pass.ts'

/** softmax(Q·Kᵀ ÷ √depth)·V for each head. @param from queries, keys and values, [rows, steps, heads × depth] each */
export function applyAttention(
  { heads, causal, dropoutMicro }: Extract<Layer, { layer: 'attention' }>,
  from: readonly [Tensor, Tensor, Tensor],
  pass: Pass,
): Tensor {
  const [queries, keys, values] = from.map((each) => split(each, heads)) as [Tensor, Tensor, Tensor]
  const depth = queries.shape[2] as number
  const scores = mul(matMul(queries, keys, false, true), 1 / Math.sqrt(depth))
  const seen = causal ? add(scores, later(scores.shape[1] as number, scores.shape[2] as number)) : scores
  const shares = softmax(seen)
  return join(matMul(dropoutMicro ? applyDropout(dropoutMicro, shares, pass) : shares, values), heads)
}

/** [rows, steps, heads × depth] → [rows × heads, steps, depth] */
function split(x: Tensor, heads: number): Tensor {
  const [rows, steps, width] = x.shape as [number, number, number]
  if (heads === 1) return x
  const apart = transpose(reshape(x, [rows, steps, heads, width / heads]), [0, 2, 1, 3])
  return reshape(apart, [rows * heads, steps, width / heads])
}

function join(x: Tensor, heads: number): Tensor {
  if (heads === 1) return x
  const [all, steps, depth] = x.shape as [number, number, number]
  const together = transpose(reshape(x, [all / heads, heads, steps, depth]), [0, 2, 1, 3])
  return reshape(together, [all / heads, steps, heads * depth])
}

/** So far below every score that e to it is zero: what a step may not see. No infinity, which would make a NaN of zero. */
const UNSEEN = -1e9

function later(queries: number, keys: number): Tensor {
  const mask = new Float32Array(queries * keys)
  for (let query = 0; query < queries; query++) mask.fill(UNSEEN, query * keys + query + 1, (query + 1) * keys)
  return tensor(mask, [queries, keys])
}
