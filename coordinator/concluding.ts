import { ENDINGS_MAX, ROUNDS_MAX } from '#protocol/limits.ts'
import { show } from '#protocol/stop-rule.ts'
import { attendanceAfter } from './attendance.ts'
import { hasFailed, isDone } from './outcome.ts'
import { type Aborted, type Closed, hasReported } from './round/round.ts'
import type { Ending } from './round/session.ts'
import type { Past, Run } from './run.ts'
import { learn } from './timing.ts'

/** The one place that ends a round's hold on the run. */
export function conclude(run: Run): Run {
  const { round } = run
  if (round?.phase !== 'aborted' && round?.phase !== 'closed') return run
  const past = [...run.past, pastOf(round)]
  const attendance = run.spec.purpose === 'ask' ? run.attendance : attendanceAfter(run.attendance, round)
  const next = { ...run, round: undefined, past, attendance, endings: withEnding(run.endings, round) }
  if (round.phase === 'aborted') return { ...next, unrecorded: round, failures: run.failures + 1, learned: [] }
  const { manifest: parent, model, memory, evaluation, purpose, took } = round
  return goOn({
    ...{ ...next, parent, model, memory, failures: 0, learned: learn(run.learned, took) },
    owing: round.receipts === 'overdue' ? [...run.owing, round.round] : run.owing,
    // Inputs are spent by the model they were made from: as long as that stays, so does what became of them.
    endings: model === run.model ? next.endings : [],
    trained: run.trained + (purpose === 'train' ? 1 : 0),
    shown:
      purpose === 'train' && run.spec.stopWhen && run.shown
        ? show(run.spec.stopWhen, run.shown, evaluation)
        : run.shown,
    // Of a model that is the present one no more, it is only that round's.
    evaluation: purpose === 'evaluate' ? evaluation : null,
  })
}

function withEnding(endings: readonly Ending[], { round, cohort, session }: Closed | Aborted): readonly Ending[] {
  return cohort && session ? [...endings, { round, cohort, session }].slice(-ENDINGS_MAX) : endings
}

function pastOf(round: Closed | Aborted): Past {
  const { round: number, purpose, openedAt, endedAt, seats = [] } = round
  const seated = { cohort: seats.length, reports: seats.filter(hasReported).length }
  const common = { round: number, purpose, aborted: null, ...seated, openedAt, endedAt }
  return round.phase === 'closed'
    ? { ...common, manifest: round.manifest, receipts: round.receipts, reason: null, endedIn: null }
    : { ...common, manifest: null, receipts: null, reason: round.reason, endedIn: round.endedIn }
}

/** The one place that says what a run does next, when nothing is open. */
export function goOn(run: Run): Run {
  if (isDone(run) || run.stopping !== null || run.past.length >= ROUNDS_MAX) return { ...run, phase: 'finishing' }
  if (run.pausing !== null) return { ...run, phase: 'paused' }
  if (!hasFailed(run)) return { ...run, phase: 'running' }
  return { ...run, phase: run.spec.onFailures === 'pause' ? 'paused' : 'finishing' }
}
