import { SUITE_X25519 } from '#aggregation/secagg/messages.ts'
import { audit } from '#sim/audit.ts'
import { type Outcome, simulate } from '#sim/cluster.ts'
import { type SimOptions, UNTROUBLED } from '#sim/setting.ts'

/** Five sites in calm weather, and nothing goes wrong. */
export const QUIET: SimOptions = {
  ...{ ...UNTROUBLED, seed: 1, nodes: 5, rounds: 3 },
  ...{ masking: 'none', population: 'open', suite: SUITE_X25519, patience: 1 },
}

/** Plays a cluster to its end, in calm weather unless told otherwise, and checks what must hold of every one. */
export async function play(options: Partial<SimOptions>): Promise<Outcome> {
  const outcome = await simulate({ ...QUIET, ...options })
  await audit(outcome).catch((cause: unknown) => {
    throw new Error(`seed ${outcome.seed}: ${cause instanceof Error ? cause.message : cause}`, { cause })
  })
  return outcome
}
