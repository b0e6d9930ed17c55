import type { Population } from '#protocol/plan.ts'
import type { ReferenceModel } from '#protocol/reference-models.ts'
import type { Verdict } from '#protocol/spot-check.ts'

/** What spot checks made of what a node says. */
export type Standing = 'confirmed' | 'unchecked' | 'doubted'

/** A node, with what it says of itself. */
export type NodeView = {
  id: string
  linked: boolean
  operator: string | null
  /** Since when it is invited to no new round, by the operator's word; null where it is invited. */
  drained_at: string | null
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

/** One check of what a node says. */
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
