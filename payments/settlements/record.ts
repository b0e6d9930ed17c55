import { z } from 'zod'
import { sha256 } from '#crypto'
import { assert } from '#protocol/assert.ts'
import { toHex } from '#protocol/bytes.ts'
import { amountField, bytesField, count, decode, encode, nodeIdField, runIdField } from '#protocol/codec.ts'
import type { Amount, Bytes, OperatorId, RunId } from '#protocol/ids.ts'
import { COHORT_MAX, EVENT_BYTES_MAX } from '#protocol/limits.ts'
import type { EventLog, Payout, Settlement } from '#protocol/ports.ts'
import {
  type Account,
  admit,
  type Earned,
  earnedIn,
  hold,
  openLedger,
  pay,
  post,
  release,
  type Totals,
  type Transfer,
  totalsOf,
} from '../ledger.ts'

/**
 * Settlement by record: no money moves, the ledger says who is owed what. The ledger is one stream of the log, so an
 * append at a position is the payment, and every process that shares the log sees the same one. An operation that may
 * or may not have been written is simply asked for again: its id answers whether it was.
 */
export interface RecordSettlement extends Settlement {
  /** What each account is owed now; they sum to 0. */
  balances(): Promise<ReadonlyMap<Account, Amount>>
  totals(run: RunId): Promise<Totals>
  /** What runs have paid to whom, in how many parts: one for each update that is in a model. */
  earned(runs: (run: RunId) => boolean): Promise<ReadonlyMap<OperatorId, Earned>>
}

const STREAM = 'ledger'

/** A payout is at most 78 bytes here, so that this many and the rest of an entry stay below {@link EVENT_BYTES_MAX}. */
const PAYOUTS_PER_ENTRY = 48

const idField = z.string().regex(/^[A-Za-z0-9_-]{1,100}$/)

/**
 * One entry of the stream. A list of payouts that is too long for one entry becomes several; each carries the digest of
 * the whole operation, so that a repeat with another list is noticed even when only the first part was written.
 */
const common = { v: z.literal(1), id: idField, run: runIdField }
const entrySchema = z.discriminatedUnion('kind', [
  z.strictObject({ ...common, kind: z.literal('hold'), amount: amountField }),
  z.strictObject({
    ...common,
    kind: z.literal('post'),
    part: count(COHORT_MAX),
    parts: count(COHORT_MAX, 1),
    whole: bytesField(32),
    payouts: z
      .array(z.strictObject({ payee: nodeIdField, amount: amountField }))
      .max(PAYOUTS_PER_ENTRY)
      .readonly(),
  }),
  z.strictObject({ ...common, kind: z.literal('release'), amount: amountField }),
])
type LedgerEntry = z.output<typeof entrySchema>
type PostEntry = Extract<LedgerEntry, { kind: 'post' }>

const payoutsSchema = z.array(z.strictObject({ payee: nodeIdField, amount: amountField })).readonly()

export function openRecordSettlement(log: EventLog): RecordSettlement {
  const ledger = openLedger()
  /** What each id stands for. */
  const operations = new Map<string, string>()
  let position = 0
  let last: Promise<unknown> = Promise.resolve()

  /** One at a time within this process, each after reading what other processes wrote. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(catchUp).then(work)
    last = result.catch(() => undefined)
    return result
  }

  async function catchUp(): Promise<void> {
    for await (const bytes of log.read(STREAM, position)) {
      const entry = decode(entrySchema, bytes, EVENT_BYTES_MAX)
      assert(entry.ok, `entry ${position} of the ledger can be read`)
      apply(entry.value)
    }
  }

  function apply(entry: LedgerEntry): void {
    const posted = post(ledger, transferOf(entry))
    assert(posted.ok && posted.value === 'posted', `entry ${position} of the ledger can be posted, once`)
    operations.set(entry.id, operationOf(entry))
    position++
  }

  /** True when the entry is in the ledger. An id that says something else, or too little money, is our own mistake. */
  function isWritten(entry: LedgerEntry): boolean {
    const known = operations.get(entry.id)
    assert(known === undefined || known === operationOf(entry), `${entry.id} is not the id of another operation`)
    const admitted = admit(ledger, transferOf(entry))
    assert(admitted.ok, `the ledger can take ${entry.id}${admitted.ok ? '' : `: ${admitted.detail}`}`)
    return admitted.value === 'repeated'
  }

  /** Those of the entries that are not in the ledger yet, in one append. */
  async function write(entries: readonly LedgerEntry[]): Promise<void> {
    for (;;) {
      const missing = entries.filter((entry) => !isWritten(entry))
      if (missing.length === 0) return
      if ((await log.append(STREAM, position, missing.map(bytesOf))) === 'appended') return missing.forEach(apply)
      const seen = position
      await catchUp()
      if (position === seen) throw new Error('the log reports a conflict and shows no entry that caused it')
    }
  }

  /** Looks at the whole before it writes the first part, so that a list that cannot be paid is not half paid. */
  async function writeParts(id: string, run: RunId, payouts: readonly Payout[]): Promise<void> {
    const parts = partsOf(id, run, payouts)
    const missing = parts.filter((part) => !isWritten(part)).flatMap((part) => part.payouts)
    assert(admit(ledger, pay(`${id}/missing`, run, missing)).ok, `the escrow of ${run} holds what ${id} takes`)
    await write(parts)
  }

  return {
    hold: (id, run, amount) => inTurn(() => write([{ v: 1, kind: 'hold', id, run, amount }])),
    post: (id, run, payouts) => inTurn(() => writeParts(id, run, payouts)),
    release: (id, run, amount) => inTurn(() => write([{ v: 1, kind: 'release', id, run, amount }])),
    balances: () => inTurn(async () => new Map(ledger.balances)),
    totals: (run) => inTurn(async () => totalsOf(ledger, run)),
    earned: (runs) => inTurn(async () => earnedIn(ledger, runs)),
  }
}

function bytesOf(entry: LedgerEntry): Bytes {
  const bytes = encode(entrySchema, entry)
  assert(bytes.length <= EVENT_BYTES_MAX, 'an entry of the ledger fits an event')
  return bytes
}

function partsOf(id: string, run: RunId, payouts: readonly Payout[]): readonly PostEntry[] {
  const parts = Math.max(1, Math.ceil(payouts.length / PAYOUTS_PER_ENTRY))
  const whole: Bytes = sha256(encode(payoutsSchema, payouts))
  return Array.from({ length: parts }, (_, part) => ({
    v: 1,
    kind: 'post',
    id,
    run,
    part,
    parts,
    whole,
    payouts: payouts.slice(part * PAYOUTS_PER_ENTRY, (part + 1) * PAYOUTS_PER_ENTRY),
  }))
}

function transferOf(entry: LedgerEntry): Transfer {
  switch (entry.kind) {
    case 'hold':
      return hold(entry.id, entry.run, entry.amount)
    case 'release':
      return release(entry.id, entry.run, entry.amount)
    case 'post':
      return pay(`${entry.id}/${entry.part}`, entry.run, entry.payouts)
  }
}

function operationOf(entry: LedgerEntry): string {
  return `${entry.kind} ${entry.run} ${entry.kind === 'post' ? toHex(entry.whole) : entry.amount}`
}
