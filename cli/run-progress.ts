import { z } from 'zod'
import type { ApiEvent } from '#sdk/sse.ts'
import type { ShownFigure } from './render/figures.ts'

/** A run as its events tell it: what a table, a line or a live block shows. */
export type RunProgress = {
  readonly run: string
  /** Training rounds that are to close. */
  readonly rounds: number
  readonly masking: string
  /** `train`, or `ask` where a question is asked. */
  readonly purpose: string
  readonly open: OpenRound | undefined
  /** Training rounds that are over, in order. */
  readonly past: readonly PastRound[]
  /** Micro-credits by node, of closed rounds. */
  readonly paid: ReadonlyMap<string, bigint>
  readonly end: RunEnd | undefined
}

export type OpenRound = {
  readonly round: number
  readonly purpose: string
  readonly invited: number
  readonly joined: number
  readonly reported: number
  /** Of those who joined, gone before they reported. */
  readonly left: number
  /** Each phase since when, by the coordinator's clock; the last one is under way. */
  readonly phases: readonly PhaseStart[]
}

export type PhaseStart = { readonly name: string; readonly sinceMillis: number }

export type PastRound = {
  readonly round: number
  /** Why it came to nothing; null for a closed one. */
  readonly aborted: string | null
  readonly reports: number
  readonly cohort: number
  readonly bytesPerNode: number
  readonly trainMillis: number
  readonly overheadMillis: number
  readonly durationMillis: number
  readonly endedAt: string
  /** Of the model that the round made; undefined until a later round has tested it. */
  readonly evaluation: Evaluation | undefined
}

export type Evaluation = {
  /** Held-out rows of all sites; null under masks, where `sites` count alike. */
  readonly rows: number | null
  readonly sites: number | null
  /** Null where labels are numbers. */
  readonly accuracy: number | null
  readonly loss: number
  /** Where the task asks for metrics. */
  readonly figures?: readonly ShownFigure[] | undefined
}

export type RunEnd = {
  readonly outcome: 'completed' | 'failed' | 'stopped'
  readonly reason: string | null
  readonly evaluation: Evaluation | null
  readonly model: string
  readonly manifest: string
  readonly ledger: { readonly budget: string; readonly paid: string; readonly released: string }
}

export function watching(run: string): RunProgress {
  return {
    run,
    rounds: 0,
    masking: 'none',
    purpose: 'train',
    open: undefined,
    past: [],
    paid: new Map(),
    end: undefined,
  }
}

const value = { value: z.number().nullable(), within: z.number() }
const figure = z.object({ name: z.string(), ...value, by_label: z.array(z.object(value)).optional() })
const evaluation = z.object({
  ...{ rows: z.number().nullable(), sites: z.number().nullable() },
  ...{ accuracy: z.number().nullable(), loss: z.number(), figures: z.array(figure).optional() },
})
const round = z.number()
const created = z.object({ rounds: z.number(), masking: z.string(), purpose: z.string().default('train') })
const extended = z.object({ rounds: z.number() })
const opened = z.object({ round, purpose: z.string(), invited: z.number() })
const completed = z.object({
  ...{ round, purpose: z.string(), cohort: z.number(), reports: z.number(), bytes_per_node: z.number() },
  ...{ train_ms: z.number(), overhead_ms: z.number(), duration_ms: z.number(), time: z.string() },
  payouts: z.array(z.object({ node: z.string(), amount: z.string() })),
})
const aborted = z.object({ round, purpose: z.string().optional(), reason: z.string().nullable() })
const stopping = z.object({ round: z.number().nullable() })
const aggregated = z.object({ round, evaluated: evaluation.nullable(), evaluated_round: z.number() })
const ended = z.object({
  ...{ reason: z.string().nullable(), evaluation: evaluation.nullable(), model: z.string(), manifest: z.string() },
  ledger: z.object({ budget: z.string(), paid: z.string(), released: z.string() }),
})

/** What is known after one more event. Events of types that nothing here shows change nothing. */
export function follow(progress: RunProgress, event: ApiEvent): RunProgress {
  const next = counted(progress, event)
  return next.open && next.open !== progress.open ? { ...next, open: inPhase(next, next.open, event) } : next
}

/** What an event says of the phase that its round is in after it. */
function inPhase({ masking }: RunProgress, open: OpenRound, event: ApiEvent): OpenRound {
  const allIn = masking === 'none' && open.reported > 0 && open.reported + open.left >= open.joined
  const reporting = event.type === 'update.reported' && (allIn ? 'aggregation' : 'reporting')
  const said =
    typeof event['phase'] === 'string' ? event['phase'] : (PHASE_SINCE[event.type] ?? (reporting || undefined))
  if (said === undefined || open.phases.at(-1)?.name === said) return open
  return { ...open, phases: [...open.phases, { name: said, sinceMillis: Date.parse(event.time) }] }
}

const PHASE_SINCE: Readonly<Record<string, string>> = {
  'round.opened': 'selection',
  'session.enrolled': 'keys',
  'session.surveyed': 'consistency',
  'session.certified': 'unmasking',
  'model.aggregated': 'settlement',
  'question.answered': 'settlement',
}

function counted(progress: RunProgress, event: ApiEvent): RunProgress {
  const { open } = progress
  switch (event.type) {
    case 'run.created':
      return { ...progress, ...created.parse(event) }
    case 'run.extended':
      return { ...progress, ...extended.parse(event) }
    case 'round.opened': {
      const { round, purpose, invited } = opened.parse(event)
      return { ...progress, open: { round, purpose, invited, joined: 0, reported: 0, left: 0, phases: [] } }
    }
    case 'node.joined':
      return { ...progress, open: open && { ...open, joined: open.joined + 1 } }
    case 'update.reported':
      return { ...progress, open: open && { ...open, reported: open.reported + 1 } }
    case 'node.left':
      return { ...progress, open: open && { ...open, left: open.left + 1 } }
    case 'phase.ended':
    case 'session.enrolled':
    case 'session.surveyed':
    case 'session.certified':
    case 'question.answered':
      return { ...progress, open: open && { ...open } }
    case 'model.aggregated': {
      const { evaluated, evaluated_round } = aggregated.parse(event)
      const past = evaluated ? tested(progress.past, evaluated_round, evaluated) : progress.past
      return { ...progress, past, open: open && { ...open } }
    }
    case 'round.completed':
      return close(progress, completed.parse(event))
    case 'round.aborted':
      return abort(progress, event, aborted.parse(event))
    case 'run.stopping': {
      const { round } = stopping.parse(event)
      return round === null ? progress : abort(progress, event, { round, reason: 'run-stopped' })
    }
    case 'run.completed':
      return { ...progress, open: undefined, end: { outcome: 'completed', ...ended.parse(event) } }
    case 'run.failed':
      return { ...progress, open: undefined, end: { outcome: 'failed', ...ended.parse(event) } }
    case 'run.stopped':
      return { ...progress, open: undefined, end: { outcome: 'stopped', ...ended.parse(event) } }
    default:
      return progress
  }
}

function abort(
  progress: RunProgress,
  event: ApiEvent,
  { round, reason }: { readonly round: number; readonly reason: string | null },
): RunProgress {
  if (['evaluate', 'ask'].includes(String(event['purpose'] ?? progress.open?.purpose)))
    return { ...progress, open: undefined }
  const times = { bytesPerNode: 0, trainMillis: 0, overheadMillis: 0, durationMillis: 0, endedAt: event.time }
  const past = { round, evaluation: undefined, aborted: reason ?? 'aborted', reports: 0, cohort: 0, ...times }
  return { ...progress, open: undefined, past: [...progress.past, past] }
}

function close(progress: RunProgress, closed: z.output<typeof completed>): RunProgress {
  if (closed.purpose !== 'train') return { ...progress, open: undefined }
  const paid = new Map(progress.paid)
  for (const { node, amount } of closed.payouts) paid.set(node, (paid.get(node) ?? 0n) + BigInt(amount))
  const { round, reports, cohort, bytes_per_node, train_ms, overhead_ms, duration_ms, time } = closed
  const times = {
    ...{ bytesPerNode: bytes_per_node, trainMillis: train_ms, overheadMillis: overhead_ms },
    ...{ durationMillis: duration_ms, endedAt: time },
  }
  const past = { round, aborted: null, reports, cohort, ...times, evaluation: undefined }
  return { ...progress, open: undefined, past: [...progress.past, past], paid }
}

function tested(past: readonly PastRound[], round: number, evaluation: Evaluation): readonly PastRound[] {
  return past.map((other) => (other.round === round ? { ...other, evaluation } : other))
}

/** Training rounds that there will be, as far as is known: each that came to nothing is tried again. */
export function roundsIn({ rounds, past }: Pick<RunProgress, 'rounds' | 'past'>): number {
  return rounds + past.filter(({ aborted }) => aborted !== null).length
}

/** Rounds of which everything is known that ever will be, from the `from`th on: each can be shown for good. */
export function settledRounds({ past, end }: RunProgress, from: number): readonly PastRound[] {
  const ready = past.findIndex(({ aborted, evaluation }) => aborted === null && evaluation === undefined)
  return past.slice(from, end || ready < 0 ? undefined : Math.max(ready, from))
}

/** Of how many of the latest rounds the middle one counts: one that waited for a straggler says little of the next. */
const ETA_ROUNDS = 5

/** Until the last training round closes, by the median of the latest; undefined before one has closed. @param now by our clock */
export function etaMillis({ rounds, past, open }: RunProgress, now: number): number | undefined {
  const closed = past.filter(({ aborted }) => aborted === null).map(({ durationMillis }) => durationMillis)
  const latest = closed.slice(-ETA_ROUNDS).sort((one, other) => one - other)
  const median = latest[Math.floor(latest.length / 2)]
  if (median === undefined || closed.length >= rounds) return undefined
  const began = open?.purpose === 'train' ? open.phases[0]?.sinceMillis : undefined
  const elapsed = began === undefined ? 0 : Math.min(median, Math.max(0, now - began))
  return median * (rounds - closed.length) - elapsed
}
