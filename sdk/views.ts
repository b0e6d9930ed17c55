import type { FigureName } from '#protocol/metrics.ts'
import type { Masking, Population, Purpose } from '#protocol/plan.ts'
import type { ReferenceModel } from '#protocol/reference-models.ts'
import type { Verdict } from '#protocol/spot-check.ts'

/** What the API answers, as TypeScript. A test holds these equal to the validators, where the coordinator has them. */
export type PageView<T> = { data: T[]; has_more: boolean; next: string | null }

type FigureView = { value: number | null; within: number }

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

export type RunStatus = 'funding' | 'running' | 'paused' | 'finishing' | 'completed' | 'failed' | 'stopped'

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

/** What spot checks made of what a node says. */
export type Standing = 'confirmed' | 'unchecked' | 'doubted'

export type NodeView = {
  id: string
  linked: boolean
  operator: string | null
  standing: Standing
  /** What it says of itself; null where it has said nothing. */
  capability: {
    backend: string
    /** What the backend runs on; empty where it has no name. */
    adapter: string
    software: boolean
    deterministic: boolean
    /** Lent to one task. */
    memory_bytes: number
    version: string
    population: Population
    reported_at: string
    stale: boolean
    stale_at: string
    speeds: SpeedView[]
  } | null
}

export type SpeedView = {
  model: ReferenceModel
  /** Samples a second, in thousandths: the node's word. */
  milli_samples_per_second: number
  measured_at: string
  standing: Standing
  /** At the last check, by the coordinator's clock: it was at least so fast. */
  observed_milli_samples_per_second: number | null
  checked_at: string | null
}

export type SpotCheckView = {
  at: string
  model: ReferenceModel
  verdict: Verdict
  claimed_milli_samples_per_second: number
  observed_milli_samples_per_second: number | null
  elapsed_ms: number | null
  train_ms: number | null
}

export type NodeWithHistoryView = NodeView & {
  /** The newest first. */
  checks: SpotCheckView[]
  rounds: { run: string; round: number; train_ms: number; elapsed_ms: number }[]
}

/** What a node says in public of its data. */
export type DatasetView = {
  node: string
  operator: string | null
  name: string
  kind: 'table' | 'image' | 'joint'
  columns: { name: string; kind: 'number' | 'category' | 'text' }[] | null
  /** Of one image. */
  shape: number[] | null
  classes: number | null
  /** The power of two below its rows. */
  rows_at_least: number
  published_at: string
}

/** Columns of equal length, by name; a round's figure is null where there is none. */
export type MetricsView = Record<string, (number | string | null)[]>

export type ReceiptView = {
  node: string
  operator: string | null
  /** Micro-credits, as decimal text. */
  amount: string
  run: string
  round: number
  /** CID of the coordinator's signed word. */
  receipt: string
}

/** @property earned micro-credits, as decimal text */
export type BalanceView = { node: string; operator: string | null; earned: string; updates: number }

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

export type ModelView = {
  model: string
  architecture: string
  weights: string
  size_bytes: number
  parameters: number
  trained: number
  input: number[]
  output: number[]
  tensors: { name: string; shape: number[]; role: 'trainable' | 'moving' | 'frozen' }[]
  /** Which rounds made it; of round 0 the run starts from it. */
  lineage: { run: string; round: number; manifest: string | null }[]
}

/** A question to the federation: a run, whose events and bundle are those of runs. */
export type StatsQueryView = {
  id: string
  status: RunStatus
  reason: string | null
  created_at: string
  name: string
  labels: Record<string, string>
  population: Population
  federation: string | null
  question: string
  min_cell: number
  min_cohort: number
  round: number | null
  phase: string | null
  manifest: string | null
}

/** @property fingerprint of its key as six words, to be compared by telephone */
export type CoordinatorView = { id: string; fingerprint: string }

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

export type InviteWithCodeView = InviteView & { code: string }

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

export type MadeApiKeyView = ApiKeyView & { key: string }

export type WhoamiView = {
  id: string
  name: string
  scopes: string[]
  federation: string | null
  expires_at: string | null
}

export type AuditEventView = {
  id: string
  time: string
  /** The key, as it was called then. */
  actor: { id: string; name: string }
  /** Method and route. */
  action: string
  target: string | null
  status: number
  request_id: string
  /** The only one of the key, where it had one. */
  federation: string | null
  /** Its place in the log, from 0, and the SHA-256 of its entry there, by which the next one names it as `before`. */
  seq: number
  hash: string
  before: string | null
}

export type PublicationView = {
  run: string
  what: 'record' | 'model' | 'bundle'
  cid: string
  /** As many providers have it pinned as the quorum is. */
  published: boolean
  at: {
    provider: string
    request: string
    status: 'queued' | 'pinning' | 'pinned' | 'failed'
    requested_at: string
  }[]
}

export type ProviderView = {
  name: string
  state: 'ready' | 'unauthorised' | 'refused' | 'unreachable'
  detail: string | null
}

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

/** What would become of a run, before anything moves. */
export type DryRunView = {
  ok: boolean
  /** What is wrong with the order; then nothing else is foreseen. */
  errors: { pointer: string; message: string }[]
  parameters: number | null
  trained: number | null
  memory_bytes: number | null
  bytes: {
    up_per_node: number
    down_per_node: number
    per_round: number
    by_codec: { codec: string; bytes_up: number; available: boolean }[]
  } | null
  rounds: number
  /** Micro-credits, as decimal text. */
  cost: { budget: string; per_round: string; per_update_min: string; per_update_max: string } | null
  privacy: { epsilon: number | null; reason: string }
  population: { linked: number; willing: number; needed: number | null }
  sites: {
    node: string
    operator: string | null
    linked: boolean
    /** Null where it did not say. */
    accepts: boolean | null
    rule: string | null
    detail: string | null
  }[]
  compatibility: { feature: string; state: 'used' | 'available' | 'refused' | 'absent'; detail: string }[]
}
