import { totalOf } from '#payments/allocate.ts'
import { ROUNDS_MAX } from '#protocol/limits.ts'
import type { RunManifest } from '#protocol/manifest.ts'
import { isRefused } from '#protocol/refusals.ts'
import type { Run } from './run.ts'

/** How a run ends, or would if it ended now. Done is done: who stops a run whose last round closes has a whole one. */
export function outcomeOf(run: Run): Pick<RunManifest, 'outcome' | 'reason'> {
  if (isDone(run)) return { outcome: 'completed', reason: isPlannedOut(run) ? null : (run.shown?.met ?? null) }
  if (run.stopping !== null) return { outcome: 'stopped', reason: run.stopping }
  const reason = hasFailed(run) ? failures(run) : `too-many-rounds: a run has at most ${ROUNDS_MAX}`
  return { outcome: 'failed', reason }
}

/** The question is answered; or it has trained, and the model was tested. */
export function isDone(run: Run): boolean {
  return run.spec.purpose === 'ask' ? run.parent !== null : isTrained(run) && run.evaluation !== null
}

/** The planned rounds have closed, or its stop rule says that those which have are enough. */
export function isTrained(run: Run): boolean {
  return isPlannedOut(run) || (run.shown?.met ?? null) !== null
}

function isPlannedOut({ spec, extensions, trained }: Run): boolean {
  return spec.purpose === 'ask' || trained >= totalOf({ ...spec, extensions }).rounds
}

/** Too many rounds in a row came to nothing, or one did for what would be the same again. */
export function hasFailed({ failures, spec, past }: Run): boolean {
  return failures >= spec.failuresMax || (failures > 0 && isRefused(past.at(-1)?.reason ?? ''))
}

/** Why a run that is paused waits, or is about to; null while it does not. */
export function pauseOf(run: Run): string | null {
  return run.pausing ?? (run.phase === 'paused' ? failures(run) : null)
}

function failures({ failures, past }: Run): string {
  const rounds = failures === 1 ? '1 round was' : `${failures} rounds in a row were`
  return `${rounds} aborted, the last one: ${past.at(-1)?.reason}`
}
