import { unitStream } from '#aggregation/rng.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'

/** Reals in [0, 1). */
export type Draw = () => number

/**
 * What a seed draws, by purpose: each has a stream of its own, so that one more draw of one kind changes nothing about the
 * others, and a seed that failed fails again as long as what failed is still drawn.
 */
export type Chance = (purpose: string) => Draw

export function chanceOf(seed: number): Chance {
  return (purpose) => unitStream(sha256(utf8(`sim ${seed} ${purpose}`)))
}

export function pick<T>(draw: Draw, of: readonly T[]): T {
  return of[Math.floor(draw() * of.length)] as T
}
