import { quantiserFor } from '#aggregation/quantise.ts'
import { assert } from '#protocol/assert.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Cid, Round } from '#protocol/ids.ts'
import type { Plan, Quantiser } from '#protocol/plan.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { cohortSeed } from '#protocol/seeds.ts'
import { type Task, taskSchema } from '#protocol/task.ts'
import { readBlock } from '../record.ts'
import { purposeOf, type Run, type RunSpec } from '../run.ts'
import type { EffectHandler } from '../runner.ts'

/** Seals the next round's plan and opens it to the nodes that are linked now. */
export function openEffect(doors: { blobs: BlobStore; signer: Signer; linked: () => number }): EffectHandler {
  return async (run, owed) => {
    assert(owed.kind === 'open', 'this effect opens a round')
    const task = await readBlock(doors.blobs, run.spec.task, taskSchema)
    const plan = await keepSealed(doors.blobs, doors.signer, 'plan', planFor(run, task, owed.round))
    return { kind: 'opened', round: owed.round, plan, invited: doors.linked() }
  }
}

/** The plan of a round, from the run's state alone: the same whoever makes it. */
export function planFor(run: Run, task: Task, round: Round): Plan {
  const { spec, model, parent } = run
  return {
    v: 1,
    run: spec.run,
    round,
    purpose: purposeOf(spec, round),
    population: spec.population,
    masking: spec.masking,
    task: spec.task,
    model,
    parent: parent as Cid | null,
    cohortSeed: cohortSeed(spec.taskSeed, model, round),
    cohort: spec.cohort,
    quantiser: quantiserOf(spec, task),
    timing: spec.timing,
  }
}

/** One for the whole run: it depends on the task and the largest cohort only. */
export function quantiserOf(spec: RunSpec, task: Task): Quantiser {
  return quantiserFor({ clipNormMicro: task.clipNormMicro, rowsMax: task.data.rowsMax, cohortMax: spec.cohort.max })
}
