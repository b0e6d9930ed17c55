/**
 * What happened how often, by name: refusals above all. Names come from our own tables, never from a peer, so their
 * number is bounded. Read as Prometheus text at `/metrics`.
 */
export class Counters {
  readonly #counts = new Map<string, number>()
  readonly #gauges: (() => Readonly<Record<string, number>>)[] = []

  /** @param name a metric's name without the `consilium_` prefix and `_total` suffix */
  count(name: string, reason: string): void {
    const key = `consilium_${name}_total{reason="${reason}"}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** What there is now, read when it is asked for. */
  watch(gauges: () => Readonly<Record<string, number>>): void {
    this.#gauges.push(gauges)
  }

  of(name: string, reason: string): number {
    return this.#counts.get(`consilium_${name}_total{reason="${reason}"}`) ?? 0
  }

  text(): string {
    const gauges = this.#gauges.flatMap((read) =>
      Object.entries(read()).map(([name, value]) => [`consilium_${name}`, value] as const),
    )
    const lines = [...this.#counts, ...gauges]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `${key} ${value}\n`)
    return lines.join('')
  }
}
