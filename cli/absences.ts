import type { ApiEvent } from '#sdk/sse.ts'
import { ruleFix } from './site-rules.ts'

const ALIKE =
  'from this very model a sum was made before, of almost the same sites, and the two would tell one site apart: take the ' +
  'same sites as then, another seed for the task, or another round to start from'
/** What a reason means for whoever launched the run, where its name does not tell. */
const MEANS: ReadonlyMap<string, string> = new Map([
  ['data-contract', 'the data is not as the task asks, and the terminal of the site says in what'],
  ['no-data', 'no row is left to train on'],
  ['sums-too-alike', ALIKE],
  ['too-many-sums', ALIKE],
])

/** Why sites were not in the latest round of a run, or not to its end, as its events tell it. */
export class Absences {
  readonly #nodes = new Map<string, Set<string>>()

  follow({ type, node, reason }: ApiEvent): void {
    if (type === 'round.opened') this.#nodes.clear()
    if (type !== 'node.left' && type !== 'node.declined') return
    const nodes = this.#nodes.get(String(reason)) ?? new Set()
    this.#nodes.set(String(reason), nodes.add(String(node)))
  }

  /** A line for each reason, that of most sites first. */
  lines(): readonly (readonly [label: string, text: string])[] {
    return [...this.#nodes]
      .toSorted(([, a], [, b]) => b.size - a.size)
      .map(([reason, { size }]) => {
        const means = MEANS.get(reason) ?? ruleFix(reason)
        return ['away', `${size} ${size === 1 ? 'site' : 'sites'}: ${reason}${means ? `, ${means}` : ''}`] as const
      })
  }
}
