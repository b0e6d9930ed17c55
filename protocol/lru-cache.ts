/** What was used last, up to so many bytes: whatever was not used for longest is dropped first. */
export class LruCache<K, V> {
  readonly #rule: LruRule<K, V>
  /** Least recently used first. */
  readonly #kept = new Map<K, V>()
  #keptBytes = 0

  constructor(rule: LruRule<K, V>) {
    this.#rule = rule
  }

  get keptBytes(): number {
    return this.#keptBytes
  }

  get(key: K): V | undefined {
    const value = this.#kept.get(key)
    if (value === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, value)
    return value
  }

  /** In place of what was under this key. One of more than an eighth of the whole is not kept: it would push out too much. */
  keep(key: K, value: V): void {
    this.drop(key)
    const bytes = this.#rule.bytesOf(value)
    if (bytes > this.#rule.limitBytes / 8) {
      this.#rule.dropped?.(key)
      return
    }
    this.#kept.set(key, value)
    this.#keptBytes += bytes
    for (const old of this.#kept.keys()) {
      if (this.#keptBytes <= this.#rule.limitBytes) return
      this.drop(old)
    }
  }

  drop(key: K): void {
    const value = this.#kept.get(key)
    if (value === undefined) return
    this.#kept.delete(key)
    this.#keptBytes -= this.#rule.bytesOf(value)
    this.#rule.dropped?.(key)
  }
}

type LruRule<K, V> = {
  readonly limitBytes: number
  /** What one value counts for, always the same. */
  readonly bytesOf: (value: V) => number
  /** Hears of what is not kept, or not any more. */
  readonly dropped?: (key: K) => void
}
