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
}

export type PastRound = {
  readonly round: number
  /** Why it came to nothing; null for a closed one. */
  readonly aborted: string | null
  readonly reports: number
  readonly cohort: number
  readonly bytesPerNode: number
  readonly trainMillis: number
  readonly overheadMillis: number
  /** Of the model that the round made; undefined until a later round has tested it. */
  readonly evaluation: Evaluation | undefined
}

export type Evaluation = {
  /** Held-out rows of all sites; null under masks, where `sites` count alike. */
  readonly rows: number | null
  readonly sites: number | null
  readonly accuracy: number
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

const figure = z.object({ name: z.string(), value: z.number().nullable(), within: z.number() })
const evaluation = z.object({
  ...{ rows: z.number().nullable(), sites: z.number().nullable() },
  ...{ accuracy: z.number(), loss: z.number(), figures: z.array(figure).optional() },
})
const round = z.number()
const created = z.object({ rounds: z.number(), masking: z.string(), purpose: z.string().default('train') })
const extended = z.object({ rounds: z.number() })
const opened = z.object({ round, purpose: z.string(), invited: z.number() })
const completed = z.object({
  ...{ round, purpose: z.string(), cohort: z.number(), reports: z.number(), bytes_per_node: z.number() },
  ...{ train_ms: z.number(), overhead_ms: z.number() },
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
  const { open } = progress
  switch (event.type) {
    case 'run.created':
      return { ...progress, ...created.parse(event) }
    case 'run.extended':
      return { ...progress, ...extended.parse(event) }
    case 'round.opened': {
      const { round, purpose, invited } = opened.parse(event)
      return { ...progress, open: { round, purpose, invited, joined: 0, reported: 0 } }
    }
    case 'node.joined':
      return { ...progress, open: open && { ...open, joined: open.joined + 1 } }
    case 'update.reported':
      return { ...progress, open: open && { ...open, reported: open.reported + 1 } }
    case 'model.aggregated': {
      const { evaluated, evaluated_round } = aggregated.parse(event)
      return evaluated ? { ...progress, past: tested(progress.past, evaluated_round, evaluated) } : progress
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
  const times = { bytesPerNode: 0, trainMillis: 0, overheadMillis: 0, evaluation: undefined }
  const past = { round, aborted: reason ?? 'aborted', reports: 0, cohort: 0, ...times }
  return { ...progress, open: undefined, past: [...progress.past, past] }
}

function close(progress: RunProgress, closed: z.output<typeof completed>): RunProgress {
  if (closed.purpose !== 'train') return { ...progress, open: undefined }
  const paid = new Map(progress.paid)
  for (const { node, amount } of closed.payouts) paid.set(node, (paid.get(node) ?? 0n) + BigInt(amount))
  const { round, reports, cohort, bytes_per_node, train_ms, overhead_ms } = closed
  const times = { bytesPerNode: bytes_per_node, trainMillis: train_ms, overheadMillis: overhead_ms }
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
