/** What was seen lately, by name: at most so many, the first to come the first to go. */
export class Recent<K, V> {
  readonly #max: number
  readonly #seen = new Map<K, V>()

  constructor(max: number) {
    this.#max = max
  }

  get(name: K): V | undefined {
    return this.#seen.get(name)
  }

  set(name: K, value: V): void {
    const [oldest] = this.#seen.keys()
    if (this.#seen.size >= this.#max && oldest !== undefined) this.#seen.delete(oldest)
    this.#seen.set(name, value)
  }

  /** What is being made, once for all who ask meanwhile; forgotten where it fails, so that the next may try again. */
  static once<K, T>(recent: Recent<K, Promise<T>>, name: K, make: () => Promise<T>): Promise<T> {
    const known = recent.#seen.get(name)
    if (known) return known
    const made = make()
    recent.set(name, made)
    made.catch(() => recent.#seen.delete(name))
    return made
  }
}
