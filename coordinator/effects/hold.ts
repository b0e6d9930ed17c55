import type { Settlement } from '#protocol/ports.ts'
import type { EffectHandler } from '../runner.ts'

/** Reserves the run's budget before anything is trained. */
export function holdEffect(doors: { settlement: Settlement }): EffectHandler {
  return async ({ spec }) => {
    await doors.settlement.hold(spec.run, spec.run, spec.budget)
    return { kind: 'held' }
  }
}
