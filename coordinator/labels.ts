import { z } from 'zod'
import { millisField, nameField } from '#protocol/codec.ts'
import type { Millis, RunId } from '#protocol/ids.ts'
import { EVENT_BYTES_MAX } from '#protocol/limits.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Chronicle } from './chronicle.ts'
import { within } from './pause.ts'

/** Of one run. */
export const LABELS_MAX = 16
/** Entries of the stream, which is read whole at a start. */
const CHANGES_MAX = 100_000
/** A view says what a run is called; it is not kept waiting by a log that is away. */
const HEARD_MILLIS: Millis = 1000

export const labelKeyField = z.string().regex(/^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/)
export const labelValueField = z.string().regex(/^[A-Za-z0-9]([A-Za-z0-9 ._/+@-]{0,61}[A-Za-z0-9])?$/)

const labelledSchema = z.strictObject({
  kind: z.literal('labelled'),
  run: z.string().max(64),
  at: millisField,
  /** As it is from then on, both. */
  name: nameField.nullable(),
  labels: z.record(labelKeyField, labelValueField).readonly(),
})
type LabelledEvent = z.output<typeof labelledSchema>

/** What people call a run; its task's name where that is null. */
export type Labelled = Pick<LabelledEvent, 'name' | 'labels'>
/** What is left out stays as it is, and so does a label that is not named; one that is null is taken off. */
export type Relabelling = {
  readonly name?: string | null | undefined
  readonly labels?: Readonly<Record<string, string | null>> | undefined
}
export type Lookup = (run: RunId) => Labelled
type State = Map<string, Labelled>

const UNLABELLED: Labelled = { name: null, labels: {} }

/**
 * What people call runs, by which they find them again: of no consequence to a run, and so in no record of its, nor in its
 * stream, which ends with it.
 */
export class Labels {
  readonly #clock: Clock
  readonly #state: State = new Map()
  readonly #chronicle: Chronicle<LabelledEvent, State>

  constructor({ log, clock }: { readonly log: EventLog; readonly clock: Clock }) {
    this.#clock = clock
    this.#chronicle = new Chronicle<LabelledEvent, State>({
      ...{ log, stream: 'run-labels', schema: labelledSchema, entryBytesMax: EVENT_BYTES_MAX, state: this.#state },
      step: (state, { run, name, labels }) => void state.set(run, { name, labels: ordered(Object.entries(labels)) }),
    })
  }

  /** Hears first what other processes have written, if that can be had soon. */
  async lookup(): Promise<Lookup> {
    const heard = this.#chronicle.read(() => undefined)
    await within(this.#clock, HEARD_MILLIS, heard).catch(() => undefined)
    return (run) => this.#state.get(run) ?? UNLABELLED
  }

  /**
   * A repeat changes nothing.
   *
   * @param may judges what stands
   */
  change(
    run: RunId,
    { name, labels = {} }: Relabelling,
    may: (standing: Labelled) => boolean,
  ): Promise<Result<Labelled, 'stale' | 'too-many-labels' | 'too-many-changes'>> {
    type Answer = Result<Labelled, 'stale' | 'too-many-labels' | 'too-many-changes'>
    return this.#chronicle.write<Answer>((state, position) => {
      const none = (answer: Answer) => ({ events: [], answer })
      const standing = state.get(run) ?? UNLABELLED
      if (!may(standing)) return none(refuse('stale'))
      const next = { name: name === undefined ? standing.name : name, labels: merged(standing.labels, labels) }
      if (isSame(next, standing)) return none(accept(standing))
      if (Object.keys(next.labels).length > LABELS_MAX) return none(refuse('too-many-labels'))
      if (position >= CHANGES_MAX) return none(refuse('too-many-changes'))
      return { events: [{ kind: 'labelled', run, at: this.#clock.now(), ...next }], answer: accept(next) }
    })
  }
}

function merged(standing: Labelled['labels'], change: NonNullable<Relabelling['labels']>): Labelled['labels'] {
  return ordered(
    Object.entries({ ...standing, ...change }).filter((pair): pair is [string, string] => pair[1] !== null),
  )
}

/** So that a view, and with it its ETag, is the same at every process: what comes from the log is ordered otherwise. */
function ordered(labels: readonly (readonly [string, string])[]): Labelled['labels'] {
  return Object.fromEntries(labels.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

function isSame(a: Labelled, b: Labelled): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
