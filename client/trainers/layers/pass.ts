import type { Tensor, Variable } from '@tensorflow/tfjs-core'

/** One way through a network, as one of its layers sees it. */
export type Pass = {
  /** A weight of this layer by what comes after its name. */
  readonly weight: (part: string) => Variable
  /** Undefined outside training. */
  readonly training: Training | undefined
}

/** What training does besides: it draws, and it takes statistics of every batch. */
export type Training = {
  /** Seeded 32-bit words. */
  readonly next: () => number
}

/** Rows of a batch. */
export function rowsOf(x: Tensor): number {
  return x.shape[0] as number
}
