import type { Millis, RunId } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import { eventOf, type Ordering } from './api/views.ts'
import type { Duty } from './keeper.ts'
import { within } from './pause.ts'
import type { Run } from './run.ts'
import type { Advanced, Runner } from './runner.ts'
import { messageIdOf, type SecretOf, signedRequest, type WebhookMessage } from './webhook-signature.ts'
import { type Endpoint, isWanted, versionsAt, type Webhooks } from './webhooks.ts'

/** Posts a body, follows no redirect, reads no answer. @returns the status @throws where there is none */
export type Post = (
  url: string,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
) => Promise<number>

export type NotifierDoors = {
  readonly webhooks: Webhooks
  readonly runner: Pick<Runner, 'runs' | 'position' | 'follow'>
  readonly orderOf: (run: Run) => Promise<Ordering>
  readonly secretOf: SecretOf
  readonly post: Post
  readonly clock: Clock
  readonly count: (outcome: 'delivered' | 'failed' | 'gave-up') => void
}

/** One try, or what is left of it: of this process's, since it began. */
export type Delivery = {
  readonly id: string
  readonly type: string
  readonly run: RunId | null
  readonly seq: number | null
  readonly at: Millis
  readonly attempt: number
  readonly status: number | null
  readonly outcome: 'delivered' | 'failed' | 'gave-up'
  readonly reason: string | null
  readonly elapsedMillis: Millis
}

const LOOK_MILLIS: Millis = 1000
/** Whoever answers slowly is told for so long before it is looked whether it is to be told still, and where. */
const TELLING_MILLIS: Millis = 30_000
const POST_MILLIS: Millis = 10_000
/** While an endpoint fails: growing from one to the other; what has failed for so long is given up. */
const PAUSE_MILLIS: Millis = 5000
const PAUSE_MILLIS_MAX: Millis = 3_600_000
const GIVE_UP_MILLIS: Millis = 24 * 3_600_000
/** Of each endpoint. */
const DELIVERIES_MAX = 100
/** Events in one turn, and how many that nobody wants are worth an entry. */
const TURN_EVENTS = 256

/**
 * Tells endpoints what happened, in the order of each run: an event is one message under an id that is its place, so who is
 * told twice (after a death, or by two processes) can tell. An endpoint that fails is told the same again, later and later,
 * and holds up no other.
 */
export class Notifier {
  readonly #doors: NotifierDoors
  readonly #deliveries = new Map<string, readonly Delivery[]>()
  readonly #troubles = new Map<string, { readonly since: Millis; readonly attempts: number; readonly until: Millis }>()
  /** What nobody wants is skipped here, and not written down each time. */
  readonly #skipped = new Map<string, Map<RunId, number>>()
  /** Who is being told just now. */
  readonly #telling = new Map<string, Promise<void>>()
  readonly #faults: unknown[] = []

  constructor(doors: NotifierDoors) {
    this.#doors = doors
  }

  /** The latest first. */
  deliveries(endpoint: string): readonly Delivery[] {
    return this.#deliveries.get(endpoint) ?? []
  }

  /** Begins with all that are not being told already, and waits for none for longer than a look: the slow hold up no other. */
  async turn(signal: AbortSignal): Promise<void> {
    const endpoints = await this.#doors.webhooks.all()
    this.#forget(new Set(endpoints.map(({ id }) => id)))
    for (const endpoint of endpoints) {
      const { id, enabled } = endpoint
      if (!enabled || this.#telling.has(id)) continue
      const told = this.#tell(endpoint, signal).catch((cause: unknown) => this.#faults.push(cause))
      const over = told.then(() => void this.#telling.delete(id))
      this.#telling.set(id, over)
    }
    await within(this.#doors.clock, LOOK_MILLIS, Promise.all(this.#telling.values()))
    const [fault] = this.#faults.splice(0)
    if (fault) throw fault
  }

  /** Endpoints come and go; what is kept of them here is bounded by those that there are. */
  #forget(known: ReadonlySet<string>): void {
    for (const kept of [this.#deliveries, this.#troubles, this.#skipped])
      for (const id of kept.keys()) if (!known.has(id)) kept.delete(id)
  }

  /** One event again, whatever became of it before. @returns undefined where there is no such event */
  async redeliver(endpoint: Endpoint, run: Run, position: number, signal: AbortSignal): Promise<Delivery | undefined> {
    for await (const advanced of this.#doors.runner.follow(run.spec.run, position, AbortSignal.any([signal])))
      return this.#send(endpoint, await this.#messageOf(run, advanced), signal)
    return undefined
  }

  /** A message about nothing, to see whether it arrives. */
  test(endpoint: Endpoint, id: string, signal: AbortSignal): Promise<Delivery> {
    const data = { endpoint: endpoint.id }
    return this.#send(
      endpoint,
      { id, type: 'webhook.test', run: null, seq: null, at: this.#doors.clock.now(), data },
      signal,
    )
  }

  async #tell(endpoint: Endpoint, signal: AbortSignal): Promise<void> {
    const { runner, clock } = this.#doors
    const until = clock.now() + TELLING_MILLIS
    for (const run of runner.runs()) {
      const trouble = this.#troubles.get(endpoint.id)
      if (signal.aborted || clock.now() >= until || (trouble && clock.now() < trouble.until)) return
      if (run.endedAt !== null && run.endedAt < endpoint.createdAt) continue
      if (endpoint.federation !== null && endpoint.federation !== run.spec.federation) continue
      await this.#tellOf(endpoint, run, { until, signal })
    }
  }

  async #tellOf(
    endpoint: Endpoint,
    run: Run,
    { until, signal }: { readonly until: Millis; readonly signal: AbortSignal },
  ): Promise<void> {
    const { runner, webhooks, clock } = this.#doors
    const id = run.spec.run
    const skipped = this.#skipped.get(endpoint.id) ?? new Map<RunId, number>()
    this.#skipped.set(endpoint.id, skipped)
    const passed = endpoint.passed.get(id) ?? 0
    const from = Math.max(passed, skipped.get(id) ?? 0)
    const to = Math.min(runner.position(id), from + TURN_EVENTS)
    if (from >= to) return
    let next = from
    for await (const advanced of runner.follow(id, from, signal)) {
      const message = await this.#messageOf(run, advanced)
      if (advanced.event.at >= endpoint.createdAt && isWanted(endpoint, message.type)) {
        const { outcome, reason } = await this.#send(endpoint, message, signal)
        if (outcome === 'failed') return
        if (outcome === 'gave-up') await webhooks.giveUp(endpoint.id, id, advanced.position, reason ?? 'no answer')
        else await webhooks.pass(endpoint.id, id, advanced.position + 1)
      }
      next = advanced.position + 1
      skipped.set(id, next)
      if (next >= to || clock.now() >= until) break
    }
    const stands = Math.max(passed, (await webhooks.get(endpoint.id))?.passed.get(id) ?? 0)
    if (next - stands >= TURN_EVENTS) await webhooks.pass(endpoint.id, id, next)
  }

  async #messageOf(run: Run, advanced: Advanced) {
    const data = eventOf(advanced, await this.#doors.orderOf(run))
    const { run: id } = run.spec
    const seq = advanced.position
    return { id: messageIdOf(id, seq), type: data.type, run: id, seq, at: advanced.event.at, data }
  }

  async #send(endpoint: Endpoint, message: Message, signal: AbortSignal): Promise<Delivery> {
    const { id, type, run, seq } = message
    const { webhooks, clock, post, secretOf, count } = this.#doors
    // Its secret may have been changed since it began to be told.
    const signer = (await webhooks.get(endpoint.id)) ?? endpoint
    const began = clock.now()
    const trouble = this.#troubles.get(endpoint.id)
    const attempt = (trouble?.attempts ?? 0) + 1
    const secrets = versionsAt(signer, began).map((version) => secretOf(endpoint.id, version))
    const { headers, body } = signedRequest(secrets, message, began)
    const { status, reason } = await post(
      endpoint.url,
      headers,
      body,
      AbortSignal.any([signal, AbortSignal.timeout(POST_MILLIS)]),
    ).then(
      (status) => ({ status, reason: status >= 200 && status < 300 ? null : `it answered ${status}` }),
      (cause: Error) => ({ status: null, reason: cause.message.slice(0, 200) }),
    )
    const isGivenUp = reason !== null && trouble !== undefined && began - trouble.since >= GIVE_UP_MILLIS
    const outcome = reason === null ? 'delivered' : isGivenUp ? 'gave-up' : 'failed'
    count(outcome)
    if (outcome === 'failed') {
      const pause = Math.min(PAUSE_MILLIS_MAX, PAUSE_MILLIS * 2 ** Math.min(attempt - 1, 10))
      const since = trouble?.since ?? began
      this.#troubles.set(endpoint.id, { since, attempts: attempt, until: clock.now() + pause })
    } else this.#troubles.delete(endpoint.id)
    const delivery = {
      id,
      type,
      run,
      seq,
      at: began,
      attempt,
      status,
      outcome,
      reason,
      elapsedMillis: clock.now() - began,
    } as const
    this.#deliveries.set(endpoint.id, [delivery, ...this.deliveries(endpoint.id)].slice(0, DELIVERIES_MAX))
    return delivery
  }
}

type Message = WebhookMessage & { readonly run: RunId | null; readonly seq: number | null }

export function notifying(notifier: Notifier): Duty {
  return { name: 'tell webhooks', everyMillis: LOOK_MILLIS, perform: (signal) => notifier.turn(signal) }
}
