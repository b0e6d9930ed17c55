import { assert } from '#protocol/assert.ts'
import type { Signer } from '#protocol/envelope.ts'
import type { AbortedManifest } from '#protocol/manifest.ts'
import type { BlobStore } from '#protocol/ports.ts'
import { keepSealed } from '#protocol/sealed.ts'
import { type Aborted, hasReported } from '../round/round.ts'
import type { Run } from '../run.ts'
import type { EffectHandler } from '../runner.ts'

/**
 * Seals what became of a round that came to nothing, and of each of its seats. A function of the state alone, so that a
 * repeat writes the same blocks.
 */
export function recountEffect(doors: { blobs: BlobStore; signer: Signer }): EffectHandler {
  return async (run, owed) => {
    assert(owed.kind === 'recount' && run.unrecorded?.round === owed.round, 'this effect records an aborted round')
    const record = await keepSealed(doors.blobs, doors.signer, 'aborted', recordOf(run, run.unrecorded))
    return { kind: 'recounted', round: owed.round, record }
  }
}

/** Nothing came of it, so that the run's model and parent are still those that it started from. */
function recordOf({ spec, parent }: Run, round: Aborted): AbortedManifest {
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
    seats: cohort.map((node, seat) => ({ node, ...fateOf(round, seat) })),
    roster,
  }
}

/** What became of a seat: it reported, or why not; and what it did not do after it had. */
function fateOf({ seats, lapses }: Aborted, seat: number) {
  const state = seats?.[seat]
  assert(state && state !== 'waiting', 'nobody is awaited any more')
  return hasReported(state)
    ? { update: state.update, reason: lapses[seat] ?? null }
    : { update: null, reason: state.gone }
}
