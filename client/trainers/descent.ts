import {
  add,
  div,
  keep,
  maximum,
  mul,
  scalar,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  tensor,
  tidy,
  type Variable,
} from '@tensorflow/tfjs-core'
import { assert } from '#protocol/assert.ts'
import type { Task } from '#protocol/task.ts'

/** From the gradients of the loss to those that an optimiser goes along. */
export type Descent = {
  /** @param gradients in the order of the variables @returns as many, which may be the same */
  along(gradients: readonly Tensor[]): readonly Tensor[]
  dispose(): void
}

/**
 * In this order, each where the task asks for it:
 *
 * FedProx: + μ·(w − w_t), the gradient of μ ÷ 2·‖w − w_t‖², w_t being the weights as they are now. Li et al. 2020
 * (arXiv:1812.06127), equation 2.
 *
 * Clipping: all gradients times C ÷ max(‖g‖, C), the norm being of all of them together. Pascanu et al. 2013
 * (arXiv:1211.5063), algorithm 1.
 *
 * SCAFFOLD: + (c − c_i), see {@link file://./scaffold.ts}. After clipping, so that the variates average what was clipped.
 */
export function openDescent(
  variables: readonly Variable[],
  { gradientNormMicro, proximalMicro }: Pick<Task, 'gradientNormMicro' | 'proximalMicro'>,
  correction?: Float32Array,
): Descent {
  const anchors = proximalMicro === undefined ? [] : variables.map((each) => keep(each.clone()))
  const corrections = correction ? tensorsOf(variables, correction) : []
  return {
    along(gradients) {
      const pulled =
        proximalMicro === undefined
          ? gradients
          : gradients.map((gradient, index) =>
              tidy(() => {
                const away = sub(variables[index] as Variable, anchors[index] as Tensor)
                return add(gradient, mul(away, proximalMicro / 1e6))
              }),
            )
      const clipped = gradientNormMicro === undefined ? pulled : clip(pulled, gradientNormMicro / 1e6)
      return correction ? clipped.map((gradient, index) => add(gradient, corrections[index] as Tensor)) : clipped
    },
    dispose() {
      for (const each of [...anchors, ...corrections]) each.dispose()
    },
  }
}

function clip(gradients: readonly Tensor[], normMax: number): readonly Tensor[] {
  const factor = tidy(() => {
    const squares = gradients.map((gradient) => sum(square(gradient)))
    const norm = sqrt(squares.reduce((total, each) => add(total, each)))
    return div(scalar(normMax), maximum(norm, normMax))
  })
  return gradients.map((gradient) => mul(gradient, factor))
}

/** One for each variable, in their order. */
function tensorsOf(variables: readonly Variable[], flat: Float32Array): readonly Tensor[] {
  const trainable = variables.reduce((total, each) => total + each.size, 0)
  assert(flat.length === trainable, 'a correction is of the trainable weights')
  let to = 0
  return variables.map((each) => {
    to += each.size
    return keep(tensor(flat.slice(to - each.size, to), each.shape))
  })
}
