import type { ApiEvent } from '#sdk/sse.ts'

/** That a round waits for sites, told where it opens with fewer than it needs: nothing else happens until some have linked. */
export class Shortage {
  readonly #needed: number | undefined
  #told: number | undefined

  /** @param needed sites that a round needs; where that is not known, none being there is what is told */
  constructor(needed: number | undefined) {
    this.#needed = needed
  }

  /** @returns a line for whoever waits; not again as long as as many are there */
  follow({ type, round, invited }: ApiEvent): string | undefined {
    if (type !== 'round.opened' || typeof invited !== 'number') return undefined
    const isShort = invited < (this.#needed ?? 1)
    if (!isShort || this.#told === invited) {
      if (!isShort) this.#told = undefined
      return undefined
    }
    this.#told = invited
    const linked = `${invited} ${invited === 1 ? 'node' : 'nodes'} linked`
    const needed = this.#needed === undefined ? '' : `, ${this.#needed} needed`
    return `round ${String(round)} waits for nodes of its population: ${linked}${needed}`
  }
}
