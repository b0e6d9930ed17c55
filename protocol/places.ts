/**
 * Places of which each holder may take a share: whoever keeps all that it gets cannot keep the others out. What is
 * remembered is who holds one now, so it is bounded by the places.
 */
export class Places {
  readonly #rule: PlacesRule
  readonly #held = new Map<string, number>()
  #taken = 0

  constructor(rule: PlacesRule) {
    this.#rule = rule
  }

  get taken(): number {
    return this.#taken
  }

  get isFull(): boolean {
    return this.#taken >= this.#rule.total
  }

  /** A place, to be given back; undefined where none is free, or none for this holder. */
  take(holder: string): Disposable | undefined {
    const held = this.#held.get(holder) ?? 0
    if (this.isFull || held >= this.#rule.each) return undefined
    this.#held.set(holder, held + 1)
    this.#taken++
    let given = false
    return {
      [Symbol.dispose]: () => {
        if (given) return
        given = true
        this.#taken--
        const left = (this.#held.get(holder) as number) - 1
        if (left > 0) this.#held.set(holder, left)
        else this.#held.delete(holder)
      },
    }
  }
}

/** What one holder may have of so many that all have together. */
export function shareOf(total: number): number {
  return Math.max(1, Math.floor((total * 3) / 4))
}

/** How many there are, and how many one holder may have. */
export type PlacesRule = { readonly total: number; readonly each: number }

/**
 * Whose places an address takes. A subscriber of IPv6 has a whole /64 to call from, so that counts as one; an IPv4 address
 * in IPv6's clothes is itself.
 */
export function holderOf(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)
  if (mapped) return mapped[1] as string
  if (!address.includes(':')) return address
  const [head = '', tail] = (address.split('%')[0] as string).split('::')
  const [first, last] = [head, tail ?? ''].map((part) => part.split(':').filter((group) => group !== ''))
  const zeros = tail === undefined ? 0 : 8 - (first?.length ?? 0) - (last?.length ?? 0)
  const groups = [...(first ?? []), ...new Array<string>(Math.max(0, zeros)).fill('0'), ...(last ?? [])]
  return `${groups
    .slice(0, 4)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ''))
    .join(':')}::/64`
}
