import { z } from 'zod'
import { assert } from '#protocol/assert.ts'
import { count, millisField, reasonField, runIdField } from '#protocol/codec.ts'
import { isMeant } from '#protocol/event-types.ts'
import type { Millis, RunId } from '#protocol/ids.ts'
import { RUN_EVENTS_MAX } from '#protocol/limits.ts'
import { shareOf } from '#protocol/places.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Chronicle } from './chronicle.ts'
import { type Once, Onces, onceField } from './once.ts'

/** Endpoints at a time, of which a federation has its share: each is looked after by itself. */
const ENDPOINTS_MAX = 100
/** What is kept of all endpoints together, in a stream that is read whole at a start. */
export type WebhookBounds = {
  /** Entries after which it is no more written down how far each has been told: after a restart that is told again. */
  readonly passes: number
  /** Entries after which there are no new endpoints. */
  readonly entries: number
  /** Endpoints that a federation has ever made, and changes of them. */
  readonly changesEach: number
}
const BOUNDS: WebhookBounds = { passes: 500_000, entries: 600_000, changesEach: 10_000 }
const ENTRY_BYTES_MAX = 4096
/** How long messages may be signed by an old secret as well. */
export const OVERLAP_SECONDS_MAX = 7 * 86_400
/** Of one endpoint at a time: each is a signature in every message. */
const SECRETS_MAX = 4

/** `round.completed`, or `run.*` for all that start like that; also types that there are no more, as the log has them. */
const patternField = z.string().regex(/^([a-z]+\.[a-z]+|[a-z]+\.\*|\*)$/)
export const endpointFields = {
  url: z.url({ protocol: /^https?$/ }).max(2000),
  events: z.array(patternField).min(1, 'must be at least one').max(50).readonly(),
  description: z.string().max(500),
}
const idField = z.string().min(1).max(100)
const bodySchema = z.strictObject({ ...endpointFields, federation: z.string().max(100).nullable() })

const webhookEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('added'),
    id: idField,
    at: millisField,
    once: onceField.nullable(),
    ...bodySchema.shape,
  }),
  z.strictObject({
    kind: z.literal('changed'),
    id: idField,
    at: millisField,
    ...endpointFields,
    enabled: z.boolean(),
  }),
  /** From then on there is another secret; the one before signs as well for so long, and older ones no longer than that. */
  z.strictObject({
    kind: z.literal('rotated'),
    id: idField,
    at: millisField,
    once: onceField.nullable(),
    overlapMillis: count(1000 * OVERLAP_SECONDS_MAX),
  }),
  z.strictObject({ kind: z.literal('removed'), id: idField }),
  /** All events of a run before this position are delivered, or no longer tried. */
  z.strictObject({ kind: z.literal('passed'), id: idField, run: runIdField, position: count(RUN_EVENTS_MAX) }),
  /** This event was not taken for so long that it is not tried any more; or it was answered that nobody is there. */
  z.strictObject({
    kind: z.literal('gaveUp'),
    id: idField,
    at: millisField,
    run: runIdField,
    position: count(RUN_EVENTS_MAX),
    reason: reasonField,
  }),
])
type WebhookEvent = z.output<typeof webhookEventSchema>
type EndpointBody = z.output<typeof bodySchema>

export type Endpoint = EndpointBody & {
  readonly id: string
  readonly enabled: boolean
  readonly createdAt: Millis
  readonly updatedAt: Millis
  /** What messages are signed with, the present one first. */
  readonly secrets: readonly EndpointSecret[]
  /** Where each run stands: what comes before is delivered. Runs of before the endpoint are not told. */
  readonly passed: ReadonlyMap<RunId, number>
  /** The latest event that was given up. */
  readonly gaveUp: {
    readonly at: Millis
    readonly run: RunId
    readonly position: number
    readonly reason: string
  } | null
}
/** By how often it had been changed before, and when it ends: null of the present one. */
type EndpointSecret = { readonly version: number; readonly until: Millis | null }
export type EndpointChange = Partial<Pick<Endpoint, 'url' | 'events' | 'description' | 'enabled'>>

type Added = { readonly endpoint: Endpoint; readonly isReplayed: boolean }
type Rotated = Added & { readonly version: number }
type RotateRefusal = 'no-endpoint' | 'stale' | 'too-many' | 'too-many-secrets' | 'key-reused'
type State = {
  readonly endpoints: Map<string, Endpoint>
  readonly onces: Onces
  /** How often the endpoints of each federation were made and changed. */
  readonly changes: Map<string | null, number>
}
type WebhooksDoors = { readonly log: EventLog; readonly clock: Clock; readonly newEndpointId: () => string }

/** Who is told of what happens, and how far each has been told, whichever process tells it. */
export class Webhooks {
  readonly #doors: WebhooksDoors
  readonly #bounds: WebhookBounds
  readonly #chronicle: Chronicle<WebhookEvent, State>

  constructor(doors: WebhooksDoors, bounds = BOUNDS) {
    this.#doors = doors
    this.#bounds = bounds
    this.#chronicle = new Chronicle<WebhookEvent, State>({
      ...{ log: doors.log, stream: 'webhooks', schema: webhookEventSchema, entryBytesMax: ENTRY_BYTES_MAX },
      ...{ state: { endpoints: new Map(), onces: new Onces(), changes: new Map() }, step },
    })
  }

  /** The oldest first. */
  all(): Promise<readonly Endpoint[]> {
    return this.#chronicle.read(({ endpoints }) => [...endpoints.values()])
  }

  get(id: string): Promise<Endpoint | undefined> {
    return this.#chronicle.read(({ endpoints }) => endpoints.get(id))
  }

  /** @returns the endpoint; that which the same request has made before, if it has */
  add(body: EndpointBody, once: Once | null): Promise<Result<Added, 'too-many' | 'key-reused'>> {
    const { clock, newEndpointId } = this.#doors
    const added = { kind: 'added' as const, id: newEndpointId(), at: clock.now(), once, ...body }
    return this.#chronicle.write<Result<Added, 'too-many' | 'key-reused'>>((state, position) => {
      const { endpoints, onces } = state
      const none = (answer: Result<Added, 'too-many' | 'key-reused'>) => ({ events: [], answer })
      const made = onces.madeBy(once)
      if (made === 'reused') return none(refuse('key-reused'))
      const known = made && endpoints.get(made.id)
      if (known) return none(accept({ endpoint: known, isReplayed: true }))
      const own = [...endpoints.values()].filter(({ federation }) => federation === body.federation).length
      if (body.federation !== null && own >= shareOf(ENDPOINTS_MAX))
        return none(refuse('too-many', `there are ${own} endpoints of this federation`))
      if (endpoints.size >= ENDPOINTS_MAX) return none(refuse('too-many', `there are ${ENDPOINTS_MAX} endpoints`))
      if (position >= this.#bounds.entries || this.#hasChanged(state, body))
        return none(refuse('too-many', 'the list of all that ever were is full'))
      return { events: [added], answer: accept({ endpoint: endpointOf(added), isReplayed: false }) }
    })
  }

  /**
   * @param may judges the endpoint as it stands
   * @returns the endpoint as it is then; undefined where there is none; `stale` where it may not; `too-many` where it was
   *   changed too often: then it can still be taken away
   */
  change(
    id: string,
    change: EndpointChange,
    may: (endpoint: Endpoint) => boolean = () => true,
  ): Promise<Endpoint | 'stale' | 'too-many' | undefined> {
    return this.#chronicle.write<Endpoint | 'stale' | 'too-many' | undefined>((state) => {
      const standing = state.endpoints.get(id)
      if (!standing) return { events: [], answer: undefined }
      if (!may(standing)) return { events: [], answer: 'stale' }
      if (this.#hasChanged(state, standing)) return { events: [], answer: 'too-many' }
      const at = Math.max(this.#doors.clock.now(), standing.updatedAt + 1)
      const { url, events, description, enabled } = { ...standing, ...change }
      const changed = { kind: 'changed' as const, id, at, url, events, description, enabled }
      return { events: [changed], answer: changedBy(standing, changed) }
    })
  }

  /**
   * Makes another secret. Those before sign as well for as long as is said, and one whose time was to end sooner until then.
   *
   * @param may judges the endpoint as it stands
   * @returns the endpoint as it is then, and which secret this request has made
   */
  rotate(
    id: string,
    overlapMillis: Millis,
    once: Once | null,
    may: (endpoint: Endpoint) => boolean = () => true,
  ): Promise<Result<Rotated, RotateRefusal>> {
    return this.#chronicle.write<Result<Rotated, RotateRefusal>>((state) => {
      const none = (answer: Result<Rotated, RotateRefusal>) => ({ events: [], answer })
      const standing = state.endpoints.get(id)
      if (!standing) return none(refuse('no-endpoint'))
      const made = state.onces.madeBy(once)
      if (made === 'reused') return none(refuse('key-reused'))
      if (made) return none(accept({ endpoint: standing, version: Number(made.id), isReplayed: true }))
      if (!may(standing)) return none(refuse('stale'))
      if (this.#hasChanged(state, standing)) return none(refuse('too-many'))
      const at = Math.max(this.#doors.clock.now(), standing.updatedAt + 1)
      const rotated = { kind: 'rotated' as const, id, at, once, overlapMillis }
      const endpoint = rotatedBy(standing, rotated)
      if (endpoint.secrets.length > SECRETS_MAX) return none(refuse('too-many-secrets'))
      return { events: [rotated], answer: accept({ endpoint, version: versionOf(endpoint), isReplayed: false }) }
    })
  }

  /** Whether a federation's endpoints were changed as often as they may be: others are to have room for theirs. */
  #hasChanged({ changes }: State, { federation }: Pick<Endpoint, 'federation'>): boolean {
    return federation !== null && (changes.get(federation) ?? 0) >= this.#bounds.changesEach
  }

  remove(id: string): Promise<boolean> {
    return this.#chronicle.write(({ endpoints }) =>
      endpoints.has(id) ? { events: [{ kind: 'removed', id }], answer: true } : { events: [], answer: false },
    )
  }

  /** The events of a run before this position need not be sent again. Another process may have been faster, and further. */
  async pass(id: string, run: RunId, position: number): Promise<void> {
    await this.#chronicle.write(({ endpoints: known }, length) => {
      const isNew = (known.get(id)?.passed.get(run) ?? 0) < position && length < this.#bounds.passes
      return { events: known.has(id) && isNew ? [{ kind: 'passed', id, run, position }] : [], answer: undefined }
    })
  }

  /** An event is not tried any more. */
  async giveUp({ id, run, position, reason }: Refused): Promise<void> {
    const at = this.#doors.clock.now()
    await this.#chronicle.write(({ endpoints: known }, length) => {
      const isNew = (known.get(id)?.passed.get(run) ?? 0) <= position && length < this.#bounds.passes
      const events = [
        { kind: 'gaveUp' as const, ...{ id, at, run, position, reason } },
        { kind: 'passed' as const, ...{ id, run, position: position + 1 } },
      ]
      return { events: known.has(id) && isNew ? events : [], answer: undefined }
    })
  }

  /**
   * Where an event was answered that nobody is there any more: nothing is sent until somebody switches the endpoint on, and
   * then it goes on with that event.
   *
   * @param url that gave the answer
   * @returns whether that is still its address
   */
  switchOff({ id, run, position, reason }: Refused, url: string): Promise<boolean> {
    return this.#chronicle.write<boolean>(({ endpoints }) => {
      const standing = endpoints.get(id)
      if (!standing || standing.url !== url) return { events: [], answer: false }
      if (!standing.enabled) return { events: [], answer: true }
      const at = Math.max(this.#doors.clock.now(), standing.updatedAt + 1)
      const { events, description } = standing
      const gaveUp = { kind: 'gaveUp' as const, id, at, run, position, reason }
      return {
        events: [gaveUp, { kind: 'changed', id, at, url, events, description, enabled: false }],
        answer: true,
      }
    })
  }
}

/** An event that an endpoint does not take. */
type Refused = { readonly id: string; readonly run: RunId; readonly position: number; readonly reason: string }

export function isWanted({ events }: Pick<Endpoint, 'events'>, type: string): boolean {
  return events.some((pattern) => isMeant(pattern, type))
}

function step({ endpoints: known, onces, changes }: State, event: WebhookEvent): void {
  if (event.kind === 'added') {
    onces.note(event.once, event.id)
    changes.set(event.federation, (changes.get(event.federation) ?? 0) + 1)
    return void known.set(event.id, endpointOf(event))
  }
  if (event.kind === 'removed') return void known.delete(event.id)
  const standing = known.get(event.id)
  if (!standing) return
  if (event.kind === 'changed') {
    changes.set(standing.federation, (changes.get(standing.federation) ?? 0) + 1)
    return void known.set(event.id, changedBy(standing, event))
  }
  if (event.kind === 'rotated') {
    changes.set(standing.federation, (changes.get(standing.federation) ?? 0) + 1)
    const rotated = rotatedBy(standing, event)
    onces.note(event.once, String(versionOf(rotated)))
    return void known.set(event.id, rotated)
  }
  const { run, position } = event
  if (event.kind === 'passed')
    return void known.set(event.id, { ...standing, passed: new Map(standing.passed).set(run, position) })
  const { at, reason } = event
  known.set(event.id, { ...standing, gaveUp: { at, run, position, reason } })
}

function endpointOf({ kind: _, once: _once, at, ...body }: Extract<WebhookEvent, { kind: 'added' }>): Endpoint {
  const secrets = [{ version: 0, until: null }]
  return { ...body, enabled: true, createdAt: at, updatedAt: at, secrets, passed: new Map(), gaveUp: null }
}

function changedBy(standing: Endpoint, { kind: _, at, ...body }: Extract<WebhookEvent, { kind: 'changed' }>): Endpoint {
  return { ...standing, ...body, updatedAt: at }
}

function rotatedBy(
  standing: Endpoint,
  { at, overlapMillis }: Pick<Extract<WebhookEvent, { kind: 'rotated' }>, 'at' | 'overlapMillis'>,
): Endpoint {
  const last = at + overlapMillis
  const old = standing.secrets.map(({ version, until }) => ({ version, until: Math.min(until ?? last, last) }))
  const secrets = [{ version: versionOf(standing) + 1, until: null }, ...old.filter(({ until }) => until > at)]
  return { ...standing, secrets, updatedAt: at }
}

function versionOf({ secrets: [present] }: Endpoint): number {
  assert(present, 'an endpoint has a secret')
  return present.version
}

/** What a message is signed with at this time, the present one first. */
export function versionsAt({ secrets }: Pick<Endpoint, 'secrets'>, now: Millis): readonly number[] {
  return secrets.filter(({ until }) => until === null || now < until).map(({ version }) => version)
}
