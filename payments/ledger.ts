import type { Amount, OperatorId, RunId } from '#protocol/ids.ts'
import type { Payout } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'

/**
 * A double-entry ledger: every entry takes from one account what it gives to another, so the balances always sum to 0.
 * A balance is what the house owes the account's owner: a debit lowers it, a credit raises it. The sponsor's is negative
 * by what it has put in; an escrow's is never negative. It grows in place, because copying it would make n transfers
 * cost n².
 */
export type Ledger = {
  readonly balances: ReadonlyMap<Account, Amount>
  readonly totals: ReadonlyMap<RunId, Totals>
  readonly transfers: ReadonlyMap<string, Transfer>
}

export type Account = 'sponsor' | `escrow:${RunId}` | `operator:${OperatorId}`
export type Entry = { readonly debit: Account; readonly credit: Account; readonly amount: Amount }

/** Entries that happen together or not at all, under one id. Made by {@link hold}, {@link pay} and {@link release}. */
export type Transfer = {
  readonly id: string
  readonly kind: 'held' | 'paid' | 'released'
  readonly run: RunId
  readonly entries: readonly Entry[]
}

/** Sums over one run's transfers. A run is over when paid + released = held, and its escrow is then 0. */
export type Totals = { readonly held: Amount; readonly paid: Amount; readonly released: Amount }
export type LedgerRefusal = 'id-reused' | 'negative-amount' | 'overdrawn'

const NOTHING: Totals = { held: 0n, paid: 0n, released: 0n }

export function openLedger(): Ledger {
  return { balances: new Map(), totals: new Map(), transfers: new Map() }
}

/**
 * Posts a transfer, all of it or nothing. The same id with the same content is a repeat and changes nothing; with other
 * content it is refused, because one of the two would otherwise be lost.
 */
export function post(ledger: Ledger, transfer: Transfer): Result<'posted' | 'repeated', LedgerRefusal> {
  const admitted = admit(ledger, transfer)
  if (!admitted.ok || admitted.value === 'repeated') return admitted
  const balances = ledger.balances as Map<Account, Amount>
  for (const { debit, credit, amount } of transfer.entries) {
    balances.set(debit, balanceOf(ledger, debit) - amount)
    balances.set(credit, balanceOf(ledger, credit) + amount)
  }
  const totals = totalsOf(ledger, transfer.run)
  const moved = totals[transfer.kind] + amountOf(transfer)
  ;(ledger.totals as Map<RunId, Totals>).set(transfer.run, { ...totals, [transfer.kind]: moved })
  ;(ledger.transfers as Map<string, Transfer>).set(transfer.id, transfer)
  return admitted
}

/** What {@link post} would answer, changing nothing: for whoever must write the transfer down first. */
export function admit(ledger: Ledger, transfer: Transfer): Result<'posted' | 'repeated', LedgerRefusal> {
  const known = ledger.transfers.get(transfer.id)
  if (known) return isSame(known, transfer) ? accept('repeated') : refuse('id-reused', transfer.id)
  if (transfer.entries.some((entry) => entry.amount < 0n)) return refuse('negative-amount', transfer.id)
  const escrow = balanceOf(ledger, `escrow:${transfer.run}`)
  const taken = transfer.kind === 'held' ? 0n : amountOf(transfer)
  if (taken > escrow) return refuse('overdrawn', `${transfer.id} takes ${taken} of ${escrow}`)
  return accept('posted')
}

/** The sponsor's money goes into the run's escrow. */
export function hold(id: string, run: RunId, amount: Amount): Transfer {
  return { id, kind: 'held', run, entries: [{ debit: 'sponsor', credit: `escrow:${run}`, amount }] }
}

/** Out of escrow to the operators who earned it. */
export function pay(id: string, run: RunId, payouts: readonly Payout[]): Transfer {
  const entry = ({ payee, amount }: Payout): Entry => ({ debit: `escrow:${run}`, credit: `operator:${payee}`, amount })
  return { id, kind: 'paid', run, entries: payouts.map(entry) }
}

/** Out of escrow back to the sponsor. */
export function release(id: string, run: RunId, amount: Amount): Transfer {
  return { id, kind: 'released', run, entries: [{ debit: `escrow:${run}`, credit: 'sponsor', amount }] }
}

export function balanceOf(ledger: Ledger, account: Account): Amount {
  return ledger.balances.get(account) ?? 0n
}

export function totalsOf(ledger: Ledger, run: RunId): Totals {
  return ledger.totals.get(run) ?? NOTHING
}

export type Earned = { readonly amount: Amount; readonly updates: number }

/** What some runs have paid to whom, and in how many payouts. */
export function earnedIn({ transfers }: Ledger, runs: (run: RunId) => boolean): ReadonlyMap<OperatorId, Earned> {
  const earned = new Map<OperatorId, Earned>()
  for (const { kind, run, entries } of transfers.values()) {
    if (kind !== 'paid' || !runs(run)) continue
    for (const { credit, amount } of entries) {
      const payee = credit.slice('operator:'.length) as OperatorId
      const before = earned.get(payee) ?? { amount: 0n, updates: 0 }
      earned.set(payee, { amount: before.amount + amount, updates: before.updates + 1 })
    }
  }
  return earned
}

function amountOf(transfer: Transfer): Amount {
  return transfer.entries.reduce((sum, entry) => sum + entry.amount, 0n)
}

function isSame(a: Transfer, b: Transfer): boolean {
  return (
    a.kind === b.kind &&
    a.run === b.run &&
    a.entries.length === b.entries.length &&
    a.entries.every((entry, index) => {
      const other = b.entries[index]
      return entry.debit === other?.debit && entry.credit === other.credit && entry.amount === other.amount
    })
  )
}
