import { setTimeout as pause } from 'node:timers/promises'
import { z } from 'zod'
import { collect } from '#protocol/bytes.ts'
import type { NodeId } from '#protocol/ids.ts'
import { Consilium } from '#sdk/client.ts'
import { ApiError } from '#sdk/errors.ts'
import { type ApiEvent, eventsIn, isLast } from '#sdk/sse.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'

/** Where a coordinator's processes listen, and what their answers are judged by. */
export type Office = {
  readonly urls: readonly string[]
  readonly apiKey: string
  readonly key: NodeId
}

/** What a run came to, every event of it once. */
export type Account = {
  readonly run: string
  readonly events: readonly ApiEvent[]
  readonly completed: boolean
  readonly model: string
  readonly ledger: { readonly budget: bigint; readonly paid: bigint; readonly released: bigint }
  readonly closed: number
  /** Why rounds came to nothing, and for each of their seats without an update why it has none. */
  readonly aborted: readonly string[]
  readonly fallen: readonly string[]
  /** Micro-credits by node, as its closed rounds tell. */
  readonly paid: ReadonlyMap<string, bigint>
}

const RETRY_MILLIS = 50
/** An ending is a matter of seconds here: whoever has said nothing for this long does not come back. */
const SILENT_MILLIS = 30_000

/** Asks one process after another until one answers. What is refused for good is thrown. */
async function asked<T>(
  { urls, apiKey }: Office,
  signal: AbortSignal,
  ask: (api: Consilium) => Promise<T>,
): Promise<T> {
  for (let turn = 0; ; turn++) {
    try {
      return await ask(new Consilium({ url: urls[turn % urls.length] as string, apiKey, maxRetries: 0 }))
    } catch (cause) {
      if (signal.aborted || !passing(cause)) throw cause
    }
    await pause(RETRY_MILLIS)
  }
}

/** Another process may not have heard yet of what this one has done; and an answer that broke off says nothing. */
function passing(cause: unknown): boolean {
  if (!(cause instanceof ApiError)) return true
  return cause.retryable || cause.status === 404 || cause.code === 'run_not_ended'
}

/** The same order under the same key, as often as it takes: it makes one run. */
export function launched(office: Office, order: string, key: string, signal: AbortSignal): Promise<string> {
  return asked(office, signal, async (api) => (await api.runs.create(JSON.parse(order), { idempotencyKey: key })).id)
}

/**
 * A run's events from the first to the last, over whatever happens to whoever tells them. Stricter than any client need
 * be: each comes once and in its place, or it throws.
 */
export async function* events({ urls, apiKey }: Office, run: string, signal: AbortSignal): AsyncIterable<ApiEvent> {
  let next = 0
  for (let turn = 0; !signal.aborted; turn++) {
    const silent = new AbortController()
    const timer = setTimeout(() => silent.abort(), SILENT_MILLIS)
    try {
      const url = `${urls[turn % urls.length]}/v1/runs/${run}/events`
      const headers = {
        ...{ accept: 'text/event-stream', authorization: `Bearer ${apiKey}` },
        ...(next > 0 ? { 'last-event-id': String(next - 1) } : {}),
      }
      const { ok, body } = await fetch(url, { headers, signal: AbortSignal.any([signal, silent.signal]) })
      for await (const event of ok && body ? eventsIn(body) : []) {
        timer.refresh()
        if (event.seq !== next) throw new Misplaced(`${run}: event ${event.seq} comes where ${next} belongs`)
        next++
        yield event
        if (isLast(event)) return
      }
    } catch (cause) {
      if (cause instanceof Misplaced) throw cause
    } finally {
      clearTimeout(timer)
      silent.abort()
    }
    await pause(RETRY_MILLIS)
  }
  throw new Error(`${run} does not end: ${next} events until then`)
}

class Misplaced extends Error {}

/** Checks all that must hold of a run that has ended, whatever happened meanwhile. Throws where something does not. */
export async function accountOf(
  office: Office,
  run: string,
  told: readonly ApiEvent[],
  signal: AbortSignal,
): Promise<Account> {
  const again: ApiEvent[] = []
  for await (const event of events(office, run, signal)) again.push(event)
  check(JSON.stringify(again) === JSON.stringify(told), run, 'its events are told again as they were told live')
  const end = told.at(-1) as ApiEvent
  const ledger = ledgerSchema.parse(end['ledger'])
  check(ledger.paid + ledger.released === ledger.budget, run, 'what is not paid is released')

  const rounds = (type: string) => told.filter((event) => event.type === type)
  const [opened, completed, aborted] = [rounds('round.opened'), rounds('round.completed'), rounds('round.aborted')]
  check(opened.length === completed.length + aborted.length, run, 'every round that was opened has an end')
  const paid = new Map<string, bigint>()
  for (const event of completed)
    for (const { node, amount } of payoutsOf(event)) paid.set(node, (paid.get(node) ?? 0n) + amount)
  const total = [...paid.values()].reduce((sum, amount) => sum + amount, 0n)
  check(total === ledger.paid, run, 'what the rounds paid is what the run paid')

  const fallen: string[] = []
  for (const event of aborted) {
    const { seats } = await asked(office, signal, async (api) =>
      (await api.runs.get(run)).round(Number(event['round'])),
    )
    for (const { seat, update, reason } of seats) {
      check(update !== null || reason !== null, run, `round ${event['round']} says what became of seat ${seat}`)
      if (update === null) fallen.push(`round ${event['round']}, seat ${seat}: ${reason}`)
    }
  }

  const car = await asked(office, signal, async (api) =>
    collect(readable(await (await api.runs.get(run)).bundle()), 2 ** 26),
  )
  const verdict = await verifyBundle(fileOf(car), { coordinator: office.key })
  check(verdict.ok && verdict.pinned, run, `its bundle verifies: ${JSON.stringify(verdict, bigints).slice(0, 300)}`)
  return {
    ...{ run, events: told, paid, ledger, completed: end.type === 'run.completed', model: String(end['model']) },
    ...{ closed: completed.length, fallen, aborted: aborted.map(({ reason }) => String(reason)) },
  }
}

const micro = z.string().transform(BigInt)
const ledgerSchema = z.object({ budget: micro, paid: micro, released: micro })
const payouts = z.array(z.object({ node: z.string(), amount: micro }))

/** What a round that closed pays, by its event; nothing of any other. */
export function payoutsOf(event: ApiEvent): z.output<typeof payouts> {
  return event.type === 'round.completed' ? payouts.parse(event['payouts']) : []
}

function check(holds: boolean, run: string, what: string): void {
  if (!holds) throw new Error(`${run}: it does not hold that ${what}`)
}

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

async function* readable(stream: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const piece of stream) yield new Uint8Array(piece)
}
