import { z } from 'zod'
import { architectureSchema } from '#protocol/architecture-schema.ts'
import { toHex } from '#protocol/bytes.ts'
import { cidField, millisField } from '#protocol/codec.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { EVENT_BYTES_MAX } from '#protocol/limits.ts'
import { modelSchema } from '#protocol/manifest.ts'
import { shareOf } from '#protocol/places.ts'
import type { BlobStore, Clock, EventLog } from '#protocol/ports.ts'
import type { Task } from '#protocol/task.ts'
import type { createRunSchema } from './api/schemas.ts'
import { Chronicle } from './chronicle.ts'
import { readBlock } from './record.ts'

/** Tasks that were posted, which a look goes through; of these a federation has its share. */
const TASKS_MAX = 100_000

const postedSchema = z.strictObject({
  kind: z.literal('posted'),
  task: cidField,
  at: millisField,
  /** The federation of the key that posted it. */
  federation: z.string().max(100).nullable(),
})
type PostedEvent = z.output<typeof postedSchema>
export type Posted = Omit<PostedEvent, 'kind'>

/** Which tasks were posted here, by whom first: the tasks themselves are blocks, and tasks of runs are known by their runs. */
export class Tasks {
  readonly #clock: Clock
  readonly #chronicle: Chronicle<PostedEvent, Map<string, Posted>>

  constructor({ log, clock }: { readonly log: EventLog; readonly clock: Clock }) {
    this.#clock = clock
    this.#chronicle = new Chronicle<PostedEvent, Map<string, Posted>>({
      ...{ log, stream: 'tasks', schema: postedSchema, entryBytesMax: EVENT_BYTES_MAX, state: new Map() },
      step: (state, { kind: _, ...posted }) => void state.set(keyOf(posted), posted),
    })
  }

  /** Those that a key of this federation has posted; all of them where it is of none. */
  posted(federation: string | null): Promise<readonly Posted[]> {
    return this.#chronicle.read((state) =>
      [...state.values()].filter((one) => federation === null || one.federation === federation),
    )
  }

  /** A repeat changes nothing. @returns when it was first posted; undefined where the list is full */
  post(task: Cid, federation: string | null): Promise<Millis | undefined> {
    return this.#chronicle.write<Millis | undefined>((state) => {
      const posted: Posted = { task, at: this.#clock.now(), federation }
      const known = state.get(keyOf(posted))
      const own = [...state.values()].filter((one) => one.federation === federation).length
      const isFull = state.size >= TASKS_MAX || (federation !== null && own >= shareOf(TASKS_MAX))
      if (known || isFull) return { events: [], answer: known?.at }
      return { events: [{ kind: 'posted', ...posted }], answer: posted.at }
    })
  }
}

function keyOf({ task, federation }: Pick<Posted, 'task' | 'federation'>): string {
  return `${federation ?? ''} ${task}`
}

/** A task as it is posted: whoever posts this has the same task. */
export async function orderOfTask(blobs: BlobStore, task: Task): Promise<z.input<typeof createRunSchema>['task']> {
  const { v: _, seed, architecture, genesis, start, ...rest } = task
  const layers = await readBlock(blobs, architecture, architectureSchema)
  const weights = start && { weights: (await readBlock(blobs, genesis, modelSchema)).weights }
  return { ...rest, seed: toHex(seed), architecture: layers, ...weights } as z.input<typeof createRunSchema>['task']
}
