import { z } from 'zod'
import { cidField, count, millisField, runIdField } from '#protocol/codec.ts'
import type { Bytes, Cid, NodeId, RunId } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX, EVENT_BYTES_MAX } from '#protocol/limits.ts'
import { Places, shareOf } from '#protocol/places.ts'
import { BlobMissing, type BlobStore, type Clock, type EventLog } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import type { AskedFor } from '#verify/asked.ts'
import type { Verdict } from '#verify/verdict.ts'
import { Chronicle } from './chronicle.ts'

/** Records that wait to be verified in one process, of which each who asks has a share: whoever comes after them may ask another day. */
const WAITING_MAX = 16
const DETAIL_CHARS_MAX = 500
const tally = count(Number.MAX_SAFE_INTEGER)

const common = { run: runIdField, root: cidField, at: millisField, tookMillis: millisField }
const verificationSchema = z.discriminatedUnion('verdict', [
  z.strictObject({
    verdict: z.literal('proved'),
    ...common,
    closed: tally,
    aborted: tally,
    /** Sums that were added up again; those of which the vectors are not public; those of which they are gone. */
    recomputed: tally,
    committed: tally,
    expired: tally,
    nodes: tally,
    blocks: tally,
    bytes: tally,
    signatures: tally,
  }),
  z.strictObject({
    verdict: z.literal('refuted'),
    ...common,
    step: z.string().max(100),
    round: tally.nullable(),
    detail: z.string().max(DETAIL_CHARS_MAX),
  }),
])
export type Verification = z.output<typeof verificationSchema>

type VerificationsDoors = {
  readonly log: EventLog
  readonly clock: Clock
  readonly blobs: BlobStore
  /** Who must have signed the records. */
  readonly coordinator: NodeId
  readonly verify: (
    root: Cid,
    block: (cid: Cid) => Promise<Bytes | undefined>,
    options: { readonly coordinator: NodeId; readonly asked: AskedFor; readonly allowExpired: boolean },
  ) => Promise<Verdict>
}
type Asked = {
  readonly run: RunId
  readonly root: Cid
  readonly allowExpired: boolean
  /** Whose places it takes while it waits. */
  readonly by: string
}

/**
 * Runs' records done again by the coordinator that wrote them, one at a time in each process: what came of it is kept, once for
 * each record. It proves to nobody else what they can do themselves; it shows whether this disk still holds what was written.
 */
export class Verifications {
  readonly #doors: VerificationsDoors
  readonly #chronicle: Chronicle<Verification, Map<Cid, Verification>>
  readonly #running = new Map<Cid, Promise<Verification>>()
  readonly #places = new Places({ total: WAITING_MAX, each: shareOf(WAITING_MAX) })
  #last: Promise<unknown> = Promise.resolve()

  constructor(doors: VerificationsDoors) {
    this.#doors = doors
    this.#chronicle = new Chronicle<Verification, Map<Cid, Verification>>({
      ...{ log: doors.log, stream: 'verifications', schema: verificationSchema, entryBytesMax: EVENT_BYTES_MAX },
      ...{ state: new Map(), step: (state, event) => void state.set(event.root, event) },
    })
  }

  /** What came of a record's last verification. */
  of(root: Cid): Promise<Verification | undefined> {
    return this.#chronicle.read((state) => state.get(root))
  }

  /** Whether this process is at it, or about to be. */
  isRunning(root: Cid): boolean {
    return this.#running.has(root)
  }

  /** Begins, joins what has begun, or answers what came of it. Rejects with the world's faults. */
  async ask(asked: Asked): Promise<Result<Promise<Verification>, 'too-many'>> {
    const known = await this.of(asked.root)
    if (known) return accept(Promise.resolve(known))
    const running = this.#running.get(asked.root)
    if (running) return accept(running)
    const place = this.#places.take(asked.by)
    if (!place) return refuse('too-many', `${this.#running.size} records wait already`)
    const turn = this.#last
      .then(() => this.#verify(asked))
      .finally(() => {
        place[Symbol.dispose]()
        this.#running.delete(asked.root)
      })
    this.#running.set(asked.root, turn)
    this.#last = turn.catch(() => undefined)
    return accept(turn)
  }

  async #verify({ run, root, allowExpired }: Asked): Promise<Verification> {
    const { clock, blobs, verify, coordinator } = this.#doors
    const from = clock.now()
    const block = (cid: Cid) =>
      blobs.getBlock(cid, BLOCK_BYTES_MAX).catch((cause: unknown) => {
        if (cause instanceof BlobMissing) return undefined
        throw cause
      })
    const verdict = await verify(root, block, { coordinator, asked: { run }, allowExpired })
    const at = clock.now()
    const made = verificationOf(verdict, { run, root, at, tookMillis: at - from })
    return this.#chronicle.write((state) => {
      const known = state.get(root)
      return known ? { events: [], answer: known } : { events: [made], answer: made }
    })
  }
}

function verificationOf(
  verdict: Verdict,
  head: Pick<Verification, 'run' | 'root' | 'at' | 'tookMillis'>,
): Verification {
  if (!verdict.ok) {
    const { step, round = null, detail } = verdict
    return { verdict: 'refuted', ...head, step, round, detail: detail.slice(0, DETAIL_CHARS_MAX) }
  }
  const { rounds, nodes, checked } = verdict
  const those = (matches: (round: (typeof rounds)[number]) => boolean) => rounds.filter(matches).length
  return {
    ...{ verdict: 'proved', ...head },
    closed: those(({ outcome }) => outcome === 'closed'),
    aborted: those(({ outcome }) => outcome === 'aborted'),
    recomputed: those(({ vectors }) => vectors === 'recomputed'),
    committed: those(({ vectors }) => vectors === 'committed'),
    expired: those(({ vectors }) => vectors === 'expired'),
    ...{ nodes: nodes.length, ...checked },
  }
}
