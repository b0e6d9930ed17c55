import type { ApiEvent } from '#sdk/sse.ts'

/** Milliseconds since 1970, by the coordinator's clock. */
type At = number

type Value = { readonly value: number | null }

export type Figures = {
  /** Null where labels are numbers. */
  readonly accuracy: number | null
  readonly loss: number
  readonly figures?: readonly (Value & { readonly name: string; readonly by_label?: readonly Value[] })[]
}

export type SiteTrace = {
  readonly node: string
  readonly operator: string | null
  readonly joinedAt: At | null
  readonly agreedAt: At | null
  readonly reportedAt: At | null
  readonly trainMillis: number | null
  readonly unmaskedAt: At | null
  /** When it left, or said no; and why. */
  readonly leftAt: At | null
  readonly reason: string | null
}

export type RoundTrace = {
  readonly round: number
  readonly purpose: string
  readonly outcome: 'open' | 'closed' | 'aborted'
  readonly reason: string | null
  readonly invited: number
  readonly openedAt: At
  readonly seatedAt: At | null
  readonly certifiedAt: At | null
  readonly aggregatedAt: At | null
  readonly endedAt: At | null
  readonly cohort: number
  readonly reports: number
  readonly bytesPerNode: number
  readonly trainMillis: number
  readonly overheadMillis: number
  readonly model: string | null
  readonly record: string | null
  /** Of the model that it made; null until a later round has tested that. */
  readonly made: Figures | null
  readonly paid: bigint
  /** Empty where it is too long ago. */
  readonly sites: ReadonlyMap<string, SiteTrace>
}

export type RunEnd = { readonly outcome: string; readonly reason: string | null; readonly manifest: string }

/** Rounds of which every site's trace is kept, and events that can be read: a run may have millions. */
const SITES_KEPT_MAX = 200
const LOG_KEPT_MAX = 5000

/** A run as its events tell it. Events of types that nothing here shows are only logged. */
export class RunHistory {
  readonly run: string
  /** Of the last event taken. */
  last = -1
  planned = 0
  masking = 'none'
  purpose = 'train'
  pausedFor: string | null = null
  end: RunEnd | null = null
  /** Of the model before the first round. */
  genesis: Figures | null = null
  readonly #rounds: RoundTrace[] = []
  /** Why it will be paused when the open round has ended. */
  #pausing: string | null = null
  readonly #log: ApiEvent[] = []

  constructor(run: string) {
    this.run = run
  }

  /** In order, the open one last. */
  get rounds(): readonly RoundTrace[] {
    return this.#rounds
  }

  /** The last events, the newest last. */
  get log(): readonly ApiEvent[] {
    return this.#log
  }

  /** Training rounds that closed. */
  get closed(): number {
    return this.#rounds.reduce(
      (sum, { outcome, purpose }) => sum + Number(outcome === 'closed' && purpose === 'train'),
      0,
    )
  }

  take(event: ApiEvent): void {
    this.last = event.seq
    this.#log.push(event)
    if (this.#log.length > LOG_KEPT_MAX * 1.2) this.#log.splice(0, this.#log.length - LOG_KEPT_MAX)
    const at = Date.parse(event.time)
    switch (event.type) {
      case 'run.created':
        this.planned = count(event, 'rounds')
        this.masking = text(event, 'masking') ?? 'none'
        this.purpose = text(event, 'purpose') ?? 'train'
        return
      case 'run.extended':
        this.planned = count(event, 'rounds')
        return
      case 'run.pausing':
        this.#pausing = text(event, 'reason') ?? ''
        return
      case 'run.paused':
        this.pausedFor = text(event, 'reason') ?? ''
        return this.#change(event, (round) => ({ record: text(event, 'record') ?? round.record }))
      case 'run.resumed':
        this.pausedFor = null
        this.#pausing = null
        return
      case 'run.completed':
      case 'run.failed':
      case 'run.stopped':
        this.pausedFor = null
        this.end = {
          outcome: event.type.slice(4),
          reason: text(event, 'reason'),
          manifest: text(event, 'manifest') ?? '',
        }
        return
      case 'run.stopping':
        return this.#change(event, () => ({ outcome: 'aborted', endedAt: at, reason: 'run-stopped' }))
      default:
        return this.#takeOfRound(event, at)
    }
  }

  #takeOfRound(event: ApiEvent, at: At): void {
    switch (event.type) {
      case 'round.opened':
        return this.#open(event, at)
      case 'node.joined':
        this.#site(event, { operator: text(event, 'operator'), joinedAt: at })
        return this.#seat(event, at)
      case 'node.declined':
        return this.#site(event, { leftAt: at, reason: text(event, 'reason') })
      case 'node.left':
        this.#site(event, { leftAt: at, reason: text(event, 'reason') })
        return this.#seat(event, at)
      case 'phase.ended':
      case 'session.enrolled':
        return this.#seat(event, at)
      case 'keys.agreed':
        return this.#site(event, { agreedAt: at })
      case 'update.reported':
        this.#site(event, { reportedAt: at, trainMillis: count(event, 'train_ms') })
        return this.#change(event, (round) => ({ reports: round.reports + 1 }))
      case 'masks.answered':
        return this.#site(event, { unmaskedAt: at })
      case 'session.certified':
        return this.#change(event, () => ({ certifiedAt: at }))
      case 'model.aggregated':
        this.#evaluated(count(event, 'evaluated_round'), figuresOf(event['evaluated']))
        return this.#change(event, () => ({ aggregatedAt: at, model: text(event, 'model') }))
      case 'question.answered':
        return this.#change(event, () => ({ aggregatedAt: at }))
      case 'round.completed':
        this.pausedFor ??= this.#pausing
        return this.#change(event, () => ({
          ...{ outcome: 'closed', endedAt: at, cohort: count(event, 'cohort'), reports: count(event, 'reports') },
          ...{ bytesPerNode: count(event, 'bytes_per_node'), trainMillis: count(event, 'train_ms') },
          ...{ overheadMillis: count(event, 'overhead_ms'), record: text(event, 'manifest'), paid: paidIn(event) },
        }))
      case 'round.aborted':
        // No other event tells of a node whose word ended it.
        if (text(event, 'node')) this.#site(event, { leftAt: at, reason: text(event, 'node_reason') })
        return this.#change(event, () => ({ outcome: 'aborted', endedAt: at, reason: text(event, 'reason') }))
      case 'round.recorded':
        return this.#change(event, () => ({ record: text(event, 'record') }))
    }
  }

  #open(event: ApiEvent, at: At): void {
    const forgotten = this.#rounds.at(-SITES_KEPT_MAX)
    if (forgotten) this.#rounds[this.#rounds.length - SITES_KEPT_MAX] = { ...forgotten, sites: new Map() }
    this.#rounds.push({
      ...{ round: count(event, 'round'), purpose: text(event, 'purpose') ?? 'train', outcome: 'open', reason: null },
      ...{ invited: count(event, 'invited'), openedAt: at, seatedAt: null, certifiedAt: null, aggregatedAt: null },
      ...{ endedAt: null, cohort: 0, reports: 0, bytesPerNode: 0, trainMillis: 0, overheadMillis: 0 },
      ...{ model: null, record: null, made: null, paid: 0n, sites: new Map() },
    })
  }

  /** The draw is over when anything is told of a phase after it. */
  #seat(event: ApiEvent, at: At): void {
    if (text(event, 'phase') === 'selection') return
    this.#change(event, (round) => (round.seatedAt === null ? { seatedAt: at, cohort: joinedIn(round) } : {}))
  }

  #site(event: ApiEvent, change: Partial<SiteTrace>): void {
    const node = text(event, 'node') ?? ''
    this.#change(event, ({ sites }) => {
      const known = sites.get(node) ?? { node, ...UNHEARD }
      // Its own map, which nobody else has yet.
      ;(sites as Map<string, SiteTrace>).set(node, { ...known, ...change })
      return {}
    })
  }

  #evaluated(round: number, made: Figures | null): void {
    if (!made) return
    if (round === 0) this.genesis = made
    const index = this.#rounds.findLastIndex((other) => other.round === round)
    const found = this.#rounds[index]
    if (found) this.#rounds[index] = { ...found, made }
  }

  #change(event: ApiEvent, change: (round: RoundTrace) => Partial<RoundTrace>): void {
    const number = event['round']
    const index = this.#rounds.findLastIndex(({ round }) => round === number)
    const found = this.#rounds[index]
    if (found) this.#rounds[index] = { ...found, ...change(found) }
  }
}

const UNHEARD = {
  ...{ operator: null, joinedAt: null, agreedAt: null, reportedAt: null, trainMillis: null, unmaskedAt: null },
  ...{ leftAt: null, reason: null },
} as const

function joinedIn({ sites }: RoundTrace): number {
  return [...sites.values()].filter(({ joinedAt, leftAt }) => joinedAt !== null && leftAt === null).length
}

function paidIn(event: ApiEvent): bigint {
  const payouts: readonly unknown[] = Array.isArray(event['payouts']) ? event['payouts'] : []
  return payouts.reduce((sum: bigint, payout) => {
    const { amount } = (payout ?? {}) as { readonly amount?: unknown }
    return typeof amount === 'string' && /^\d{1,30}$/.test(amount) ? sum + BigInt(amount) : sum
  }, 0n)
}

function figuresOf(value: unknown): Figures | null {
  const { accuracy, loss, figures } = (value ?? {}) as Partial<Figures>
  if ((typeof accuracy !== 'number' && accuracy !== null) || typeof loss !== 'number') return null
  return { accuracy, loss, ...(Array.isArray(figures) && { figures }) }
}

function count(event: ApiEvent, field: string): number {
  const value = event[field]
  return typeof value === 'number' ? value : 0
}

function text(event: ApiEvent, field: string): string | null {
  const value = event[field]
  return typeof value === 'string' ? value : null
}
