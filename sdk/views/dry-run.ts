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
