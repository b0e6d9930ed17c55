import { z } from 'zod'
import { millisField, nodeIdField } from '#protocol/codec.ts'
import type { Millis, NodeId } from '#protocol/ids.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Chronicle } from './chronicle.ts'

const ENTRY_BYTES_MAX = 256
/** As many as may be linked to one process. */
const DRAINED_MAX = 20_000
/** After which no node is drained any more, in a stream that is read whole at a start; each can still be resumed. */
const ENTRIES_MAX = 200_000

const drainEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('drained'), node: nodeIdField, at: millisField }),
  z.strictObject({ kind: z.literal('resumed'), node: nodeIdField, at: millisField }),
])
type DrainEvent = z.output<typeof drainEventSchema>
/** Since when. */
type State = Map<NodeId, Millis>

/** What became of it, and whether that is new. */
export type Drained = { readonly since: Millis | null; readonly isNew: boolean }

/**
 * Nodes that whoever runs the coordinator invites to no new round, until he does again: for every process, and over restarts.
 * What they have begun they finish, and what they have earned is theirs. A node that its own runner holds back is another
 * thing, and is told of nowhere here.
 */
export class Drains {
  readonly #clock: Clock
  readonly #chronicle: Chronicle<DrainEvent, State>

  constructor({ log, clock }: { readonly log: EventLog; readonly clock: Clock }) {
    this.#clock = clock
    this.#chronicle = new Chronicle<DrainEvent, State>({
      ...{ log, stream: 'drains', schema: drainEventSchema, entryBytesMax: ENTRY_BYTES_MAX },
      ...{ state: new Map(), step },
    })
  }

  /** Of all that are, since when. */
  all(): Promise<ReadonlyMap<NodeId, Millis>> {
    return this.#chronicle.read((drained) => new Map(drained))
  }

  has(node: NodeId): Promise<boolean> {
    return this.#chronicle.read((drained) => drained.has(node))
  }

  /** Durable when it answers. */
  drain(node: NodeId): Promise<Result<Drained, 'too-many'>> {
    const at = this.#clock.now()
    return this.#chronicle.write<Result<Drained, 'too-many'>>((drained, position) => {
      const since = drained.get(node)
      if (since !== undefined) return { events: [], answer: accept({ since, isNew: false }) }
      if (drained.size >= DRAINED_MAX)
        return { events: [], answer: refuse('too-many', `${drained.size} nodes are drained`) }
      if (position >= ENTRIES_MAX)
        return { events: [], answer: refuse('too-many', 'the list of all that ever were is full') }
      return { events: [{ kind: 'drained', node, at }], answer: accept({ since: at, isNew: true }) }
    })
  }

  /** Durable when it answers. */
  resume(node: NodeId): Promise<Drained> {
    const at = this.#clock.now()
    return this.#chronicle.write<Drained>((drained) => {
      const isNew = drained.has(node)
      return { events: isNew ? [{ kind: 'resumed', node, at }] : [], answer: { since: null, isNew } }
    })
  }
}

function step(drained: State, event: DrainEvent): void {
  if (event.kind === 'drained') drained.set(event.node, event.at)
  else drained.delete(event.node)
}
