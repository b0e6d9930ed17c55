import { roundBudget } from '#payments/allocate.ts'
import { assert } from '#protocol/assert.ts'
import type { Settlement } from '#protocol/ports.ts'
import type { EffectHandler } from '../runner.ts'

/** Reserves the run's budget before anything is trained. */
export function holdEffect(doors: { settlement: Settlement }): EffectHandler {
  return async ({ spec }) => {
    await doors.settlement.hold(spec.run, spec.run, spec.budget)
    return { kind: 'held' }
  }
}

/** Gives back the part of a round that came to nothing. */
export function releaseEffect(doors: { settlement: Settlement }): EffectHandler {
  return async ({ spec }, owed) => {
    assert(owed.kind === 'release', 'this effect releases a part of the budget')
    const amount = roundBudget(spec.budget, spec.planned, owed.round)
    await doors.settlement.release(`${spec.run}-${owed.round}`, spec.run, amount)
    return { kind: 'released', round: owed.round }
  }
}
