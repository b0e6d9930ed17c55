import { signerOf } from '#protocol/envelope.ts'
import type { Round } from '#protocol/ids.ts'
import type { RoundRecord } from '#protocol/manifest.ts'
import type { Plan } from '#protocol/plan.ts'
import type { Hooks } from './fixture.ts'

/** Who has no part in any run. */
export const stranger = signerOf(new Uint8Array(32).fill(77))

/** Each changes one thing said in one round. */
export const round = (at: Round, change: (manifest: RoundRecord) => Partial<RoundRecord>): Hooks => ({
  manifest: (manifest) => (manifest.round === at ? { ...manifest, ...change(manifest) } : manifest),
})
export const plan = (at: Round, change: (plan: Plan) => Partial<Plan>): Hooks => ({
  plan: (plan) => (plan.round === at ? { ...plan, ...change(plan) } : plan),
})
