import { roundBudget, totalOf } from '#payments/allocate.ts'
import { assert } from '#protocol/assert.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Amount } from '#protocol/ids.ts'
import type { RunManifest } from '#protocol/manifest.ts'
import type { BlobStore, Settlement } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { outcomeOf } from '../outcome.ts'
import { type Run, tranchesOfRun } from '../run.ts'
import type { EffectHandler } from '../runner.ts'

/** Gives back what was not paid, which nothing is before the end, and seals the run's record: the root of its bundle. */
export function finishEffect(doors: { blobs: BlobStore; signer: Signer; settlement: Settlement }): EffectHandler {
  return async (run) => {
    const { spec } = run
    const record = manifestOf(run, doors.signer)
    const { paid, released, reason } = record
    if (released > 0n) await doors.settlement.release(`${spec.run}-rest`, spec.run, released)
    const manifest = await keepSealed(doors.blobs, doors.signer, 'run', record)
    return { kind: 'finished', manifest, paid, released, reason }
  }
}

function manifestOf(run: Run, signer: Signer): RunManifest {
  const { spec } = run
  const paid = paidBy(run)
  const extensions = run.extensions.map(({ from, rounds, budget }) => ({ from, rounds, budget }))
  return {
    v: 1,
    run: spec.run,
    coordinator: signer.id,
    population: spec.population,
    masking: spec.masking,
    task: spec.task,
    planned: spec.planned,
    ...(extensions.length > 0 && { extensions }),
    ...(spec.stopWhen && { stopWhen: spec.stopWhen }),
    ...(spec.origin && { origin: spec.origin }),
    rounds: run.past.map(({ round, manifest, aborted, receipts }) => {
      assert(receipts !== 'overdue', 'the record waits for every settlement')
      assert((manifest === null) !== (aborted === null), 'the record waits for those of its aborted rounds')
      return { round, manifest, aborted, receipts }
    }),
    ...outcomeOf(run),
    model: run.model,
    evaluation: run.evaluation,
    budget: spec.budget,
    paid,
    released: totalOf({ ...spec, extensions }).budget - paid,
  }
}

/** The parts of the training rounds that closed. */
function paidBy(run: Run): Amount {
  const tranches = tranchesOfRun(run)
  const parts = Array.from({ length: run.trained }, (_, index) => roundBudget(tranches, index + 1))
  return parts.reduce((total, part) => total + part, 0n)
}
