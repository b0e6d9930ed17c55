import type { FigureName } from '#protocol/metrics.ts'
import type { Masking, Population, Purpose } from '#protocol/plan.ts'

/** What the API answers, as TypeScript. A test holds these equal to the validators, where the coordinator has them. */
export type PageView<T> = { data: T[]; has_more: boolean; next: string | null }

export type EvaluationView = {
  /** Held-out rows of all sites; null under masks. */
  rows: number | null
  /** Under masks: sites, each of which counts alike; else null. */
  sites: number | null
  accuracy: number
  /** Nats per row. */
  loss: number
  figures?: { name: FigureName; value: number | null; within: number }[] | undefined
}

export type RunStatus = 'funding' | 'running' | 'paused' | 'finishing' | 'completed' | 'failed' | 'stopped'

export type RunView = {
  id: string
  status: RunStatus
  /** Why it is paused, failed or was stopped. */
  reason: string | null
  created_at: string
  purpose: 'train' | 'ask'
  name: string
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

export type NodeView = {
  id: string
  linked: boolean
  operator: string | null
  standing: 'confirmed' | 'unchecked' | 'doubted'
  /** What it says of itself; null where it has said nothing. */
  capability: Record<string, unknown> | null
}

/** Columns of equal length, by name; a round's figure is null where there is none. */
export type MetricsView = Record<string, (number | string | null)[]>

export type ReceiptView = {
  node: string
  operator: string | null
  amount: string
  run: string
  round: number
  receipt: string
}

export type FileView = { cid: string; size_bytes: number }

export type TaskView = {
  task: string
  name: string
  data: 'image' | 'table' | 'text' | 'joint'
  loss: string
  architecture: string
  genesis: string
  parameters: number
  trained: number
  created_at: string
}

export type FederationView = {
  id: string
  name: string
  description: string | null
  members: number
  created_at: string
  updated_at: string
}
export type MemberView = {
  node: string
  operator: string | null
  linked: boolean
  joined_at: string
  via: 'added' | 'invite'
}
export type InviteView = {
  id: string
  operator: string | null
  uses_left: number
  created_at: string
  expires_at: string | null
  revoked_at: string | null
}

export type ApiKeyView = {
  id: string
  name: string
  scopes: string[]
  federation: string | null
  created_at: string
  expires_at: string | null
  revoked_at: string | null
  last_used_at: string | null
}

export type WhoamiView = {
  id: string
  name: string
  scopes: string[]
  federation: string | null
  expires_at: string | null
}

export type WebhookEndpointView = {
  id: string
  url: string
  events: string[]
  description: string
  enabled: boolean
  created_at: string
  updated_at: string
  /** The latest event that was not delivered within a day. */
  gave_up: { at: string; run: string; seq: number; reason: string } | null
}

export type VerificationView = {
  verdict: 'proved' | 'refuted' | 'running'
  run: string
  /** CID of the record. */
  root: string
  checked_at: string | null
  took_ms: number | null
  figures: Record<string, number> | null
  failure: { step: string; round: number | null; detail: string } | null
}

/** What would become of a run, before anything moves. */
export type DryRunView = {
  ok: boolean
  errors: { pointer: string; message: string }[]
  parameters: number | null
  rounds: number
  bytes: Record<string, unknown> | null
  privacy: { epsilon: number | null; reason: string | null }
  sites: {
    node: string
    operator: string | null
    linked: boolean
    /** Null where it has not answered. */
    accepts: boolean | null
    rule: string | null
    detail: string | null
  }[]
  [field: string]: unknown
}
