import { assert } from '#protocol/assert.ts'
import type { Settlement } from '#protocol/ports.ts'
import type { EffectHandler } from '../runner.ts'

/** Reserves the run's budget before anything is trained, and that of an extension before anything more is. */
export function holdEffect(doors: { settlement: Settlement }): EffectHandler {
  return async ({ spec, extensions }, owed) => {
    assert(owed.kind === 'hold', 'this effect reserves a budget')
    const { extension } = owed
    if (extension === undefined) {
      await doors.settlement.hold(spec.run, spec.run, spec.budget)
      return { kind: 'held' }
    }
    const added = extensions[extension - 1]
    assert(added, 'a budget that is owed was added')
    // The place of the extension is its name: whoever reserves it again reserves nothing more.
    await doors.settlement.hold(`${spec.run}-extension-${extension}`, spec.run, added.budget)
    return { kind: 'held', extension }
  }
}
