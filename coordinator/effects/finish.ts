import { roundBudget } from '#payments/allocate.ts'
import { assert } from '#protocol/assert.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Amount } from '#protocol/ids.ts'
import type { RunManifest } from '#protocol/manifest.ts'
import type { BlobStore, Settlement } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { failure, type Past, type Run } from '../run.ts'
import type { EffectHandler } from '../runner.ts'

/** Gives back what was never planned out and seals the run's record: the root of its bundle. */
export function finishEffect(doors: { blobs: BlobStore; signer: Signer; settlement: Settlement }): EffectHandler {
  return async (run) => {
    const { spec } = run
    const paid = sum(run, (past) => past.manifest !== null)
    const unopened = spec.budget - paid - sum(run, (past) => past.manifest === null)
    if (unopened > 0n) await doors.settlement.release(`${spec.run}-rest`, spec.run, unopened)
    const record = manifestOf(run, paid, doors.signer)
    const manifest = await keepSealed(doors.blobs, doors.signer, 'run', record)
    return { kind: 'finished', manifest, paid, released: record.released, reason: record.reason }
  }
}

/** The parts of the budget of those training rounds. */
function sum({ spec, past }: Run, counts: (past: Past) => boolean): Amount {
  return past
    .filter((round) => round.purpose === 'train' && counts(round))
    .reduce((total, { round }) => total + roundBudget(spec.budget, spec.planned, round), 0n)
}

function manifestOf(run: Run, paid: Amount, signer: Signer): RunManifest {
  const { spec } = run
  const reason = failure(run)
  return {
    v: 1,
    run: spec.run,
    coordinator: signer.id,
    population: spec.population,
    masking: spec.masking,
    task: spec.task,
    planned: spec.planned,
    rounds: run.past.map(({ round, manifest, receipts, reason: why }) => {
      assert(receipts !== 'overdue', 'the record waits for every settlement')
      return { round, manifest, receipts, reason: why }
    }),
    outcome: reason === null ? 'completed' : 'failed',
    reason,
    model: run.model,
    evaluation: run.evaluation,
    budget: spec.budget,
    paid,
    released: spec.budget - paid,
  }
}
