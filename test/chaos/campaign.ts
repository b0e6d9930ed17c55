import type { Said } from '#cli/demo/process.ts'
import { Failure, failureLines } from '#cli/failure.ts'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import type { RunId } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import { type Account, accountOf, events, launched, payoutsOf } from './account.ts'
import type { Deployment } from './deployment.ts'
import { type Damage, type Risks, type StormOptions, storm } from './storm.ts'

/** A run here takes seconds, and each blow a few more. One that has not ended by then never will. */
const RUN_MILLIS_MAX = 300_000

type Ordered = { readonly name: string; readonly rounds: number }
type Played = { readonly account: Account; readonly damage: Damage; readonly millis: number }

/** Launches an order, lets the storm rage until its run has ended, and checks what must hold. */
export async function play(deployment: Deployment, { name, rounds }: Ordered, weather?: StormOptions): Promise<Played> {
  const over = new AbortController()
  const late = AbortSignal.timeout(RUN_MILLIS_MAX)
  const started = Date.now()
  // The order itself is launched into the storm.
  const blown = weather ? storm(deployment, weather, AbortSignal.any([over.signal, late])) : undefined
  blown?.catch(() => over.abort())
  const told: ApiEvent[] = []
  try {
    const run = await launched(deployment, deployment.order(name, rounds), name, late)
    for await (const event of events(deployment, run, AbortSignal.any([late, over.signal]))) told.push(event)
    const millis = Date.now() - started
    over.abort()
    const damage = (await blown) ?? { blows: {}, kills: [] }
    return { account: await accountOf(deployment, run, told, late), damage, millis }
  } catch (cause) {
    over.abort()
    // A process that ended by itself says more than what came of it.
    const first =
      (await blown?.then(
        () => undefined,
        (ended: unknown) => ended,
      )) ?? cause
    const why = first instanceof Failure ? failureLines(first).join('\n') : first
    throw new Error(`${name}, seed ${weather?.seed}: ${why}${storyOf(told, deployment.troubles)}`, { cause })
  }
}

/** What went wrong in a run, and the last that was heard of it, for whoever reads that it failed. */
function storyOf(events: readonly ApiEvent[], troubles: readonly Said[]): string {
  const telling = /^(node\.(left|declined)|phase\.ended|round\.(opened|aborted|completed))$/
  const told = events.filter(({ type }, index) => telling.test(type) || index > events.length - LAST_EVENTS)
  const run = events[0]?.run
  return [...told, ...troubles.filter((said) => said['run'] === run)]
    .map(
      ({ type, ...said }) =>
        `\n  ${said['time']} ${type} ${said['round']} ${said['reason'] ?? ''} ${said['cause'] ?? ''}`,
    )
    .sort()
    .join('')
}
const LAST_EVENTS = 5

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

/** One of a campaign's runs. @param harmless nobody fell out of a round by what happened, so that its model must be the undisturbed one */
export type Harmed = Played & { readonly name: string; readonly harmless: boolean }

export type Campaign = {
  /** Kills of coordinators over all runs. */
  readonly kills: number
  readonly firstSeed: number
  /** What befalls every run, and what three of four are spared. */
  readonly risks: Risks
  readonly harmful: Risks
}

const ROUNDS = 3
/** So many in one run at most: then it is let through. */
const KILLS_PER_RUN = 8
const PAUSE_MILLIS = 1500

/** One run after another on one deployment, until coordinators have been killed so many times. Each is checked as it ends. */
export async function campaign(deployment: Deployment, { kills, firstSeed, risks, harmful }: Campaign) {
  const receipts = new Receipts(deployment)
  const meanMillis = 1.2 * (await restartMillis(deployment))
  const played: Harmed[] = []
  let [killed, held] = [0, 0]
  for (let seed = firstSeed; killed < kills; seed++) {
    const harmless = seed % 4 !== 3
    const crashesMax = Math.min(KILLS_PER_RUN, kills - killed)
    const all = harmless ? risks : { ...risks, ...harmful }
    const name = `chaos ${seed}`
    const one = await play(deployment, orderOf(name), {
      seed,
      risks: all,
      meanMillis,
      crashesMax,
      pauseMillis: PAUSE_MILLIS,
    })
    if (harmless && (!one.account.completed || one.account.aborted.length > 0))
      throw new Error(
        `seed ${seed}: nobody was killed, and yet ${one.account.fallen.join('; ')}${storyOf(one.account.events, deployment.troubles)}`,
      )
    held += receipts.check(one.account)
    killed += one.damage.kills.length
    played.push({ ...one, name, harmless })
  }
  return { played, receipts: held }
}

/** The same orders on the same sites, undisturbed, in folders that know nothing of the first time. @returns how many were compared */
export async function compare(calm: Deployment, played: readonly Harmed[]): Promise<number> {
  const whole = played.filter(({ account }) => account.completed && account.aborted.length === 0)
  for (const { name, account } of whole) {
    const { model } = (await play(calm, orderOf(name))).account
    if (model !== account.model) throw new Error(`${name} makes ${account.model}, and undisturbed ${model}`)
  }
  return whole.length
}

export function orderOf(name: string): Ordered {
  return { name, rounds: ROUNDS }
}

/** So that blows come about when the last one is over, on whatever machine: sometimes before. */
async function restartMillis({ coordinators: [coordinator] }: Deployment): Promise<number> {
  const started = Date.now()
  await coordinator?.crash()
  await coordinator?.ready()
  return Date.now() - started
}

export function figures(played: readonly Played[], more: object): object {
  const blows: Record<string, number> = {}
  const aborted: Record<string, number> = {}
  for (const { damage, account } of played) {
    for (const [name, count] of Object.entries(damage.blows)) blows[name] = (blows[name] ?? 0) + count
    for (const reason of account.aborted) aborted[reason] = (aborted[reason] ?? 0) + 1
  }
  const millis = played.flatMap(recoveryMillis)
  return {
    ...{ runs: played.length, completed: played.filter(({ account }) => account.completed).length, ...more },
    ...{ blows, closed: played.reduce((sum, { account }) => sum + account.closed, 0), aborted },
    killToNextEventMillis: { p50: quantile(millis, 0.5), p95: quantile(millis, 0.95), max: quantile(millis, 1) },
  }
}

/** How long it took from each kill to the next event of the run, where there was one. */
function recoveryMillis({ account, damage }: Played): readonly number[] {
  const times = account.events.map(({ time }) => Date.parse(time))
  return damage.kills.flatMap((kill) => {
    const next = times.find((time) => time > kill)
    return next === undefined ? [] : [next - kill]
  })
}

function quantile(of: readonly number[], share: number): number {
  return of.toSorted((a, b) => a - b)[Math.min(of.length - 1, Math.floor(share * of.length))] ?? 0
}
