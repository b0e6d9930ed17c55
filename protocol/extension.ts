import { z } from 'zod'
import { amountField, count } from './codec.ts'
import { EXTENSIONS_MAX, ROUNDS_MAX } from './limits.ts'

/** What is added to a run while it goes on: training rounds, and a budget for these alone. */
export const extensionSchema = z.strictObject({
  /** The first round that opened after it: what the rounds before it were for goes by what was planned until then. */
  from: count(ROUNDS_MAX, 1),
  rounds: count(ROUNDS_MAX - 1, 1),
  budget: amountField,
})
export type Extension = z.output<typeof extensionSchema>

export const extensionsField = z.array(extensionSchema).min(1).max(EXTENSIONS_MAX).readonly()

/** Training rounds that were planned when a round opened. */
export function plannedAt(planned: number, extensions: readonly Extension[], round: number): number {
  return extensions.reduce((sum, { from, rounds }) => (from <= round ? sum + rounds : sum), planned)
}
