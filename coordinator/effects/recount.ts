import { assert } from '#protocol/assert.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { Cid } from '#protocol/ids.ts'
import type { AbortedManifest } from '#protocol/manifest.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { selectionSchema } from '#protocol/selection.ts'
import { blockOf } from '../record.ts'
import { fateOf } from '../round/aborted.ts'
import type { Aborted } from '../round/round.ts'
import type { Run } from '../run.ts'
import type { EffectHandler } from '../runner.ts'
import { keepReported, type VectorStores, vectorsOf } from '../vectors.ts'

/**
 * Seals what became of a round that came to nothing, and of each of its seats. A function of the state alone, so that a
 * repeat writes the same blocks.
 */
export function recountEffect(doors: VectorStores & { readonly signer: Signer }): EffectHandler {
  return async (run, owed) => {
    assert(owed.kind === 'recount' && run.unrecorded?.round === owed.round, 'this effect records an aborted round')
    const { secure, cohort, seats, selection: drawn } = run.unrecorded
    if (cohort && seats) await keepReported(vectorsOf(doors, secure), { cohort, seats })
    const selection = blockOf(selectionSchema, drawn)
    // Before the record that names it, so that a record never points at nothing.
    await doors.blobs.putBlocks([selection])
    const record = await keepSealed(doors.blobs, doors.signer, 'aborted', recordOf(run, run.unrecorded, selection.cid))
    return { kind: 'recounted', round: owed.round, record }
  }
}

/** Nothing came of it, so that the run's model and parent are still those that it started from. */
function recordOf({ spec, parent }: Run, round: Aborted, selection: Cid): AbortedManifest {
  const { purpose, plan, endedIn, reason, roster, cohort = [] } = round
  return {
    v: 1,
    run: spec.run,
    round: round.round,
    purpose,
    parent,
    plan,
    phase: endedIn,
    reason,
    selection,
    seats: cohort.map((node, seat) => ({ node, ...fateOf(round, seat) })),
    roster,
  }
}
