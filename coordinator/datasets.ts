import { z } from 'zod'
import { count, type DecodeRefusal, decode, millisField, nodeIdField } from '#protocol/codec.ts'
import { DATASET_BYTES_MAX, datasetSchema, type PublicDataset } from '#protocol/dataset.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Millis, NodeId } from '#protocol/ids.ts'
import type { ClientMessage } from '#protocol/messages.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Chronicle } from './chronicle.ts'
import { OwnWords, type OwnWordsBounds } from './own-words.ts'

/** What says nothing new is no entry; what says something new is one, at most so often for each node. */
const PUBLISH_MILLIS_MIN: Millis = 60_000
/** The dataset, and who says it and when. */
const ENTRY_BYTES_MAX = DATASET_BYTES_MAX + 512

/** A day of the largest tables is thirty megabytes, and of usual ones a tenth. */
const BOUNDS: OwnWordsBounds = { nodes: 2048, dayEntries: 1000, entries: 50_000 }

const datasetEventSchema = z.strictObject({
  kind: z.literal('published'),
  at: millisField,
  node: nodeIdField,
  seq: count(Number.MAX_SAFE_INTEGER),
  dataset: datasetSchema.nullable(),
})
type DatasetEvent = z.output<typeof datasetEventSchema>

/** What a node says in public of its data; null where it has taken that back. */
export type Published = Omit<DatasetEvent, 'kind'>
export type DatasetRefusal = 'block-missing' | 'replayed' | 'too-often' | 'too-many'

/** What nodes publish of their data, whichever process they said it to. */
export class Datasets {
  readonly #clock: Clock
  readonly #bounds: OwnWordsBounds
  readonly #chronicle: Chronicle<DatasetEvent, OwnWords<Published>>

  constructor({ log, clock }: { readonly log: EventLog; readonly clock: Clock }, bounds = BOUNDS) {
    this.#clock = clock
    this.#bounds = bounds
    this.#chronicle = new Chronicle<DatasetEvent, OwnWords<Published>>({
      ...{ log, stream: 'datasets', schema: datasetEventSchema, entryBytesMax: ENTRY_BYTES_MAX },
      ...{ state: new OwnWords<Published>() },
      step: (state, event) => step(state, event, bounds),
    })
  }

  /** By node: those that are published. */
  all(): Promise<readonly (Published & { readonly dataset: PublicDataset })[]> {
    return this.#chronicle.read(({ nodes }) =>
      [...nodes.values()]
        .flatMap((one) => (one.dataset ? [{ ...one, dataset: one.dataset }] : []))
        .sort((a, b) => (a.node < b.node ? -1 : 1)),
    )
  }

  /** @param attached blocks that came along */
  async hear(
    node: NodeId,
    { seq, dataset: cid }: Extract<ClientMessage, { kind: 'dataset' }>,
    attached: readonly Block[],
  ): Promise<Result<void, DatasetRefusal | DecodeRefusal>> {
    if (cid === null) return this.publish(node, seq, null)
    const block = attached.find((one) => one.cid === cid)
    if (!block) return refuse('block-missing', `${cid} did not come along`)
    const dataset = decode(datasetSchema, block.bytes, DATASET_BYTES_MAX)
    return dataset.ok ? this.publish(node, seq, dataset.value) : dataset
  }

  /** What a node says last is what counts. */
  publish(node: NodeId, seq: number, dataset: PublicDataset | null): Promise<Result<void, DatasetRefusal>> {
    return this.#chronicle.write<Result<void, DatasetRefusal>>((state, position) => {
      const at = this.#clock.now()
      const none = (answer: Result<void, DatasetRefusal>) => ({ events: [], answer })
      const known = state.nodes.get(node)
      if (known && seq <= known.seq) return none(refuse('replayed'))
      // Told again since the link was made anew.
      if (isSame(known?.dataset ?? null, dataset)) return none(accept(undefined))
      // Whoever takes something back is not kept waiting.
      if (dataset && known && at < known.at + PUBLISH_MILLIS_MIN) return none(refuse('too-often'))
      if (dataset && state.isFull(position, at, this.#bounds))
        return none(refuse('too-many', 'so much is kept in one day'))
      return { events: [{ kind: 'published', at, node, seq, dataset }], answer: accept(undefined) }
    })
  }
}

function isSame(one: PublicDataset | null, other: PublicDataset | null): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function step(state: OwnWords<Published>, { kind: _, ...published }: DatasetEvent, bounds: OwnWordsBounds): void {
  state.count(published.at)
  state.remember(published.node, published, bounds)
}
