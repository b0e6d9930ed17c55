import type { FigureName } from '#protocol/metrics.ts'
import type { Masking, Population, Purpose } from '#protocol/plan.ts'

export type RunStatus = 'funding' | 'running' | 'paused' | 'finishing' | 'completed' | 'failed' | 'stopped'

/** A run, as it is. */
export type RunView = {
  id: string
  status: RunStatus
  /** Why it is paused, failed or was stopped. */
  reason: string | null
  created_at: string
  purpose: 'train' | 'ask'
  name: string
  labels: Record<string, string>
  population: Population
  federation: string | null
  masking: Masking
  /** Training rounds that are to close; that have closed; rounds of any purpose that are over. */
  rounds: number
  closed: number
  over: number
  round: number | null
  phase: string | null
  /** CIDs. */
  task: string
  model: string
  manifest: string | null
  vectors: 'kept' | 'expired'
  vectors_until: string | null
  evaluation: EvaluationView | null
  /** When it has trained enough. */
  stop_when: {
    metric: string
    patience?: number | undefined
    min_delta?: number | undefined
    at_least?: number | undefined
    at_most?: number | undefined
  } | null
  /** The closed round of another run whose model it started from. */
  origin: { run: string; round: number; manifest: string } | null
  /** Micro-credits, as decimal text. */
  budget: string
  paid: string
  released: string
}

/** Training runs by their status, and their rounds that ended after `since`. */
export type RunCountsView = {
  statuses: Record<RunStatus, number>
  rounds: { closed: number; aborted: number }
  since: string
}

/** What a model did on held-out rows. */
export type EvaluationView = {
  /** Held-out rows of all sites; null under masks. */
  rows: number | null
  /** Under masks: sites, each of which counts alike; else null. */
  sites: number | null
  accuracy: number
  /** Nats per row. */
  loss: number
  figures?: (FigureView & { name: FigureName; by_label?: FigureView[] | undefined })[] | undefined
}

type FigureView = { value: number | null; within: number }

/** One round of a run. */
export type RoundView = {
  round: number
  purpose: Purpose
  outcome: 'open' | 'closed' | 'aborted'
  phase: string | null
  reason: string | null
  cohort: number
  reports: number
  opened_at: string
  ended_at: string | null
  record: string | null
  evaluation: EvaluationView | null
}

/** One node of a round. */
export type SeatView = {
  seat: number
  node: string
  outcome: 'waiting' | 'reported' | 'gone'
  reason: string | null
  update: string | null
  reported_at: string | null
  train_ms: number | null
}

export type RoundWithSeatsView = RoundView & { seats: SeatView[] }

/** Columns of equal length, by name; a round's figure is null where there is none. */
export type MetricsView = Record<string, (number | string | null)[]>

/** A model at each site, as its held-out rows have it. */
export type MatrixRowView = {
  /** The training round that made it; 0: the model that training starts from. */
  round: number
  model: string
  /** The round in which sites tested it. */
  tested_in: number
  all: { rows: number | null; sites: number | null; accuracy: number; loss: number } | null
  sites:
    | { node: string; rows: number | null; correct: number | null; accuracy: number | null; loss: number | null }[]
    | null
  /** Why there is nothing by site: nobody knows, or nobody knows any more. */
  why: 'masked' | 'expired' | null
}

/** What it came to when the coordinator redid a record. */
export type VerificationView = {
  verdict: 'proved' | 'refuted' | 'running'
  run: string
  /** CID of the record. */
  root: string
  checked_at: string | null
  took_ms: number | null
  /** Of a record that holds. */
  figures: {
    rounds_closed: number
    rounds_aborted: number
    sums_recomputed: number
    sums_committed: number
    sums_expired: number
    nodes: number
    blocks: number
    bytes: number
    signatures: number
  } | null
  /** The first step that does not hold. */
  failure: { step: string; round: number | null; detail: string } | null
}
