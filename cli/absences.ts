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

/** Why sites were not in the latest round of a run, or not to its end. */
export class Absences {
  readonly #declined = new Map<string, string>()

  /** Whoever declines has no seat: the events of the round alone tell of it. */
  follow({ type, node, reason }: ApiEvent): void {
    if (type === 'round.opened') this.#declined.clear()
    if (type === 'node.declined') this.#declined.set(String(node), String(reason))
  }

  /**
   * A line for each reason, that of most sites first.
   *
   * @param seats of that round, when it is over
   */
  lines(seats: readonly Seat[]): readonly (readonly [label: string, text: string])[] {
    const left = seats.flatMap(({ reason }) => (reason === null || reason === OTHERS_FAILED ? [] : [reason]))
    const counted = Map.groupBy([...this.#declined.values(), ...left], (reason) => reason)
    return [...counted]
      .toSorted(([, a], [, b]) => b.length - a.length)
      .map(([reason, { length }]) => {
        const means = MEANS.get(reason) ?? ruleFix(reason)
        return ['away', `${length} ${length === 1 ? 'site' : 'sites'}: ${reason}${means ? `, ${means}` : ''}`] as const
      })
  }
}

type Seat = { readonly reason: string | null }
/** Of a seat that did all that it had time for. */
const OTHERS_FAILED = 'round-ended'
