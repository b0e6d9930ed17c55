import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import {
  COUNTERS,
  type CounterName,
  configurationOf,
  GAUGES,
  type GaugeName,
  HISTOGRAMS,
  type HistogramName,
  SECONDS,
  toldFromTheStart,
} from './measures.ts'

/** What there is of a gauge now: of one without labels a number, else a number for each value of its label. */
export type Gauges = Readonly<Partial<Record<GaugeName, number | Readonly<Record<string, number>>>>>
type Reason = CounterName extends `${infer Short}_total` ? Short : never

/** What happened how often, what takes how long, and what there is: read as Prometheus text at `/metrics`. */
export class Counters {
  readonly #registry = new Registry()
  readonly #counters = new Map<string, Counter>()
  readonly #histograms = new Map<string, Histogram>()
  readonly #gauges = new Map<string, Gauge>()
  readonly #watched: (() => Gauges | Promise<Gauges>)[] = []

  constructor() {
    const registers = [this.#registry]
    for (const [name, described] of Object.entries(COUNTERS)) {
      const counter = new Counter({ ...configurationOf(name, described), registers })
      for (const labels of toldFromTheStart(described)) counter.inc(labels, 0)
      this.#counters.set(name, counter)
    }
    for (const [name, described] of Object.entries(HISTOGRAMS)) {
      const histogram = new Histogram({ ...configurationOf(name, described), buckets: SECONDS, registers })
      for (const labels of toldFromTheStart(described)) histogram.zero(labels)
      this.#histograms.set(name, histogram)
    }
    for (const [name, described] of Object.entries(GAUGES))
      this.#gauges.set(name, new Gauge({ ...configurationOf(name, described), registers }))
  }

  /** @param name a counter's without `_total` @param label of its only label, where it has one */
  count(name: Reason, label?: string, by = 1): void {
    const counter = this.#counters.get(`${name}_total`) as Counter
    const [labelName] = COUNTERS[`${name}_total`].labels
    if (labelName !== undefined && label !== undefined) counter.inc({ [labelName]: label }, by)
    else counter.inc(by)
  }

  /** @param labels by name, each that the histogram has */
  time(name: HistogramName, seconds: number, labels: Readonly<Record<string, string>> = {}): void {
    this.#histograms.get(name)?.observe(labels, seconds)
  }

  /** What there is now, read when it is asked for. */
  watch(gauges: () => Gauges | Promise<Gauges>): void {
    this.#watched.push(gauges)
  }

  async of(name: Reason, label: string): Promise<number> {
    const [labelName] = COUNTERS[`${name}_total`].labels
    const { values } = await (this.#counters.get(`${name}_total`) as Counter).get()
    return values.find(({ labels }) => labelName !== undefined && labels[labelName] === label)?.value ?? 0
  }

  async text(): Promise<string> {
    for (const gauges of await Promise.all(this.#watched.map((read) => read())))
      for (const [name, value] of Object.entries(gauges)) this.#set(name as GaugeName, value)
    return this.#registry.metrics()
  }

  #set(name: GaugeName, value: number | Readonly<Record<string, number>>): void {
    const gauge = this.#gauges.get(name) as Gauge
    if (typeof value === 'number') return gauge.set(value)
    const [labelName] = GAUGES[name].labels
    gauge.reset()
    for (const [label, one] of Object.entries(value)) gauge.set({ [labelName as string]: label }, one)
  }
}
