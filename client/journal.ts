import { z } from 'zod'
import type { Equivocation, Lie } from '#aggregation/secagg/equivocation.ts'
import type { Ending, Spending } from '#aggregation/secagg/spending.ts'
import {
  bytesField,
  cidField,
  count,
  decode,
  encode,
  isBytes,
  millisField,
  nodeIdField,
  runIdField,
} from '#protocol/codec.ts'
import type { Signed } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis, NodeId, Round, RunId } from '#protocol/ids.ts'
import { LOG_ENTRY_BYTES_MAX, PHASE_MILLIS_MAX, ROUNDS_MAX, SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import type { EventLog } from '#protocol/ports.ts'

const signed = z.strictObject({
  body: z.custom<Bytes>(isBytes, 'bytes'),
  from: nodeIdField,
  signature: bytesField(64),
  type: z.string(),
})

const sessionEntry = z.discriminatedUnion('kind', [
  /** What is about to be said, as it was signed. */
  z.strictObject({ kind: z.literal('said'), signed }),
  /** The advert belongs to this session, and to no other (R1). */
  z.strictObject({
    kind: z.literal('bound'),
    advert: cidField,
    sid: bytesField(32),
    u: count(SESSION_MEMBERS_MAX, 1),
  }),
  /** The masked vector that the next MaskedInput is about, and where it waits. */
  z.strictObject({
    kind: z.literal('vector'),
    cid: cidField,
    sizeBytes: count(Number.MAX_SAFE_INTEGER),
    trainMillis: count(PHASE_MILLIS_MAX),
  }),
  /** The members of the set that is certified: it goes before the Unmask that opens their sum. */
  z.strictObject({
    kind: z.literal('certified'),
    members: z.array(nodeIdField).max(SESSION_MEMBERS_MAX).readonly(),
  }),
  /** Two statements that no honest sender makes: a proof against whoever signed them, for anybody. */
  z.strictObject({ kind: z.literal('lie'), lie: z.string(), first: signed, second: signed }),
])
export type SessionEntry = z.output<typeof sessionEntry>

const inputEntry = z.strictObject({
  sid: bytesField(32),
  run: runIdField,
  round: count(ROUNDS_MAX, 1),
  task: cidField,
})
/** One session that an input went into. */
export type SpentInput = Spending & z.output<typeof inputEntry>

/** A closed round that was redone, by its sealed manifest: whatever else is known of it hangs on that name. */
const recomputedEntry = z.strictObject({ manifest: cidField })

const outboxEntry = z.strictObject({ vector: cidField, until: millisField })

/** What rounds follow from: a run has one task, and a round of the same run for another is another's. */
type Lineage = { readonly run: RunId; readonly task: Cid }

export type Vector = Omit<Extract<SessionEntry, { kind: 'vector' }>, 'kind'>

/** One round's session as it was, for a process that holds nothing of it any more. */
export type Recollection = {
  /** Undefined where the node joined and no roster was taken. */
  readonly member: { readonly sid: Bytes; readonly u: number } | undefined
  /** The last of each type. */
  readonly said: ReadonlyMap<string, Signed>
  readonly vector: Vector | undefined
  readonly certified: readonly NodeId[] | undefined
  readonly proofs: readonly Equivocation[]
}

/**
 * What a node keeps of its sessions: the exact bytes of each message, before it is sent (R3), each session that an input
 * went into, before it is masked (R5), and which rounds it has redone (R8). Nothing is in it that was not given to the
 * coordinator or made by it: whoever restores an old copy of it can repeat what was said and sign nothing new, but for
 * `Abandon`, and redoes what it forgot.
 *
 * It only grows, by a few messages a round: some 240 bytes for each member of the session, so about 30 KiB for one of 128
 * and, over the longest run, 120 MiB.
 */
export class Journal {
  readonly #log: EventLog
  #last: Promise<unknown> = Promise.resolve()

  constructor(log: EventLog) {
    this.#log = log
  }

  /** Durable when it answers: what is kept may then be said. */
  keep(run: RunId, round: Round, entries: readonly SessionEntry[]): Promise<void> {
    return this.#append(sessionStream(run, round), sessionEntry, entries)
  }

  async recall(run: RunId, round: Round): Promise<Recollection | undefined> {
    const said = new Map<string, Signed>()
    const proofs: Equivocation[] = []
    let [member, vector]: [Recollection['member'], Recollection['vector']] = [undefined, undefined]
    let certified: Recollection['certified']
    for await (const entry of this.#read(sessionStream(run, round), sessionEntry)) {
      if (entry.kind === 'said') said.set(entry.signed.type, entry.signed)
      if (entry.kind === 'bound') member = entry
      if (entry.kind === 'vector') vector = entry
      if (entry.kind === 'certified') certified = entry.members
      if (entry.kind === 'lie') proofs.push({ ...entry, by: entry.first.from, lie: entry.lie as Lie })
    }
    return said.size > 0 ? { member, said, vector, certified, proofs } : undefined
  }

  /** R5: before an input under this key is masked for a session. */
  spend({ inputKey, ...entry }: SpentInput): Promise<void> {
    return this.#append(inputStream(inputKey), inputEntry, [entry])
  }

  async spendings(inputKey: string): Promise<readonly SpentInput[]> {
    const found: SpentInput[] = []
    for await (const entry of this.#read(inputStream(inputKey), inputEntry)) found.push({ inputKey, ...entry })
    return found
  }

  /** How the sessions of these inputs ended, as far as this node saw their certificates itself. */
  async witnessed(spent: readonly SpentInput[]): Promise<readonly Ending[]> {
    const recalled = await Promise.all(spent.map(({ run, round }) => this.recall(run, round)))
    return recalled.flatMap((before) => {
      const { member, certified } = before ?? {}
      return member && certified ? [{ kind: 'witnessed' as const, sid: member.sid, members: new Set(certified) }] : []
    })
  }

  /** R8: the round was redone, and all that its manifest names is what it should be. */
  recomputed(of: Lineage, manifest: Cid): Promise<void> {
    return this.#append(lineageStream(of), recomputedEntry, [{ manifest }])
  }

  async recomputations(of: Lineage): Promise<ReadonlySet<Cid>> {
    const found = new Set<Cid>()
    for await (const { manifest } of this.#read(lineageStream(of), recomputedEntry)) found.add(manifest)
    return found
  }

  /** A masked vector lies in the outbox, of no use after this time. */
  lodge(vector: Cid, until: Millis): Promise<void> {
    return this.#append(OUTBOX, outboxEntry, [{ vector, until }])
  }

  /** Whether the time of some vector is not over. */
  async awaits(now: Millis): Promise<boolean> {
    for await (const { until } of this.#read(OUTBOX, outboxEntry)) if (until > now) return true
    return false
  }

  /** Vectors whose time is over. */
  async *overdue(now: Millis): AsyncIterable<Cid> {
    for await (const { vector, until } of this.#read(OUTBOX, outboxEntry)) if (until <= now) yield vector
  }

  /** One after another: this process is the journal's one writer. */
  #append<S extends z.ZodType>(stream: string, schema: S, entries: readonly z.output<S>[]): Promise<void> {
    const appended = this.#last.then(async () => {
      const position = await this.#log.head(stream)
      const bytes = entries.map((entry) => encode(schema, entry))
      if ((await this.#log.append(stream, position, bytes)) === 'conflict')
        throw new Error('another process writes to this journal')
    })
    this.#last = appended.catch(() => undefined)
    return appended
  }

  async *#read<S extends z.ZodType>(stream: string, schema: S): AsyncIterable<z.output<S>> {
    for await (const bytes of this.#log.read(stream)) {
      const entry = decode(schema, bytes, LOG_ENTRY_BYTES_MAX)
      // The journal is ours: to guess at what was said would be to say something else.
      if (!entry.ok) throw new Error(`the journal holds an entry that cannot be read: ${entry.refusal}`)
      yield entry.value
    }
  }
}

export function saidEntry(of: Signed): SessionEntry {
  return { kind: 'said', signed: of }
}

const OUTBOX = 'outbox'

function sessionStream(run: RunId, round: Round): string {
  return `session/${run}/${round}`
}

function lineageStream({ run, task }: Lineage): string {
  return `lineage/${run}/${task}`
}

function inputStream(inputKey: string): string {
  return `input/${inputKey}`
}
