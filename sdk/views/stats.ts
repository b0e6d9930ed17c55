import type { Population } from '#protocol/plan.ts'
import type { RunStatus } from './runs.ts'

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
