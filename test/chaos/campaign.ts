import type { LaunchRequest } from '#cli/demo/task.ts'
import type { ApiEvent } from '#cli/sse.ts'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import type { RunId } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import { type Account, accountOf, events, launched, payoutsOf } from './account.ts'
import type { Deployment } from './deployment.ts'
import { type Damage, type StormOptions, storm } from './storm.ts'

/** A run here takes seconds, and each blow a few more. One that has not ended by then never will. */
const RUN_MILLIS_MAX = 300_000

export type Ordered = { readonly name: string; readonly rounds: number; readonly change?: Partial<LaunchRequest> }
export type Played = { readonly account: Account; readonly damage: Damage; readonly millis: number }

/** Launches an order, lets the storm rage until its run has ended, and checks what must hold. */
export async function play(
  deployment: Deployment,
  { name, rounds, change }: Ordered,
  weather?: StormOptions,
): Promise<Played> {
  const over = new AbortController()
  const late = AbortSignal.timeout(RUN_MILLIS_MAX)
  const started = Date.now()
  // The order itself is launched into the storm.
  const blown = weather ? storm(deployment, weather, AbortSignal.any([over.signal, late])) : undefined
  blown?.catch(() => over.abort())
  const told: ApiEvent[] = []
  try {
    const run = await launched(deployment, deployment.order(name, rounds, change), name, late)
    for await (const event of events(deployment, run, AbortSignal.any([late, over.signal]))) told.push(event)
    const millis = Date.now() - started
    over.abort()
    const damage = (await blown) ?? { blows: {}, kills: [] }
    return { account: await accountOf(deployment, run, told, late), damage, millis }
  } catch (cause) {
    over.abort()
    // A process that ended by itself says more than what came of it.
    await blown
    throw new Error(`${name}, seed ${weather?.seed}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** The ledger itself, once everybody has ended: each run's money is where its account says, and nothing else is in it. */
export async function checkLedger(log: EventLog, accounts: readonly Account[]): Promise<void> {
  const settlement = openRecordSettlement(log)
  const owed = new Map<string, bigint>()
  for (const { run, paid, ledger } of accounts) {
    const totals = await settlement.totals(run as RunId)
    if (totals.held !== ledger.budget || totals.paid !== ledger.paid || totals.released !== ledger.released)
      throw new Error(`the ledger of ${run} says ${Object.values(totals)}, its events ${Object.values(ledger)}`)
    for (const [node, amount] of paid) owed.set(node, (owed.get(node) ?? 0n) + amount)
  }
  const balances = await settlement.balances()
  for (const [account, balance] of balances) {
    const node = /^operator:(.*)$/.exec(account)?.[1]
    if (node !== undefined && balance !== (owed.get(node) ?? 0n))
      throw new Error(`${node} was paid ${balance} and its rounds say ${owed.get(node) ?? 0n}`)
  }
}

/** What nodes say that they were paid, by the receipts that they hold. */
export class Receipts {
  readonly #amounts = new Map<string, Map<string, bigint>>()

  constructor({ nodes, sites }: Deployment) {
    for (const [index, node] of nodes.entries())
      node.listen(({ type, run, round, receipt, amount }) => {
        if (type !== 'node.paid') return
        const at = `${run} ${round} ${sites[index]?.id}`
        this.#amounts.set(at, (this.#amounts.get(at) ?? new Map()).set(String(receipt), BigInt(String(amount))))
      })
  }

  /** A round pays each of its nodes once, and what it says. @returns how many receipts there were */
  check({ run, events }: Account): number {
    let found = 0
    for (const event of events)
      for (const { node, amount } of payoutsOf(event)) {
        const { round } = event
        const held = [...(this.#amounts.get(`${run} ${round} ${node}`) ?? [])]
        if (held.length > 1 || held.some(([, other]) => other !== amount))
          throw new Error(`round ${round} of ${run} pays ${node} ${amount}, and it holds ${held}`)
        found += held.length
      }
    return found
  }
}

/** How long it took from each kill to the next event of the run, where there was one. */
export function recoveryMillis({ account, damage }: Played): readonly number[] {
  const times = account.events.map(({ time }) => Date.parse(time))
  return damage.kills.flatMap((kill) => {
    const next = times.find((time) => time > kill)
    return next === undefined ? [] : [next - kill]
  })
}

export function quantile(of: readonly number[], share: number): number {
  return of.toSorted((a, b) => a - b)[Math.min(of.length - 1, Math.floor(share * of.length))] ?? 0
}
