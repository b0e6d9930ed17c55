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
  /** Of those to its endpoint, also over a restart: a later one has a greater place, near the time at which it was over. */
  readonly place: number
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
/** While a run's next message fails: growing from one to the other; what has failed for so long is given up. */
const PAUSE_MILLIS: Millis = 5000
const PAUSE_MILLIS_MAX: Millis = 3_600_000
const GIVE_UP_MILLIS: Millis = 24 * 3_600_000
/** By this a receiver says that it is none any more. */
const GONE = 410
/** Of each endpoint. */
const DELIVERIES_MAX = 100
/** Events in one turn, and how many that nobody wants are worth an entry. */
const TURN_EVENTS = 256

/**
 * Tells endpoints what happened, in the order of each run: an event is one message under an id that is its place, so who is
 * told twice (after a death, or by two processes) can tell. What an endpoint does not take it is told again, later and later,
 * which holds up the rest of that run there, and no other run or endpoint.
 */
export class Notifier {
  readonly #doors: NotifierDoors
  readonly #deliveries = new Map<string, readonly Delivery[]>()
  /** By endpoint, and by the run whose next message it has not taken. */
  readonly #troubles = new Map<string, Map<RunId, Trouble>>()
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
      // What it did not take before it was switched off says nothing of what it takes after.
      if (!enabled) this.#troubles.delete(id)
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
    const troubles = this.#troubles.get(endpoint.id) ?? new Map<RunId, Trouble>()
    const inTrouble = ({ spec }: Run) => troubles.has(spec.run)
    const runs = runner.runs()
    // What may take ten seconds to fail comes after what is likely to be taken.
    for (const run of [...runs.filter((one) => !inTrouble(one)), ...runs.filter(inTrouble)]) {
      if (signal.aborted || clock.now() >= until) return
      if (clock.now() < (troubles.get(run.spec.run)?.until ?? 0)) continue
      if (run.endedAt !== null && run.endedAt < endpoint.createdAt) continue
      if (endpoint.federation !== null && endpoint.federation !== run.spec.federation) continue
      if ((await this.#tellOf(endpoint, run, { until, signal })) === 'gone') return
    }
  }

  async #tellOf(
    endpoint: Endpoint,
    run: Run,
    { until, signal }: { readonly until: Millis; readonly signal: AbortSignal },
  ): Promise<'told' | 'failed' | 'gone'> {
    const { runner, webhooks, clock } = this.#doors
    const id = run.spec.run
    const skipped = this.#skipped.get(endpoint.id) ?? new Map<RunId, number>()
    this.#skipped.set(endpoint.id, skipped)
    const passed = endpoint.passed.get(id) ?? 0
    const from = Math.max(passed, skipped.get(id) ?? 0)
    const to = Math.min(runner.position(id), from + TURN_EVENTS)
    if (from >= to) return 'told'
    let next = from
    for await (const advanced of runner.follow(id, from, signal)) {
      const message = await this.#messageOf(run, advanced)
      if (advanced.event.at >= endpoint.createdAt && isWanted(endpoint, message.type)) {
        const { outcome, status } = await this.#try(endpoint, run, message, signal)
        if (outcome === 'failed') return 'failed'
        if (outcome === 'gave-up' && status === GONE) return 'gone'
        if (outcome === 'delivered') await webhooks.pass(endpoint.id, id, advanced.position + 1)
      }
      next = advanced.position + 1
      skipped.set(id, next)
      if (next >= to || clock.now() >= until) break
    }
    const stands = Math.max(passed, (await webhooks.get(endpoint.id))?.passed.get(id) ?? 0)
    if (next - stands >= TURN_EVENTS) await webhooks.pass(endpoint.id, id, next)
    return 'told'
  }

  /** The next message of a run, once more where it was not taken before, and what that means for the rest of the run. */
  async #try(endpoint: Endpoint, run: Run, message: Message, signal: AbortSignal): Promise<Delivery> {
    const { webhooks, clock } = this.#doors
    const id = run.spec.run
    const troubles = this.#troubles.get(endpoint.id) ?? new Map<RunId, Trouble>()
    const known = troubles.get(id)
    // Another process may have given up what was not taken from this one.
    const trouble = known?.position === message.seq ? known : undefined
    const attempt = (trouble?.attempts ?? 0) + 1
    const tried = await this.#post(endpoint, message, signal)
    const { at, reason, status } = tried
    const place = { id: endpoint.id, run: id, position: message.seq as number, reason: reason ?? '' }
    let outcome: Delivery['outcome'] = reason === null ? 'delivered' : 'failed'
    if (status === GONE && (await webhooks.switchOff(place, endpoint.url))) outcome = 'gave-up'
    else if (outcome === 'failed' && trouble && at - trouble.since >= GIVE_UP_MILLIS) {
      await webhooks.giveUp(place)
      outcome = 'gave-up'
    }
    if (outcome === 'failed') {
      const pause = Math.min(PAUSE_MILLIS_MAX, PAUSE_MILLIS * 2 ** Math.min(attempt - 1, 10))
      this.#troubles.set(endpoint.id, troubles)
      const since = trouble?.since ?? at
      troubles.set(id, { position: place.position, since, attempts: attempt, until: clock.now() + pause })
    } else troubles.delete(id)
    return this.#note(endpoint, message, { ...tried, attempt, outcome })
  }

  async #messageOf(run: Run, advanced: Advanced) {
    const data = eventOf(advanced, await this.#doors.orderOf(run))
    const { run: id } = run.spec
    const seq = advanced.position
    return { id: messageIdOf(id, seq), type: data.type, run: id, seq, at: advanced.event.at, data }
  }

  /** By hand, and beside what is told in order: nothing is tried sooner or later for what comes of it. */
  async #send(endpoint: Endpoint, message: Message, signal: AbortSignal): Promise<Delivery> {
    const tried = await this.#post(endpoint, message, signal)
    const outcome = tried.reason === null ? 'delivered' : 'failed'
    return this.#note(endpoint, message, { ...tried, attempt: 1, outcome })
  }

  async #post(endpoint: Endpoint, message: Message, signal: AbortSignal): Promise<Tried> {
    const { webhooks, clock, post, secretOf } = this.#doors
    // Its secret may have been changed since it began to be told.
    const signer = (await webhooks.get(endpoint.id)) ?? endpoint
    const at = clock.now()
    const secrets = versionsAt(signer, at).map((version) => secretOf(endpoint.id, version))
    const { headers, body } = signedRequest(secrets, message, at)
    const { status, reason } = await post(
      endpoint.url,
      headers,
      body,
      AbortSignal.any([signal, AbortSignal.timeout(POST_MILLIS)]),
    ).then(
      (status) => ({ status, reason: status >= 200 && status < 300 ? null : `it answered ${status}` }),
      (cause: Error) => ({ status: null, reason: cause.message.slice(0, 200) }),
    )
    return { at, status, reason, elapsedMillis: clock.now() - at }
  }

  #note(
    { id: endpoint }: Endpoint,
    { id, type, run, seq }: Message,
    { attempt, outcome, ...tried }: Tried & Pick<Delivery, 'attempt' | 'outcome'>,
  ): Delivery {
    this.#doors.count(outcome)
    const before = this.deliveries(endpoint)
    const place = Math.max(this.#doors.clock.now(), (before[0]?.place ?? 0) + 1)
    const delivery = { place, id, type, run, seq, ...tried, attempt, outcome }
    this.#deliveries.set(endpoint, [delivery, ...before].slice(0, DELIVERIES_MAX))
    return delivery
  }
}

/** Which event is not taken, since when, how often it was tried, and until when it is left alone. */
type Trouble = {
  readonly position: number
  readonly since: Millis
  readonly attempts: number
  readonly until: Millis
}
type Tried = Pick<Delivery, 'at' | 'status' | 'reason' | 'elapsedMillis'>
type Message = WebhookMessage & { readonly run: RunId | null; readonly seq: number | null }

export function notifying(notifier: Notifier): Duty {
  return { name: 'tell webhooks', everyMillis: LOOK_MILLIS, perform: (signal) => notifier.turn(signal) }
}
