import { ROUNDS_MAX } from '#protocol/limits.ts'
import type { RunManifest } from '#protocol/manifest.ts'
import type { Run } from './run.ts'

/** How a run ends, or would if it ended now. Done is done: who stops a run whose last round closes has a whole one. */
export function outcomeOf(run: Run): Pick<RunManifest, 'outcome' | 'reason'> {
  if (isDone(run)) return { outcome: 'completed', reason: null }
  if (run.stopping !== null) return { outcome: 'stopped', reason: run.stopping }
  const reason = hasFailed(run) ? failures(run) : `too-many-rounds: a run has at most ${ROUNDS_MAX}`
  return { outcome: 'failed', reason }
}

/** The question is answered; or the planned rounds have trained and the model they made was tested. */
export function isDone({ spec, parent, evaluation }: Run): boolean {
  return spec.purpose === 'ask' ? parent !== null : evaluation !== null
}

/** Too many rounds in a row came to nothing. */
export function hasFailed({ failures, spec }: Run): boolean {
  return failures >= spec.failuresMax
}

/** Why a run that is paused waits; null while it does not. */
export function pauseOf(run: Run): string | null {
  return run.phase === 'paused' ? failures(run) : null
}

function failures({ failures, past }: Run): string {
  const rounds = failures === 1 ? '1 round was' : `${failures} rounds in a row were`
  return `${rounds} aborted, the last one: ${past.at(-1)?.reason}`
}
