import {
  add,
  mul,
  reshape,
  sigmoid,
  split,
  stack,
  sub,
  type Tensor,
  type Tensor2D,
  tanh,
  unstack,
  zeros,
} from '@tensorflow/tfjs-core'
import type { Layer } from '#protocol/layers.ts'
import { multiply, rowsBy } from './dense.ts'
import { type Pass, rowsOf } from './pass.ts'

type Recurrent = Extract<Layer, { layer: 'lstm' | 'gru' | 'simpleRnn' }>
/** From what the input adds to a step's gates, [rows, gates × units]: what the step puts out. */
type Cell = (gates: Tensor2D) => Tensor

/** Unrolled; the input's share of every step is one product. What a backwards layer puts out stays in its step's place. */
export function applyRecurrent(layer: Recurrent, x: Tensor, { weight }: Pass): Tensor {
  const [rows, steps, width] = x.shape as [number, number, number]
  const bias = weight('bias')
  const [first, after] = layer.layer === 'gru' && layer.resetAfter ? split(bias, 2) : [bias]
  const shares = multiply(rowsBy(x, width), weight('kernel'), first)
  // TF.js's gradient of a pile of one is none.
  const gates = (steps === 1 ? [shares] : unstack(reshape(shares, [rows, steps, -1]), 1)) as Tensor2D[]
  const start = zeros([rowsOf(x), layer.units])
  const cell = cellOf(layer, weight, start, after)
  const out = (layer.backwards ? gates.toReversed() : gates).map(cell)
  if (!layer.sequences) return out.at(-1) as Tensor
  return stack(layer.backwards ? out.toReversed() : out, 1)
}

function cellOf({ layer, units }: Recurrent, weight: Pass['weight'], start: Tensor, after: Tensor | undefined): Cell {
  switch (layer) {
    case 'lstm':
      return lstmCell(weight, start)
    case 'gru':
      return gruCell(weight('recurrent_kernel'), start, units, after)
    case 'simpleRnn':
      return simpleCell(weight, start)
  }
}

function simpleCell(weight: Pass['weight'], start: Tensor): Cell {
  const recurrent = weight('recurrent_kernel')
  let hidden = start
  return (share) => {
    hidden = tanh(add(share, multiply(hidden, recurrent, undefined)))
    return hidden
  }
}

function lstmCell(weight: Pass['weight'], start: Tensor): Cell {
  const recurrent = weight('recurrent_kernel')
  let [hidden, carry] = [start, start]
  return (gates) => {
    const [input, forget, change, output] = split(add(gates, multiply(hidden, recurrent, undefined)), 4, 1) as Four
    carry = add(mul(sigmoid(forget), carry), mul(sigmoid(input), tanh(change)))
    hidden = mul(sigmoid(output), tanh(carry))
    return hidden
  }
}

type Four = [Tensor, Tensor, Tensor, Tensor]

/** @param after biases of what the step before put out: the reset gate is then of the product, which is one for all gates */
function gruCell(recurrent: Tensor, start: Tensor, units: number, after: Tensor | undefined): Cell {
  const apart = (x: Tensor) => split(x, [2 * units, units], 1) as [Tensor, Tensor]
  const [both, own] = after ? [] : apart(recurrent)
  let hidden = start
  return (gates) => {
    const [shareOfBoth, share] = apart(gates)
    const [backOfBoth, back] = both ? [multiply(hidden, both, undefined)] : apart(multiply(hidden, recurrent, after))
    const [update, reset] = split(sigmoid(add(shareOfBoth, backOfBoth)), 2, 1) as [Tensor, Tensor]
    const change = tanh(add(share, own ? multiply(mul(reset, hidden), own, undefined) : mul(reset, back as Tensor)))
    hidden = add(change, mul(update, sub(hidden, change)))
    return hidden
  }
}
